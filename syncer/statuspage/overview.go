package statuspage

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

const (
	// fresh is how long everybody who looks is shown the same, and freshLists the
	// same of what takes long to read.
	fresh      = 2 * time.Second
	freshLists = 15 * time.Second
	// within is how long the queue may take to say how things are.
	within = 10 * time.Second
	// late is when what waits for a channel has waited too long.
	late = time.Minute
	// unreconciled is when the last reconciliation is too long ago.
	unreconciled = 26 * time.Hour
	// maxLooked bounds the entries of the journal that are read, and maxLately
	// those that are shown.
	maxLooked = 500
	maxLately = 8
	// firstLines is how many held lines the overview shows of a channel.
	firstLines = 3
)

// A view is what the overview shows, for whoever looks.
type view struct {
	At       time.Time
	Verdict  verdict
	Channels []channelRow
	Health   syncer.Health
	Held     []syncer.Holding
	Last     *syncer.Entry // the last reconciliation's, or nil
	GivenUp  []group
	Retried  int // products that are tried again
	Lately   []syncer.Entry
	Err      string // why not everything is known
}

// A channelRow is one channel.
type channelRow struct {
	syncer.ChannelHealth
	State state
	Late  bool
	Run   *syncer.ChannelProgress // in the reconciliation under way
}

// A group is what was given up for one reason.
type group struct {
	Class    string
	Count    int
	Channels []string
}

// A cache keeps the view for a moment.
type cache struct {
	mu    sync.Mutex
	view  *view
	lists time.Time // when the lists of the view were read
}

// forget has the next look be a new one.
func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.view, c.lists = nil, time.Time{}
}

// now is the view, as of this moment or a few before.
func (p *server) now(ctx context.Context) *view {
	c := &p.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.view != nil && time.Since(c.view.At) < fresh {
		return c.view
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within) // others wait for it, too
	defer cancel()
	v := &view{At: time.Now()}
	var err error
	v.Health, err = p.s.Health(ctx)
	if err == nil && slices.ContainsFunc(v.Health.Channels, func(c syncer.ChannelHealth) bool { return c.Guard != nil }) {
		v.Held, err = p.s.Held(ctx)
	}
	if c.view != nil && time.Since(c.lists) < freshLists && same(&c.view.Health, &v.Health) {
		v.Last, v.Lately, v.GivenUp, v.Retried = c.view.Last, c.view.Lately, c.view.GivenUp, c.view.Retried
	} else if err == nil {
		if err = p.lists(ctx, v); err == nil {
			c.lists = v.At
		}
	}
	v.Err = failure(err)
	for _, h := range v.Health.Channels {
		v.Channels = append(v.Channels, rowOf(h, v.Health.Reconciling, v.At))
	}
	v.Verdict = judge(v)
	c.view = v
	return v
}

// same reports whether nothing has happened between two looks that the lists
// would tell.
func same(a, b *syncer.Health) bool {
	return a.Reconciled.Equal(b.Reconciled) && (a.Reconciling == nil) == (b.Reconciling == nil) &&
		slices.EqualFunc(a.Channels, b.Channels, func(a, b syncer.ChannelHealth) bool {
			return a.DownSince.Equal(b.DownSince) && (a.Guard == nil) == (b.Guard == nil) && (a.Paused == nil) == (b.Paused == nil) && a.Held == b.Held
		})
}

// lists reads what is many.
func (p *server) lists(ctx context.Context, v *view) error {
	looked := 0
	for e, err := range p.s.Journal(ctx, "") {
		if err != nil {
			return err
		}
		if e.Kind == syncer.EntryRun && strings.HasPrefix(e.Run, "reconcile-") && v.Last == nil {
			v.Last = &e
		}
		if len(v.Lately) < maxLately {
			v.Lately = append(v.Lately, e)
		}
		if looked++; looked == maxLooked || v.Last != nil && len(v.Lately) == maxLately {
			break
		}
	}
	groups := make(map[string]*group)
	for t, err := range p.s.Troubles(ctx) {
		if err != nil {
			return err
		}
		if !t.GivenUp {
			v.Retried++
			continue
		}
		class := channel.Class(t.Err)
		g := groups[class]
		if g == nil {
			g = &group{Class: class}
			groups[class] = g
		}
		g.Count++
		if !slices.Contains(g.Channels, t.Channel) {
			g.Channels = append(g.Channels, t.Channel)
		}
	}
	for _, g := range groups {
		v.GivenUp = append(v.GivenUp, *g)
	}
	slices.SortFunc(v.GivenUp, func(a, b group) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Class, b.Class)
	})
	return nil
}

func rowOf(h syncer.ChannelHealth, run *syncer.Progress, now time.Time) channelRow {
	r := channelRow{ChannelHealth: h}
	r.Late = h.Paused == nil && h.DownSince.IsZero() && h.Tasks > 0 && now.Sub(h.Oldest) > late
	switch {
	case h.Paused != nil:
		r.State = state{"paused", "Paused"}
	case !h.DownSince.IsZero() || h.Stuck != "":
		r.State = state{"bad", "Down"}
	case h.Guard != nil:
		r.State = state{"look", "Up, and held"}
	case r.Late:
		r.State = state{"look", "Up, and behind"}
	case h.Observing:
		r.State = state{"paused", "Observed"}
	default:
		r.State = state{"ok", "Up"}
	}
	if run != nil {
		for i := range run.Channels {
			if run.Channels[i].Channel == h.Channel {
				r.Run = &run.Channels[i]
			}
		}
	}
	return r
}

// notices are what the page says after something was done.
var notices = map[string]string{
	"approved": "Approved. The lines are looked at once more and written within moments.",
	"paused":   "Paused. What is under way ends; then nothing more is asked of the channel.",
	"resumed":  "Resumed. What has waited is done now.",
}

func (p *server) overview(w http.ResponseWriter, r *http.Request) {
	v := p.now(r.Context())
	data := struct {
		*view
		Notice string
		CanAct bool
	}{v, notices[r.URL.Query().Get("did")], p.actor(r) != ""}
	p.render(w, r, http.StatusOK, "overview", frame{Name: v.Verdict.Headline, Live: true, Page: data})
}
