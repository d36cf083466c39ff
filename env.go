package stocksync

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/internal/httpx"
)

// Config configures [FromEnv]. Its zero value reads the process's environment.
type Config struct {
	// Getenv looks up a variable; nil means [os.Getenv]. Blanks around a value
	// are dropped, and a variable with nothing else counts as not set.
	Getenv func(name string) string
	// HTTPClient is used by all clients; nil means one of each client's own.
	// It is copied, never changed.
	HTTPClient *http.Client
	// Logger is used by all clients and syncers; nil means none.
	Logger *slog.Logger
}

// ErrNoEnv: none of the variables is set.
var ErrNoEnv = errors.New("stocksync: no service is configured: set ECOSIRE_API_KEY, and the variables of at least one shop")

// FromEnv builds the services that the environment names; the package
// documentation lists the variables. It does no I/O, so a wrong credential
// shows with the first plan.
//
// The error matches [ErrNoEnv] if no variable is set at all. Any other error
// names every variable that is missing or wrong, and no value of a secret. An
// ECOSIRE on this machine's loopback together with a shop elsewhere is refused:
// the stock of a test server must not get into a real shop.
func FromEnv(cfg Config) (*Services, error) {
	e := &env{Config: cfg}
	if e.Getenv == nil {
		e.Getenv = os.Getenv
	}
	s := &Services{logger: cfg.Logger}
	source := e.ecosire(s)
	named := false
	var first []string // a variable of each kind, for who has set none
	for _, kind := range []shop{shopifyShop, wooCommerceShop, amazonShop, squareShop} {
		named = e.shop(s, source, kind) || named
		needed, _ := kind.variables(e)
		first = append(first, needed[0])
	}
	if !named {
		e.wrong("no shop is named: set %s or %s, and what belongs to it", strings.Join(first[:len(first)-1], ", "), first[len(first)-1])
	}
	switch {
	case !e.any:
		return nil, ErrNoEnv
	case len(e.problems) > 0:
		return nil, fmt.Errorf("stocksync: the environment: %w", errors.Join(e.problems...))
	}
	return s, nil
}

// env is an environment that is being read.
type env struct {
	Config
	any      bool // a variable is set
	problems []error
}

func (e *env) get(name string) string {
	value := strings.TrimSpace(e.Getenv(name))
	e.any = e.any || value != ""
	return value
}

func (e *env) wrong(format string, args ...any) {
	e.problems = append(e.problems, fmt.Errorf(format, args...))
}

// complete reports whether any of the variables is set, and whether all needed
// ones are. If only some are, it records what is missing. A need may have
// alternatives in parentheses after the variable's name.
func (e *env) complete(service string, needed []string, others ...string) (named, whole bool) {
	var missing, present []string
	for _, name := range slices.Concat(needed, others) {
		variable, _, _ := strings.Cut(name, " ")
		switch {
		case e.get(variable) != "":
			present = append(present, variable)
		case slices.Contains(needed, name):
			missing = append(missing, name)
		}
	}
	if len(present) > 0 && len(missing) > 0 {
		e.wrong("%s is configured in part: %s missing (set: %s)", service, strings.Join(missing, ", "), strings.Join(present, ", "))
	}
	return len(present) > 0, len(present) > 0 && len(missing) == 0
}

// ecosire builds the source, and returns its address.
func (e *env) ecosire(s *Services) *url.URL {
	key, secret, base := e.get("ECOSIRE_API_KEY"), e.get("ECOSIRE_WEBHOOK_SECRET"), e.get("ECOSIRE_URL")
	if key == "" {
		e.wrong("ECOSIRE_API_KEY is missing")
		return nil
	}
	var err error
	if secret != "" {
		if s.Webhooks, err = ecosire.NewWebhooks(secret); err != nil {
			e.wrong("ECOSIRE_WEBHOOK_SECRET: %w", err)
		}
	}
	s.ECOSIRE, err = ecosire.New(ecosire.Config{
		APIKey: key, BaseURL: base, HTTPClient: e.HTTPClient, Logger: e.Logger, OnStockChange: s.changed,
	})
	if err != nil {
		e.wrong("ECOSIRE_API_KEY and ECOSIRE_URL: %w", err)
		return nil
	}
	s.Source = s.ECOSIRE
	at := e.address("ECOSIRE_URL", cmp.Or(base, ecosire.DefaultBaseURL))
	if at != nil {
		s.about = append(s.about, "ECOSIRE at "+at.Host)
	}
	return at
}

// duration reads a length of time, such as 15m; 0 if it is not set.
func (e *env) duration(name string) (d time.Duration, ok bool) {
	value := e.get(name)
	if value == "" {
		return 0, true
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		e.wrong("%s: not a length of time such as 15m", name)
		return 0, false
	}
	return d, true
}

// address parses the address of a service; nil means that it is none.
func (e *env) address(name, raw string) *url.URL {
	u, err := httpx.ParseBase(name, raw)
	if err != nil {
		e.wrong("%w", err)
	}
	return u
}
