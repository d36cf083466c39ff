package statuspage

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/ecosire/stocksync/internal/text"
	"github.com/ecosire/stocksync/syncer"
)

// Config configures the page. Its zero value is a page that only shows.
type Config struct {
	// Actor says who acts by a request, such as the user of a session, and
	// whether they may approve, pause and resume. It is called for pages, too:
	// who may not act sees no buttons. nil means that nobody may. A name of
	// nothing but blanks is nobody's.
	Actor func(*http.Request) (name string, ok bool)
	// Title is what the page is called; "" means "Stock sync".
	Title string
}

//go:embed assets
var assets embed.FS

// An asset is a file that pages refer to.
type asset struct {
	data []byte
	kind string
	hash string
}

var (
	static    = make(map[string]asset) // by name
	templates = make(map[string]*template.Template)
)

func init() {
	for name, kind := range map[string]string{
		"style.css": "text/css; charset=utf-8", "live.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
	} {
		data := must(fs.ReadFile(assets, "assets/"+name))
		sum := sha256.Sum256(data)
		static[name] = asset{data, kind, hex.EncodeToString(sum[:6])}
	}
	for _, name := range []string{"overview", "held", "troubles", "explain", "message"} {
		templates[name] = template.Must(template.New("frame.html").Funcs(words).ParseFS(assets, "assets/frame.html", "assets/"+name+".html"))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A server answers the page's requests.
type server struct {
	s      *syncer.Syncer
	cfg    Config
	cache  cache
	asking chan struct{} // has a token for each search under way
}

// maxAsking bounds the searches at a time: each reads at the services.
const maxAsking = 2

// Handler returns the page of a Syncer. It starts no goroutine. It is safe for
// concurrent use, and several may show the same Syncer.
func Handler(s *syncer.Syncer, cfg Config) http.Handler {
	p := &server{s: s, cfg: cfg, asking: make(chan struct{}, maxAsking)}
	if p.cfg.Title == "" {
		p.cfg.Title = "Stock sync"
	}
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.message(w, r, http.StatusForbidden, "That came from another site", "Nothing was done. Open this page itself and press the button there. "+
			"If you did, a proxy between does not pass on the name of the host.")
	}))
	guarded := protection.Handler(http.HandlerFunc(p.serve))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		harden(w.Header())
		guarded.ServeHTTP(w, r)
	})
}

// policy allows what the page is made of, from its own origin, and no more.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func harden(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // with none a form's Origin would be null
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// serve goes by the last part of the path: the page may be mounted anywhere.
func (p *server) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "" { // the host has stripped all of it: relative links need the slash
		w.Header().Set("Location", path.Base(requestPath(r))+"/")
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if act, ok := actions[name]; ok {
		if allowed(w, r, http.MethodPost) {
			p.act(w, r, act)
		}
		return
	}
	show, ok := map[string]http.HandlerFunc{"": p.overview, "held": p.held, "troubles": p.troubles, "explain": p.explain}[name]
	if a, isAsset := static[name]; isAsset {
		show, ok = a.serve, true
	}
	switch {
	case !ok:
		p.message(w, r, http.StatusNotFound, "There is no such page", "")
	case allowed(w, r, http.MethodGet, http.MethodHead):
		show(w, r)
	}
}

// requestPath is the path as it was asked for.
func requestPath(r *http.Request) string {
	asked, _, _ := strings.Cut(r.RequestURI, "?")
	return asked
}

func allowed(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	return false
}

func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery == a.hash { // another version has another address
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	w.Header().Set("Content-Type", a.kind)
	_, _ = w.Write(a.data)
}

// actor is who acts, or "".
func (p *server) actor(r *http.Request) string {
	if p.cfg.Actor == nil {
		return ""
	}
	name, ok := p.cfg.Actor(r)
	if !ok {
		return ""
	}
	return strings.TrimSpace(name)
}

// A frame is what each page has, whatever is on it.
type frame struct {
	Title string // of the site
	Name  string // of the page
	Actor string
	Query string // in the search field
	Live  bool   // the page refreshes itself
	Page  any
}

func (p *server) render(w http.ResponseWriter, r *http.Request, status int, name string, f frame) {
	f.Title, f.Actor = p.cfg.Title, p.actor(r)
	var b bytes.Buffer
	if err := templates[name].Execute(&b, f); err != nil {
		http.Error(w, "the page cannot be rendered: "+text.Clean(err.Error()), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// message is a page that says one thing.
func (p *server) message(w http.ResponseWriter, r *http.Request, status int, what, more string) {
	p.render(w, r, status, "message", frame{Name: what, Page: more})
}
