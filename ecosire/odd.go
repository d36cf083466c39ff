package ecosire

import (
	"context"
	"log/slog"
	"sync"
)

// oddities logs what is odd about ECOSIRE's answers, each thing once.
type oddities struct {
	logger *slog.Logger
	mu     sync.Mutex
	logged map[[2]string]struct{}
}

// maxOddities is how many things of a kind are logged; the others are silent.
const maxOddities = 10_000

func newOddities(logger *slog.Logger) *oddities {
	return &oddities{logger: logger, logged: make(map[[2]string]struct{})}
}

// once logs a message about one thing, such as a product's id, if it is the
// first with these words.
func (o *oddities) once(ctx context.Context, level slog.Level, message, thing string, attrs ...slog.Attr) {
	if !o.logger.Enabled(ctx, level) {
		return
	}
	o.mu.Lock()
	key := [2]string{message, thing}
	_, known := o.logged[key]
	if known = known || len(o.logged) >= maxOddities; !known {
		o.logged[key] = struct{}{}
	}
	o.mu.Unlock()
	if !known {
		o.logger.LogAttrs(ctx, level, message, attrs...)
	}
}
