package channel_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ecosire/stocksync/channel"
)

// shelf is a channel: the labels on a shelf.
type shelf map[string]int

func (s shelf) Name() string { return "shelf" }

func (s shelf) Push(_ context.Context, updates []channel.Update) error {
	errs := make(channel.Errors)
	for _, u := range updates {
		if _, ok := s[u.SKU]; !ok {
			errs[u.SKU] = channel.UnknownSKU(u.SKU, "TEA-GREEN")
			continue
		}
		s[u.SKU] = u.Quantity
	}
	return errs.Err()
}

// Levels makes it a channel.Reader.
func (s shelf) Levels(_ context.Context, skus []string) ([]channel.Level, error) {
	var levels []channel.Level
	for _, sku := range skus {
		if n, ok := s[sku]; ok {
			levels = append(levels, channel.Level{SKU: sku, Quantity: n})
		}
	}
	return levels, nil
}

func Example() {
	s := shelf{"TEA-GREEN": 1, "TEA-BLACK": 2}
	err := s.Push(context.Background(), []channel.Update{
		{SKU: "TEA-BLACK", Quantity: 9},
		{SKU: "tea-green", Quantity: 5},
	})
	fmt.Println(s["TEA-BLACK"], s["TEA-GREEN"])
	fmt.Println(errors.Is(err, channel.ErrUnknownSKU))
	fmt.Println(err)
	// Output:
	// 9 1
	// true
	// 1 not shown; "tea-green": unknown SKU "tea-green": did you mean "TEA-GREEN"? SKUs must match exactly
}

// A wrapper does not hide what the channel inside can do.
func ExampleAs() {
	var c channel.Channel = shelf{}
	_, ok := channel.As[channel.Reader](struct{ unwrapper }{unwrapper{c}})
	fmt.Println(ok)
	// Output: true
}

type unwrapper struct{ c channel.Channel }

func (u unwrapper) Name() string { return u.c.Name() }
func (u unwrapper) Push(ctx context.Context, updates []channel.Update) error {
	return u.c.Push(ctx, updates)
}
func (u unwrapper) Unwrap() channel.Channel { return u.c }
