package syncer

import (
	"fmt"
	"slices"

	"github.com/ecosire/stocksync/channel"
)

// A Policy decides how many units of a product a channel shows. It is a list
// of named steps, so that the way to a quantity can be told; see
// [Policy.Explain]. The zero Policy is [Available].
//
// Policies are built by chaining, and work in the order in which they are
// written: Available().Share(50).Buffer(2) shows half of what is available,
// less two. What comes out is never below 0.
//
// A policy is pure: the same stock always gives the same quantity, or channels
// would be written for ever.
type Policy struct {
	steps []step
	err   error // of a step that makes no sense
}

type step struct {
	name string
	do   func(s channel.Stock, before int) (int, error)
}

// A Step is what one step of a [Policy] made of a product's stock.
type Step struct {
	Name     string `json:"name"`
	Quantity int    `json:"quantity"`
}

// Available shows what is available, and 0 where more is promised than there
// is. It is the policy of a [Target] that has none.
func Available() Policy { return available }

var available = Policy{}.Then("available", func(s channel.Stock, _ int) (int, error) { return max(0, s.Available), nil })

// Custom is a policy of the host's own, as one step with a name. An error
// means that the quantity is not known: it is a problem of that product, which
// is changed nowhere, and never a zero.
func Custom(name string, quantity func(channel.Stock) (int, error)) Policy {
	return Policy{}.Then(name, func(s channel.Stock, _ int) (int, error) { return quantity(s) })
}

// Then adds a step of the host's own, which is given what the steps before it
// came to. Its error is as for [Custom].
func (p Policy) Then(name string, quantity func(s channel.Stock, before int) (int, error)) Policy {
	if quantity == nil {
		return p.wrong(fmt.Errorf("the step %q has no function", name))
	}
	p.steps = append(slices.Clip(p.steps), step{name, quantity})
	return p
}

// Buffer withholds units as safety stock, never below 0.
func (p Policy) Buffer(units int) Policy {
	if units < 0 {
		return p.wrong(fmt.Errorf("Buffer(%d) would show more than there is", units))
	}
	return p.Then(fmt.Sprintf("buffer %d", units), func(_ channel.Stock, n int) (int, error) { return max(0, n-units), nil })
}

// Cap shows at most units.
func (p Policy) Cap(units int) Policy {
	if units < 0 {
		return p.wrong(fmt.Errorf("Cap(%d) is no quantity", units))
	}
	return p.Then(fmt.Sprintf("cap %d", units), func(_ channel.Stock, n int) (int, error) { return min(units, n), nil })
}

// Share shows percent % of the quantity, rounded down.
func (p Policy) Share(percent int) Policy {
	if percent < 0 || percent > 100 {
		return p.wrong(fmt.Errorf("Share(%d): a share is from 0 to 100 %%", percent))
	}
	return p.Then(fmt.Sprintf("share %d %%", percent), func(_ channel.Stock, n int) (int, error) {
		return n/100*percent + n%100*percent/100, nil // in two parts, so that no quantity overflows
	})
}

// wrong makes New refuse the policy.
func (p Policy) wrong(err error) Policy {
	if p.err == nil {
		p.err = err
	}
	return p
}

func (p Policy) orDefault() Policy {
	if len(p.steps) == 0 && p.err == nil {
		return available
	}
	return p
}

// Quantity applies the policy. The error is of the step that does not know.
func (p Policy) Quantity(s channel.Stock) (int, error) {
	n := 0
	for _, step := range p.orDefault().steps {
		var err error
		if n, err = step.do(s, n); err != nil {
			return 0, fmt.Errorf("policy %q: %w", step.name, err)
		}
	}
	return max(0, n), nil
}

// Explain applies the policy and tells what each step came to. If a step does
// not know, the steps before it are told with its error.
func (p Policy) Explain(s channel.Stock) ([]Step, error) {
	var steps []Step
	n := 0
	for _, step := range p.orDefault().steps {
		var err error
		if n, err = step.do(s, n); err != nil {
			return steps, fmt.Errorf("policy %q: %w", step.name, err)
		}
		steps = append(steps, Step{step.name, max(0, n)})
	}
	return steps, nil
}
