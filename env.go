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
	"strconv"
	"strings"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/text"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
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
	for _, kind := range []shop{shopifyShop, wooCommerceShop} {
		named = e.shop(s, source, kind) || named
		needed, _ := kind.variables(e)
		first = append(first, needed[0])
	}
	if !named {
		e.wrong("no shop is named: set %s, and what belongs to it", strings.Join(first, " or "))
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

// address parses the address of a service; nil means that it is none.
func (e *env) address(name, raw string) *url.URL {
	u, err := httpx.ParseBase(name, raw)
	if err != nil {
		e.wrong("%w", err)
	}
	return u
}

// A shop is a kind of channel that the environment can name.
type shop struct {
	service string // for people
	prefix  string // of the variables that all kinds have
	// variables are those that this kind needs, and those that it may have.
	variables func(e *env) (needed, others []string)
	// build returns the channel and where it is. Both are nil if something
	// is wrong, which is recorded.
	build func(e *env) (channel.Channel, *url.URL)
}

// shop adds a channel, if the environment names one. It reports whether any
// variable of the kind is set.
func (e *env) shop(s *Services, source *url.URL, kind shop) (named bool) {
	needed, others := kind.variables(e)
	for _, suffix := range []string{"_SHARE", "_BUFFER", "_CAP"} {
		others = append(others, kind.prefix+suffix)
	}
	named, whole := e.complete(kind.service, needed, others...)
	if !whole {
		return named
	}
	policy, says := e.policy(kind.prefix)
	c, at := kind.build(e)
	if c == nil || at == nil {
		return named
	}
	if source != nil && httpx.Loopback(source) && !httpx.Loopback(at) {
		e.wrong("ECOSIRE_URL is on this machine (%s) and %s is not (%s): the stock of a test server must not get into a real shop. "+
			"If it is a proxy, build the clients yourself", source.Host, kind.service, at.Host)
		return named
	}
	s.Targets = append(s.Targets, syncer.Target{Channel: c, Policy: policy})
	s.about = append(s.about, c.Name()+" at "+at.Host+says)
	return named
}

// policy reads how much of the stock a channel shows; nil is the default.
func (e *env) policy(prefix string) (policy syncer.Policy, says string) {
	var steps []string
	policy = syncer.Available()
	if n, ok := e.number(prefix+"_SHARE", 1, 100); ok {
		policy = policy.Share(n)
		steps = append(steps, fmt.Sprintf("%d %%", n))
	}
	if n, ok := e.number(prefix+"_BUFFER", 0, maxUnits); ok {
		policy = policy.Buffer(n)
		steps = append(steps, fmt.Sprintf("less %d", n))
	}
	if n, ok := e.number(prefix+"_CAP", 1, maxUnits); ok {
		policy = policy.Cap(n)
		steps = append(steps, fmt.Sprintf("at most %d", n))
	}
	if steps != nil {
		says = " (" + strings.Join(steps, ", ") + ")"
	}
	return policy, says
}

// maxUnits bounds the units of a policy. More is a slip of the pen.
const maxUnits = 1_000_000_000

func (e *env) number(name string, least, most int) (n int, ok bool) {
	value := e.get(name)
	if value == "" {
		return 0, false
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		e.wrong("%s is %q, and must be a whole number from %d to %d", name, text.Cut(value, 40), least, most)
		return 0, false
	}
	return n, true
}

var shopifyShop = shop{
	service: "Shopify", prefix: "SHOPIFY",
	variables: func(e *env) (needed, others []string) {
		needed = []string{"SHOPIFY_SHOP", "SHOPIFY_LOCATION_ID"}
		switch {
		case e.get("SHOPIFY_CLIENT_ID") != "" || e.get("SHOPIFY_CLIENT_SECRET") != "":
			needed = append(needed, "SHOPIFY_CLIENT_ID", "SHOPIFY_CLIENT_SECRET")
			if e.get("SHOPIFY_ACCESS_TOKEN") != "" {
				e.wrong("Shopify has two kinds of credentials: unset SHOPIFY_ACCESS_TOKEN, or SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET")
			}
		case e.get("SHOPIFY_ACCESS_TOKEN") == "":
			needed = append(needed, "SHOPIFY_CLIENT_ID (with SHOPIFY_CLIENT_SECRET; or SHOPIFY_ACCESS_TOKEN)")
		}
		return needed, []string{"SHOPIFY_ACCESS_TOKEN", "SHOPIFY_URL"}
	},
	build: func(e *env) (channel.Channel, *url.URL) {
		token := shopify.ClientCredentials(e.get("SHOPIFY_CLIENT_ID"), e.get("SHOPIFY_CLIENT_SECRET"))
		if static := e.get("SHOPIFY_ACCESS_TOKEN"); static != "" {
			token = shopify.StaticToken(static)
		}
		name, base := e.get("SHOPIFY_SHOP"), e.get("SHOPIFY_URL")
		client, err := shopify.New(shopify.Config{Shop: name, Token: token, BaseURL: base, HTTPClient: e.HTTPClient, Logger: e.Logger})
		if err != nil {
			e.wrong("SHOPIFY_SHOP, SHOPIFY_URL and the credentials: %w", err)
			return nil, nil
		}
		location, err := client.Channel(shopify.ChannelConfig{LocationID: e.get("SHOPIFY_LOCATION_ID")})
		if err != nil {
			e.wrong("SHOPIFY_LOCATION_ID: %w", err)
			return nil, nil
		}
		return location, e.address("SHOPIFY_URL", cmp.Or(base, "https://"+strings.TrimSuffix(name, ".myshopify.com")+".myshopify.com"))
	},
}

var wooCommerceShop = shop{
	service: "WooCommerce", prefix: "WC",
	variables: func(*env) (needed, others []string) {
		return []string{"WC_SITE_URL", "WC_CONSUMER_KEY", "WC_CONSUMER_SECRET"}, nil
	},
	build: func(e *env) (channel.Channel, *url.URL) {
		site := e.get("WC_SITE_URL")
		client, err := woocommerce.New(woocommerce.Config{
			URL: site, ConsumerKey: e.get("WC_CONSUMER_KEY"), ConsumerSecret: e.get("WC_CONSUMER_SECRET"),
			HTTPClient: e.HTTPClient, Logger: e.Logger,
		})
		if err != nil {
			e.wrong("WC_SITE_URL, WC_CONSUMER_KEY and WC_CONSUMER_SECRET: %w", err)
			return nil, nil
		}
		store, err := client.Channel(woocommerce.ChannelConfig{})
		if err != nil {
			e.wrong("WooCommerce: %w", err)
			return nil, nil
		}
		return store, e.address("WC_SITE_URL", site)
	},
}
