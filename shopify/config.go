package shopify

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"github.com/ecosire/stocksync/internal/httpx"
)

const (
	// defaultVersion is the version of the Admin API that this package is
	// written against.
	defaultVersion = "2026-10"
	// oldestVersion is the first one with what it needs: levels that are not
	// active, and idempotency keys.
	oldestVersion = "2026-04"
)

// Config configures a [Client]. Shop and Token are required. Printing a Config,
// by fmt, slog or encoding/json, shows no credentials.
type Config struct {
	// Shop is the shop's name at Shopify, "acme" or "acme.myshopify.com", in
	// small letters. It is never a URL and never the shop's own domain: the
	// credentials go to this host and to no other.
	Shop string
	// Token gives the access token: [StaticToken], [ClientCredentials],
	// [RotatingToken], [RotatingCredentials], or the host's own. The app needs the
	// scopes read_inventory and write_inventory.
	Token TokenSource

	// BaseURL is where the API is, for a proxy or a test server: https, or
	// http on this machine. Empty means https://{shop}.myshopify.com.
	BaseURL string
	// Version is the version of the API, "2026-04" or later; empty means
	// "2026-10", which this package is written against.
	Version string
	// HTTPClient is copied, never changed. Its Timeout bounds one attempt; 0
	// means a minute. nil means a client of its own.
	HTTPClient *http.Client
	// Logger gets warnings, and a line for each repeated request; nil means
	// none.
	Logger *slog.Logger
}

var (
	shopName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?$`)
	versionName = regexp.MustCompile(`^\d{4}-\d{2}$`)
)

// shop returns the name of Config.Shop. Its error does not repeat the value:
// people paste URLs with credentials.
func (cfg Config) shop() (string, error) {
	name := strings.TrimSuffix(cfg.Shop, ".myshopify.com")
	if !shopName.MatchString(name) {
		return "", fmt.Errorf(`shopify: Config.Shop: not a shop's name: use "acme" or "acme.myshopify.com", in small letters and without https://`)
	}
	return name, nil
}

// version returns the version to ask for.
func (cfg Config) version() (string, error) {
	switch v := cfg.Version; {
	case v == "":
		return defaultVersion, nil
	case v == "unstable":
		return v, nil
	case !versionName.MatchString(v):
		return "", fmt.Errorf("shopify: Config.Version: not a version like %q", defaultVersion)
	case v < oldestVersion:
		return "", fmt.Errorf("shopify: Config.Version: %s has no idempotency keys and no levels that are not active, which this package needs: use %s or later, or leave it empty for %s",
			v, oldestVersion, defaultVersion)
	default:
		return v, nil
	}
}

// String says which shop it is about.
func (cfg Config) String() string {
	shop, err := cfg.shop()
	if err != nil {
		shop = "[not a shop's name]"
	}
	s := "shopify.Config{" + shop
	if v, err := cfg.version(); err == nil {
		s += " " + v
	}
	if base, err := httpx.ParseBase("", cfg.BaseURL); err == nil && cfg.BaseURL != "" {
		s += " " + httpx.Endpoint(base)
	}
	return s + "}"
}

// Format prints [Config.String], whatever the verb.
func (cfg Config) Format(f fmt.State, verb rune) { fmt.Fprint(f, cfg.String()) }

// LogValue is [Config.String].
func (cfg Config) LogValue() slog.Value { return slog.StringValue(cfg.String()) }

// MarshalJSON is [Config.String].
func (cfg Config) MarshalJSON() ([]byte, error) { return json.Marshal(cfg.String()) }
