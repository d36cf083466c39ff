package woocommerce

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"

	"github.com/ecosire/stocksync/internal/httpx"
)

const redacted = "[redacted]"

// shown is a Config as it may be printed.
type shown struct {
	URL                         string
	ConsumerKey, ConsumerSecret string
	Parallel                    int
	Rate                        float64
}

func (c Config) shown() shown {
	s := shown{Parallel: c.Parallel, Rate: c.Rate}
	if u, err := url.Parse(c.URL); err == nil {
		s.URL = httpx.Endpoint(u)
	}
	if c.ConsumerKey != "" {
		s.ConsumerKey = redacted
	}
	if c.ConsumerSecret != "" {
		s.ConsumerSecret = redacted
	}
	return s
}

// Format prints the configuration without its key, whatever the verb. A
// struct that holds a Config in an unexported field is printed by package fmt
// without asking: hold the [Client] there, which has nothing to hide.
func (c Config) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "woocommerce.Config%+v", c.shown()) }

// LogValue keeps the key out of logs.
func (c Config) LogValue() slog.Value { return slog.AnyValue(c.shown()) }

// MarshalJSON keeps the key out of JSON.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.shown()) }
