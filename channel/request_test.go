package channel

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAllWhoListenHearOfRequests(t *testing.T) {
	var heard []string
	listen := func(who string) func(context.Context, Request) {
		return func(_ context.Context, r Request) { heard = append(heard, who+" "+r.Op) }
	}
	assert.Nil(t, Requests(t.Context()), "nobody listens")
	ctx := WithRequests(WithRequests(t.Context(), listen("host")), listen("engine"))
	Requests(ctx)(ctx, Request{Op: "read"})
	assert.Equal(t, []string{"host read", "engine read"}, heard)
}
