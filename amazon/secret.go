package amazon

import (
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/text"
)

// String describes a configuration without credentials.
func (c Config) String() string {
	return fmt.Sprintf("amazon.Config{SellerID: %q, Region: %q, Credentials: [redacted], BaseURL: %q}", text.Clean(c.SellerID), text.Clean(c.Region), httpx.Printable(c.BaseURL))
}

// Format prints String, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// LogValue is String.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON is String.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }
