package syncer

import "github.com/ecosire/stocksync/channel"

// A Policy decides how many units of a product a channel shows. It is a pure
// function: the same stock always gives the same number, or channels would be
// written for ever.
//
// Policies are built by chaining, and work in the order in which they are
// written: Available().Share(50).Buffer(2) shows half of what is available,
// less two.
type Policy func(channel.Stock) int

// Available shows what is available, and 0 where more is promised than there
// is. It is the policy of a [Target] that has none.
func Available() Policy {
	return func(s channel.Stock) int { return max(0, s.Available) }
}

// Buffer holds back so many units, down to 0, as a reserve against sales that
// are not known yet.
func (p Policy) Buffer(units int) Policy {
	return func(s channel.Stock) int { return max(0, p(s)-units) }
}

// Cap shows no more than so many units.
func (p Policy) Cap(units int) Policy {
	return func(s channel.Stock) int { return min(units, p(s)) }
}

// Share shows so many hundredths of the units, rounded down.
func (p Policy) Share(percent int) Policy {
	return func(s channel.Stock) int {
		// In two parts, so that no quantity overflows.
		n := p(s)
		return n/100*percent + n%100*percent/100
	}
}

// AtLeastZero shows 0 where the policy would show less. The policies of this
// package never do; it is for chaining after one of the host's own.
func (p Policy) AtLeastZero() Policy {
	return func(s channel.Stock) int { return max(0, p(s)) }
}
