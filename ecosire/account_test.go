package ecosire

import (
	"log/slog"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/internal/httpx"
)

// epoch is when the tests of the account begin, by our clock and ECOSIRE's.
var epoch = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func s(seconds float64) time.Time { return epoch.Add(time.Duration(seconds * float64(time.Second))) }

// told is an answer to a request sent at a time: what is left until a reset.
func told(sent float64, remaining int, reset float64) *httpx.Response {
	return &httpx.Response{Status: 200, Sent: s(sent), Header: http.Header{
		"X-Ratelimit-Limit": {"60"}, "X-Ratelimit-Remaining": {strconv.Itoa(remaining)}, "X-Ratelimit-Reset": {strconv.FormatInt(s(reset).Unix(), 10)},
	}}
}

func dated(at float64, r *httpx.Response) *httpx.Response {
	r.Header.Set("Date", s(at).Format(http.TimeFormat))
	return r
}

func refused(r *httpx.Response) *httpx.Response { r.Status = 429; return r }

// silent is an answer without a word about the quota.
func silent(sent float64) *httpx.Response {
	return &httpx.Response{Status: 200, Sent: s(sent), Header: http.Header{}}
}

func unnamed(r *httpx.Response) *httpx.Response {
	r.Header.Del("X-RateLimit-Reset")
	return r
}

func retryAfter(seconds string, r *httpx.Response) *httpx.Response {
	r.Header.Set("Retry-After", seconds)
	return r
}

func TestAccount(t *testing.T) {
	type step struct {
		at     float64 // seconds
		send   int
		answer *httpx.Response
		lost   int // requests without an answer
		left   int
		rest   float64 // until the window ends
	}
	for name, steps := range map[string][]step{
		"nothing yet": {{at: 0, left: 60, rest: 60}},
		"sent and answered": {
			{at: 0, send: 3, left: 57, rest: 60}, {at: 10, left: 57, rest: 50},
			{at: 10, answer: told(0, 59, 70), left: 57, rest: 61}, {at: 10, answer: told(0, 58, 70), left: 57, rest: 61}, {at: 10, answer: told(0, 57, 70), left: 57, rest: 61},
			{at: 70.9, left: 57, rest: .1}, {at: 71, left: 60, rest: 60},
		},
		"answers overtake one another": {
			{at: 0, send: 3, left: 57, rest: 60}, {at: 1, answer: told(0, 57, 60), left: 55, rest: 60}, {at: 1, answer: told(0, 59, 60), left: 56, rest: 60},
			{at: 1, answer: told(0, 58, 60), left: 57, rest: 60},
		},
		"others": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 0, answer: told(0, 40, 60), left: 40, rest: 61}, {at: 30, send: 1, left: 39, rest: 31}, {at: 30, answer: told(30, 10, 60), left: 10, rest: 31},
		},
		"lost ones count": {{at: 0, send: 2, left: 58, rest: 60}, {at: 5, lost: 2, left: 58, rest: 55}},
		"a remainder of no window": {
			{at: 0, send: 2, left: 58, rest: 60}, {at: 5, answer: unnamed(told(0, 10, 60)), left: 58, rest: 60}, {at: 9, answer: unnamed(told(0, 9, 60)), left: 58, rest: 56},
		},
		"lost and silent ones count beside others": {
			{at: 0, send: 3, left: 57, rest: 60}, {at: 0, answer: told(0, 40, 60), left: 38, rest: 61}, {at: 1, lost: 1, left: 38, rest: 60},
			{at: 1, answer: silent(0), left: 38, rest: 60},
		},
		"silent ones count": {
			{at: 0, send: 2, left: 58, rest: 60}, {at: 5, answer: silent(0), left: 58, rest: 60}, {at: 9, answer: silent(0), left: 58, rest: 56},
		},
		"a bound from each answer": {
			{at: 0, send: 3, left: 57, rest: 60},
			// Answered at once, and ten seconds under way.
			{at: 10, answer: dated(0, told(0, 59, 60)), left: 57, rest: 61},
			// Told at 5, and three seconds under way.
			{at: 10, answer: dated(7, told(0, 58, 60)), left: 57, rest: 54},
			// A worse bound changes nothing, and nor does a reset rounded otherwise.
			{at: 10, answer: dated(3, told(0, 57, 61)), left: 57, rest: 54},
		},
		"a reset rounded otherwise": {
			{at: 0, send: 3, left: 57, rest: 60}, {at: 0, answer: told(0, 59, 60), left: 57, rest: 61}, {at: 0, answer: told(0, 58, 62), left: 57, rest: 61},
			{at: 0, answer: told(0, 57, 58), left: 57, rest: 59},
		},
		"a late reset rounded otherwise": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 0, answer: told(0, 59, 60), left: 59, rest: 61},
			{at: 55, send: 1, left: 58, rest: 6}, {at: 62, send: 1, left: 58, rest: 60}, {at: 63, answer: dated(55, told(55, 57, 62)), left: 59, rest: 59},
		},
		"ECOSIRE's clock": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 0, answer: dated(3600, told(0, 59, 3630)), left: 59, rest: 31},
			{at: 32, send: 1, left: 59, rest: 60}, {at: 32, answer: dated(3632, told(32, 59, 3692)), left: 59, rest: 61},
		},
		"a date of another clock": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 0, answer: dated(-7200, told(0, 59, 30)), left: 59, rest: 31},
		},
		"a late request counts where it arrives": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 0, answer: told(0, 59, 60), left: 59, rest: 61},
			{at: 55, send: 2, left: 57, rest: 6}, {at: 61.5, left: 58, rest: 60}, {at: 62, send: 1, left: 57, rest: 60},
			{at: 62, answer: told(62, 59, 122), left: 57, rest: 61},
			{at: 64, answer: told(55, 58, 60), left: 58, rest: 59},  // it had arrived before
			{at: 65, answer: told(55, 58, 122), left: 58, rest: 58}, // and this one had not
		},
		"a late answer before any of the window": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 0, answer: told(0, 59, 60), left: 59, rest: 61},
			{at: 55, send: 1, left: 58, rest: 6}, {at: 62, send: 1, left: 58, rest: 60},
			{at: 63, answer: told(55, 57, 60), left: 59, rest: 59}, {at: 63, answer: told(62, 58, 122), left: 58, rest: 60},
		},
		"a late answer, with its date, before any of the window": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 0, answer: told(0, 59, 60), left: 59, rest: 61},
			{at: 55, send: 3, left: 56, rest: 6}, {at: 62, send: 1, left: 56, rest: 60},
			{at: 63, answer: dated(55, told(55, 57, 60)), left: 57, rest: 59}, // of the window before
			{at: 64, answer: dated(62, told(55, 10, 122)), left: 8, rest: 61}, // counted in this one, with others
			{at: 64, answer: dated(55, told(55, 58, 60)), left: 9, rest: 61}, {at: 64, answer: dated(62, told(62, 9, 122)), left: 9, rest: 61},
		},
		"a late answer two windows on": {
			{at: 0, send: 2, left: 58, rest: 60}, {at: 0, answer: told(0, 59, 60), left: 58, rest: 61},
			{at: 62, send: 1, left: 58, rest: 60}, {at: 62, answer: silent(62), left: 58, rest: 60},
			{at: 123, send: 1, left: 58, rest: 60}, {at: 124, answer: dated(1, told(0, 58, 60)), left: 59, rest: 59},
		},
		"ECOSIRE's window ended earlier than we knew": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 10, answer: dated(0, told(0, 59, 60)), left: 59, rest: 61},
			{at: 65, send: 2, left: 57, rest: 6}, {at: 65, answer: told(65, 59, 125), left: 58, rest: 61}, {at: 65, answer: told(65, 58, 125), left: 58, rest: 61},
		},
		"a clock set back counts": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 0, answer: told(0, 59, 60), left: 59, rest: 61},
			{at: 5, send: 1, left: 58, rest: 56}, {at: 5, answer: dated(-3595, told(5, 10, -3540)), left: 58, rest: 56},
			{at: 61, send: 1, left: 59, rest: 60}, {at: 61, answer: dated(-3539, told(61, 59, -3479)), left: 59, rest: 61},
		},
		"a refusal closes the window": {
			{at: 0, send: 2, left: 58, rest: 60}, {at: 1, answer: refused(told(0, 30, 40)), left: -1, rest: 40}, {at: 1, answer: told(0, 29, 40), left: 0, rest: 40}, {at: 41, left: 60, rest: 60},
		},
		"a refusal at the end of a window": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 30, answer: refused(dated(31, told(0, 0, 30))), left: 0, rest: 1}, {at: 31, left: 60, rest: 60},
		},
		"a refusal without headers": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 20, answer: refused(silent(0)), left: 0, rest: 60},
		},
		"a later refusal without headers": {
			{at: 0, send: 2, left: 58, rest: 60}, {at: 20, answer: told(0, 59, 60), left: 58, rest: 41}, {at: 20, answer: refused(silent(0)), left: 0, rest: 41},
		},
		"a refusal that says when": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 20, answer: refused(retryAfter("7", silent(0))), left: 0, rest: 7},
		},
		"a refusal that says two things": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 20, answer: refused(retryAfter("7", told(0, 0, 50))), left: 0, rest: 31},
		},
		"a refusal for a day": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 20, answer: refused(retryAfter("86400", silent(0))), left: 0, rest: 120},
		},
		"a refusal of the window before": {
			{at: 0, send: 2, left: 58, rest: 60}, {at: 0, answer: told(0, 59, 60), left: 58, rest: 61}, {at: 61, send: 1, left: 58, rest: 60},
			{at: 62, answer: refused(told(0, 0, 60)), left: 59, rest: 59},
		},
		"a silent refusal of the window before": {
			{at: 0, send: 2, left: 58, rest: 60}, {at: 0, answer: told(0, 59, 60), left: 58, rest: 61}, {at: 61, send: 1, left: 58, rest: 60},
			{at: 62, answer: refused(silent(0)), left: 59, rest: 59},
		},
		"a reset too far away": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 1, answer: told(0, 59, 121), left: 59, rest: 60},
		},
		"a reset just near enough": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 1, answer: told(0, 59, 120), left: 59, rest: 120},
		},
		"a reset that has passed": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 2, answer: told(0, 59, 0), left: 59, rest: 60},
		},
		"a reset just now": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 1.5, answer: told(0, 59, 1), left: 59, rest: .5},
		},
		"a reset this very moment": {
			{at: 0, send: 1, left: 59, rest: 60}, {at: 2, answer: told(0, 59, 1), left: 60, rest: 60},
		},
		"negative and too large": {
			{at: 0, send: 2, left: 58, rest: 60}, {at: 0, answer: told(0, 99, 60), left: 58, rest: 61}, {at: 0, answer: told(0, -99, 60), left: 0, rest: 61},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := account{odd: newOddities(slog.New(slog.DiscardHandler)), limit: defaultLimit}
			for _, st := range steps {
				for range st.send {
					a.send(s(st.at))
				}
				if st.answer != nil {
					a.answered(t.Context(), st.answer, s(st.at))
				}
				for range st.lost {
					a.answered(t.Context(), nil, s(st.at))
				}
				left, rest := a.left(s(st.at))
				assert.Equal(t, st.left, left, "at %v", st.at)
				assert.InDelta(t, st.rest, rest.Seconds(), .001, "at %v", st.at)
			}
		})
	}
}

func TestAccountOfOthersAndCeilings(t *testing.T) {
	a := account{odd: newOddities(slog.New(slog.DiscardHandler)), limit: defaultLimit, ceiling: 10}
	a.send(s(0))
	a.send(s(0))
	left, _ := a.left(s(0))
	assert.Equal(t, 8, left)
	a.answered(t.Context(), told(0, 30, 60), s(0)) // 30 of which one is ours, and one more may be
	left, _ = a.left(s(0))
	assert.Equal(t, 8, left)
	a.answered(t.Context(), told(0, 5, 60), s(0))
	left, _ = a.left(s(0))
	assert.Equal(t, 5, left)
	assert.Equal(t, 10, a.most())
	left, _ = a.left(s(61))
	assert.Equal(t, 10, left)
	a.send(s(61))
	assert.Equal(t, 53, a.others)
	a.answered(t.Context(), told(61, 59, 121), s(61))
	a.send(s(100))
	a.send(s(122)) // the one before may have counted in its window
	assert.Equal(t, 0, a.others)
	left, _ = a.left(s(122))
	assert.Equal(t, 8, left)

	a.answered(t.Context(), nil, s(123))
	a.answered(t.Context(), told(122, 58, 182), s(123))
	left, _ = a.left(s(123))
	assert.Equal(t, 8, left, "the lost one counts, too")

	for header, want := range map[string]int{"100": 100, "0": 60, "-5": 60, "x": 60, "1000000000": maxLimit, "1": 1} {
		a := account{odd: newOddities(slog.New(slog.DiscardHandler)), limit: defaultLimit}
		a.send(s(0))
		r := told(0, 0, 60)
		r.Header.Set("X-RateLimit-Limit", header)
		a.answered(t.Context(), r, s(0))
		assert.Equal(t, want, a.most(), header)
	}
}
