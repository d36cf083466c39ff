package ecosire

import (
	"fmt"
	"log/slog"

	"github.com/ecosire/stocksync/internal/httpx"
)

// What follows keeps credentials out of whatever prints, logs or encodes the
// values that hold them. A Client and a Webhooks keep them where fmt does not
// look; a Config, whose key is a plain string, is to be passed on to New and not
// to be kept.

// String describes a configuration without its key.
func (c Config) String() string {
	return fmt.Sprintf("ecosire.Config{APIKey: [redacted], BaseURL: %q}", httpx.Printable(c.BaseURL))
}

// Format prints String, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// LogValue is String.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText is String, so that JSON has no key either.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// String says which ECOSIRE the client talks to.
func (c *Client) String() string { return "ecosire.Client(" + c.base.Host + ")" }

// GoString is String.
func (c *Client) GoString() string { return c.String() }

// LogValue is String.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText is String.
func (c *Client) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
