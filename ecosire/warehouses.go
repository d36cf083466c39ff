package ecosire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/url"
	"slices"
	"sync"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
)

// That the list of products can be filtered by warehouseId is documented, and
// not what that does to the quantities. So what single warehouses have is checked
// against what all have together: it must not add up to more.

// quantities reads at most a page of products, with what is in the warehouses
// that the context names.
func (n *naming) quantities(ids []string, once bool) ([]channel.Stock, error) {
	warehouses, total := channel.Warehouses(n.ctx)
	if len(warehouses) == 1 && !total && !n.all {
		stocks, err := n.only(n.ctx, ids, warehouses[0], once)
		if err == nil || !partial(err) {
			return stocks, err
		}
		n.all = true // to see whether it is the warehouse or one of the products
	}
	b, err := n.batch(n.ctx, ids, "", once)
	if err != nil {
		return nil, err
	}
	b.attribute()
	return b.found, n.split(n.ctx, b.found, warehouses)
}

// only reads products in one warehouse, if nothing else is of interest. Those
// that are not in it are looked for everywhere: they may exist.
func (c *Client) only(ctx context.Context, ids []string, warehouse string, once bool) ([]channel.Stock, error) {
	b, err := c.batch(ctx, ids, warehouse, once)
	if err != nil {
		return nil, err
	}
	b.attribute()
	for i := range b.found {
		put(&b.found[i], warehouse, b.found[i], true)
	}
	if len(b.missing) == 0 {
		return b.found, nil
	}
	rest, err := c.batch(ctx, b.missing, "", once)
	if err != nil {
		return nil, err
	}
	rest.attribute()
	for _, s := range rest.found {
		put(&s, warehouse, channel.Stock{AsOf: s.AsOf}, b.whole)
		s.OnHand, s.Reserved, s.Available = 0, 0, 0
		b.found = append(b.found, s)
	}
	return b.found, nil
}

// split fills in what is in single warehouses. What adds up to more than there
// is gets another look: something may have been moved meanwhile.
func (c *Client) split(ctx context.Context, stocks []channel.Stock, warehouses []string) error {
	if len(warehouses) == 0 {
		return nil
	}
	if err := c.parts(ctx, stocks, warehouses); err != nil {
		return err
	}
	again := make(map[string]int)
	for i, s := range stocks {
		if s.Err == nil && !addsUp(s) {
			again[s.ProductID] = i
		}
	}
	if len(again) == 0 {
		return nil
	}
	ids := make([]string, 0, len(again))
	for id := range again {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	b, err := c.batch(ctx, ids, "", false)
	if err != nil {
		return err
	}
	if err := c.parts(ctx, b.found, warehouses); err != nil {
		return err
	}
	for _, s := range b.found {
		if s.Err == nil && !addsUp(s) {
			s.Err = fmt.Errorf("ecosire: %d units in single warehouses, %d of them available, and %d and %d in all together",
				sum(s).OnHand, sum(s).Available, s.OnHand, s.Available)
			c.odd.once(ctx, slog.LevelError, "the quantities of warehouses add up to more than there is", s.ProductID,
				slog.String("product", text.Clean(s.ProductID)), slog.String("sku", text.Clean(s.SKU)), slog.Any("err", s.Err))
		}
		stocks[again[s.ProductID]] = s
		delete(again, s.ProductID)
	}
	for _, i := range again { // gone meanwhile
		stocks[i].Err = errors.New("ecosire: the quantities of warehouses add up to more than there is, and there is no answer to a second look")
	}
	return nil
}

func sum(s channel.Stock) (sum channel.Quantity) {
	for _, q := range s.Warehouses {
		sum.OnHand += q.OnHand
		sum.Reserved += q.Reserved
		sum.Available += q.Available
	}
	return sum
}

func addsUp(s channel.Stock) bool {
	sum := sum(s)
	return sum.OnHand <= s.OnHand && sum.Available <= s.Available
}

// parts reads what is in each of the warehouses, side by side.
func (c *Client) parts(ctx context.Context, stocks []channel.Stock, warehouses []string) error {
	at := make(map[string]*channel.Stock, len(stocks))
	var ids []string
	for i := range stocks {
		if s := &stocks[i]; s.Err == nil {
			at[s.ProductID] = s
			ids = append(ids, s.ProductID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	var chunks [][]string
	for rest := ids; len(rest) > 0; rest = rest[len(chunks[len(chunks)-1]):] {
		chunks = append(chunks, rest[:c.chunk(rest)])
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for _, w := range warehouses {
		for _, ids := range chunks {
			wg.Go(func() {
				b, err := c.batch(ctx, ids, w, false)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil && final(err):
					// The warehouse, and no product, is to blame: all of them were answered just now.
					c.odd.once(ctx, slog.LevelError, "ECOSIRE refuses a warehouse; what is in it is not known", w,
						slog.String("warehouse", text.Clean(w)), slog.Any("err", err))
				case err != nil:
					failed = cmp.Or(failed, inWarehouse(w, err))
					cancel()
				default:
					b.attribute()
					for _, part := range b.found {
						if s := at[part.ProductID]; s != nil {
							put(s, w, part, true)
						}
					}
					for _, id := range b.missing {
						put(at[id], w, channel.Stock{AsOf: at[id].AsOf}, b.whole)
					}
				}
			})
		}
	}
	wg.Wait()
	return failed
}

// put notes what of a product is in a warehouse. whole is whether ECOSIRE's
// answer vouches for it.
func put(s *channel.Stock, warehouse string, part channel.Stock, whole bool) {
	switch {
	case s.Err != nil:
		return
	case part.Err != nil:
		s.Err = inWarehouse(warehouse, part.Err)
		return
	case !whole:
		s.Err = fmt.Errorf("ecosire: warehouse %q: the product is not in the answer, which does not say that it is whole", text.Clean(warehouse))
		return
	case s.Warehouses == nil:
		s.Warehouses = make(map[string]channel.Quantity)
	}
	s.Warehouses[warehouse] = channel.Quantity{OnHand: part.OnHand, Reserved: part.Reserved, Available: part.Available}
	if part.AsOf.Before(s.AsOf) {
		s.AsOf = part.AsOf
	}
}

// inWarehouse is an error about a warehouse. It is not one of the products that
// were asked for.
func inWarehouse(warehouse string, err error) error {
	return &warehouseError{warehouse, err}
}

type warehouseError struct {
	warehouse string
	err       error
}

func (e *warehouseError) Error() string {
	return fmt.Sprintf("ecosire: warehouse %q: %v", text.Clean(e.warehouse), e.err)
}
func (e *warehouseError) Unwrap() error { return e.err }

// catalogue reads all products, with what is in the warehouses that ctx names.
func (c *Client) catalogue(ctx context.Context, start int, after string) iter.Seq2[channel.Stock, error] {
	warehouses, total := channel.Warehouses(ctx)
	return func(yield func(channel.Stock, error) bool) {
		l := c.products(ctx)
		l.cost, l.start, l.after = 1+len(warehouses), start, after
		l.total = func(n int) { channel.Expect(ctx, n) }
		only := ""
		if len(warehouses) == 1 && !total && c.hasAll(ctx, warehouses[0]) {
			only, l.cost, l.query = warehouses[0], 1, url.Values{"warehouseId": warehouses}
		}
		for p, err := range l.pages(ctx, c) {
			if err == nil && only == "" {
				err = c.split(ctx, p.entries, warehouses)
			}
			if err != nil {
				yield(channel.Stock{}, err)
				return
			}
			for _, s := range p.entries {
				if start > 0 && s.ProductID != "" && s.ProductID <= after {
					continue // it came before
				}
				if only != "" {
					put(&s, only, s, true)
				}
				if !yield(s, nil) {
					return
				}
			}
		}
	}
}

// hasAll reports whether every product is in a warehouse, so that its list is
// that of all products.
func (c *Client) hasAll(ctx context.Context, warehouse string) bool {
	all, err := c.count(ctx, "")
	if err != nil {
		return false
	}
	there, err := c.count(ctx, warehouse)
	return err == nil && there >= all
}
