package square

import (
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/text"
)

// String describes a configuration without credentials.
func (c Config) String() string {
	return fmt.Sprintf("square.Config{Token: [redacted], BaseURL: %q, Version: %q}", httpx.Printable(c.BaseURL), text.Clean(c.Version))
}

// Format prints String, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// LogValue is String.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON is String.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }
