package syncer

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/channel"
)

// What Push answers is about single updates only if nothing else can be meant.
func TestAnswers(t *testing.T) {
	some := []change{{want: want{sku: "A"}}, {want: want{sku: "B"}}}
	own := channel.Errors{"A": channel.ErrInvalid}
	for name, tt := range map[string]struct {
		err  error
		want channel.Errors // nil if the error is the channel's
	}{
		"nothing":              {nil, nil},
		"the channel's":        {channel.ErrUnavailable, nil},
		"one update's":         {own, own},
		"one update's, marked": {fmt.Errorf("push: %w", own), own},
		"of another SKU":       {channel.Errors{"A": channel.ErrInvalid, "C": channel.ErrInvalid}, nil},
		"joined":               {errors.Join(own, errors.New("odd")), nil},
	} {
		errs, err := answers(tt.err, some)
		assert.Equal(t, tt.want, errs, name)
		assert.Equal(t, tt.err != nil && tt.want == nil, err != nil, name)
		if err != nil {
			assert.False(t, channel.Permanent(err), "%s: nobody knows which of them were refused", name)
			assert.ErrorIs(t, err, channel.ErrUnavailable, name)
		}
	}
}

// Only a service that may be down fails in passing.
func TestPassing(t *testing.T) {
	for _, tt := range []struct {
		err     error
		passing bool
	}{
		{channel.ErrUnavailable, true},
		{channel.ErrUnclear, true},
		{errors.New("odd"), false},
		{channel.ErrInvalid, false},
		{channel.ErrConflict, false},
		{channel.ErrPending, false},
		{errors.Join(channel.ErrConflict, channel.ErrUnavailable), false},
		{errors.Join(channel.ErrPending, channel.ErrUnavailable), false},
		{errors.Join(channel.ErrInvalid, channel.ErrUnavailable), false},
	} {
		assert.Equal(t, tt.passing, passing(channel.Errors{"A": tt.err}), tt.err)
	}
}
