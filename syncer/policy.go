package syncer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ecosire/stocksync/channel"
)

// A Policy decides how many units of a product a channel shows. It is a list
// of named steps, so that the way to a quantity can be told; see
// [Policy.Explain]. The zero Policy is [Available].
//
// Policies begin with [Available], [In] or [Custom] and are built by chaining.
// They work in the order in which they are written:
// Available().Share(50).Buffer(2) shows half of what is available, less two.
// What comes out is never below 0. For channels that divide the stock among
// themselves see [Policy.Split].
//
// A policy is pure: the same stock always gives the same quantity, or channels
// would be written for ever. A step that would show more than there is, such as
// Share(150), makes [New] fail.
type Policy struct {
	steps      []step
	warehouses []string // that In names
	total      bool     // a step uses the quantities of all warehouses together
	foreign    bool     // a step is the host's own
	err        error    // of a step that makes no sense
}

type step struct {
	name string
	do   func(s channel.Stock, before int) (int, error)
}

// take takes the step. What is no quantity, as after an overflow, is an error.
func (st *step) take(s channel.Stock, before int) (int, error) {
	n, err := st.do(s, before)
	if err == nil && !sound(n) {
		err = fmt.Errorf("%w: %d is no quantity", channel.ErrInvalid, n)
	}
	if err != nil {
		return 0, fmt.Errorf("policy %q: %w", st.name, err)
	}
	return n, nil
}

// A Step is what one step of a [Policy] made of a product's stock.
type Step struct {
	Name     string `json:"name"`
	Quantity int    `json:"quantity"`
}

// Available shows what is available, and 0 where more is promised than there
// is. It is the policy of a [Target] that has none.
func Available() Policy { return available }

var available = Policy{total: true}.add("available", func(s channel.Stock, _ int) (int, error) { return max(0, s.Available), nil })

// In shows what is available in the named warehouses together, by the source's
// own ids, and 0 where more is promised than there is. A product whose quantity
// in one of them is not known is a problem, and never a zero. Naming a warehouse
// twice is refused.
//
// The [Syncer] reads the warehouses that the policies of its targets name, and no
// others ([channel.WithWarehouses]). At ECOSIRE each costs as many requests as
// all together do. If the policies name a single warehouse, and none has a step
// that may use the total ([Available], [Custom], [Policy.Then]), the total need
// not be read: Filter and Listings then see that warehouse's quantities.
func In(warehouses ...string) Policy {
	p := Policy{warehouses: slices.Clone(warehouses)}
	if len(warehouses) == 0 {
		return p.wrong(errors.New("In() names no warehouse"))
	}
	for i, w := range warehouses {
		switch {
		case strings.TrimSpace(w) == "":
			return p.wrong(errors.New("In names a warehouse without an id"))
		case slices.Contains(warehouses[:i], w):
			return p.wrong(fmt.Errorf("In names the warehouse %q twice, and would show its units twice", w))
		}
	}
	return p.add("in "+strings.Join(warehouses, ", "), func(s channel.Stock, _ int) (int, error) {
		q, err := s.In(p.warehouses...)
		return max(0, q.Available), err
	})
}

// Custom is a policy of the host's own, as one step with a name. An error
// means that the quantity is not known: it is a problem of that product, which
// is changed nowhere, and never a zero. So is a number of 2⁵³ or more, either way. It
// is called for each product, and should return at once; see [Target].
func Custom(name string, quantity func(channel.Stock) (int, error)) Policy {
	if quantity == nil {
		return Policy{}.wrong(fmt.Errorf("the step %q has no function", name))
	}
	return Policy{total: true, foreign: true}.add(name, func(s channel.Stock, _ int) (int, error) { return quantity(s) })
}

// Then adds a step of the host's own, which is given what the steps before it
// came to. Its error, and how soon it should return, are as for [Custom]. After [In]
// the stock has the quantities of the warehouses that In names, in its field
// Warehouses.
func (p Policy) Then(name string, quantity func(s channel.Stock, before int) (int, error)) Policy {
	if quantity == nil {
		return p.wrong(fmt.Errorf("the step %q has no function", name))
	}
	p = p.orDefault()
	p.total, p.foreign = true, true
	return p.add(name, quantity)
}

// add adds a step.
func (p Policy) add(name string, do func(s channel.Stock, before int) (int, error)) Policy {
	p.steps = append(slices.Clip(p.steps), step{name, do})
	return p
}

// Buffer withholds units as safety stock, never below 0.
func (p Policy) Buffer(units int) Policy {
	if units < 0 {
		return p.wrong(fmt.Errorf("Buffer(%d) would show more than there is", units))
	}
	return p.orDefault().add(fmt.Sprintf("buffer %d", units), func(_ channel.Stock, n int) (int, error) { return max(0, max(0, n)-units), nil })
}

// Cap shows at most units.
func (p Policy) Cap(units int) Policy {
	if units < 0 {
		return p.wrong(fmt.Errorf("Cap(%d) is no quantity", units))
	}
	return p.orDefault().add(fmt.Sprintf("cap %d", units), func(_ channel.Stock, n int) (int, error) { return min(units, n), nil })
}

// Share shows percent % of the quantity, rounded down. Of few units the shares of
// several channels lose the last ones: of 1 both Share(80) and Share(20) show 0.
// See [Policy.Split].
func (p Policy) Share(percent int) Policy {
	if percent < 0 || percent > 100 {
		return p.wrong(fmt.Errorf("Share(%d): a share is from 0 to 100 %%", percent))
	}
	return p.orDefault().add(fmt.Sprintf("share %d %%", percent), func(_ channel.Stock, n int) (int, error) {
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

// basis is what the policy has of a product to begin with: what is in its
// warehouses, or in all.
func (p Policy) basis(s *channel.Stock) channel.Quantity {
	if len(p.warehouses) > 0 {
		if q, err := s.In(p.warehouses...); err == nil {
			return q
		}
	}
	return channel.Quantity{OnHand: s.OnHand, Reserved: s.Reserved, Available: s.Available}
}

// Quantity applies the policy. The error is of the step that does not know, or
// of one that makes no sense.
func (p Policy) Quantity(s channel.Stock) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n := 0
	for _, step := range p.orDefault().steps {
		var err error
		if n, err = step.take(s, n); err != nil {
			return 0, err
		}
	}
	return max(0, n), nil
}

// Explain applies the policy and tells what each step came to. If a step does
// not know, the steps before it are told with its error.
func (p Policy) Explain(s channel.Stock) ([]Step, error) {
	if p.err != nil {
		return nil, p.err
	}
	var steps []Step
	n := 0
	for _, step := range p.orDefault().steps {
		var err error
		if n, err = step.take(s, n); err != nil {
			return steps, err
		}
		steps = append(steps, Step{step.name, max(0, n)})
	}
	return steps, nil
}
