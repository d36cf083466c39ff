package shopify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

const (
	// maxPages bounds a search for several SKUs. Usually one page holds all
	// that they find; if it takes more, one of them is the beginning of very
	// many, and is searched for alone.
	maxPages = 3
	// maxPagesAlone bounds a search for one SKU: 2000 items. Shopify itself
	// ends it at 25,000.
	maxPagesAlone = 8
	// indexLag is how long an item may take until the search finds it. Until
	// then an SKU that is searched for in vain is one that is not known yet.
	// Shopify documents no time.
	indexLag = 3 * time.Minute
	// indexLagAgain is the same for an SKU that was asked for in vain earlier on
	// the same day: most of these are just not sold in the shop.
	indexLagAgain = 30 * time.Second
)

// errFlood ends a search that finds too many items which are not meant.
var errFlood = errors.New("the search finds too many other items")

const (
	// searchParallel is how many searches of one call are under way at once: all
	// for 1,000 SKUs. They are short, and only the points bound them.
	searchParallel = 40
	// fewPlaces are those of the first page of a search for several SKUs: of 250 it
	// would cost half as much again. Usually 25 SKUs find little more than 25 items.
	fewPlaces = 50
)

// searchPrice is what a search for several SKUs costs, or will by the way in which
// Shopify prices lists: 2 points, and as many times the price of an entry as
// twice the logarithm of the number of places, rounded down.
func (c *Client) searchPrice() float64 {
	guess := findItems.guess
	if list := c.bucket.price(listItems.query, 0); list > 2 {
		factor := func(places float64) float64 { return math.Floor(2 * math.Log(places)) }
		guess = math.Ceil(2 + (list-2)*factor(fewPlaces)/factor(maxInput))
	}
	return c.bucket.price(findItems.first(fewPlaces, 0).document, guess)
}

// lookup searches for the SKUs, and adds the items that they stand for, and
// those that they nearly stand for, to the index. problems says for which SKUs
// the search did not tell all.
func (c *Client) lookup(ctx context.Context, skus []string) (problems map[string]error, _ error) {
	var mu sync.Mutex
	problems = make(map[string]error)
	blame := func(sku string, err error) {
		mu.Lock()
		defer mu.Unlock()
		problems[sku] = err
	}
	var parts [][]string
	rest := skus[:0:0]
	for _, sku := range skus {
		if why, ok := c.floods.get(hashOf(sku)); !ok {
			rest = append(rest, sku)
		} else if why.alone {
			parts = append(parts, []string{sku})
		} else {
			blame(sku, why.err)
		}
	}
	parts = append(parts, slices.Collect(slices.Chunk(rest, maxTerms))...)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(searchParallel)
	for _, terms := range parts {
		group.Go(func() error { return c.searchSome(ctx, terms, blame) })
	}
	return problems, group.Wait()
}

// A hardSearch is an SKU that the search has trouble with.
type hardSearch struct {
	alone bool  // it is searched for alone
	err   error // or not at all for a while, for this reason
}

// searchSome searches for up to 25 SKUs. Those that spoil the search are found.
func (c *Client) searchSome(ctx context.Context, skus []string, blame func(string, error)) error {
	spoils := func(sku string, err error) {
		hard := hardSearch{alone: true}
		if errors.Is(err, errFlood) {
			hard = hardSearch{err: fmt.Errorf("%w: shopify: the search for %q finds %d other items that are like it, and was given up: a run over the whole catalogue finds it all the same",
				channel.ErrIncomplete, clip(sku), maxPagesAlone*maxInput)}
			err = hard.err
			c.logger.LogAttrs(ctx, slog.LevelWarn, "the search for an SKU finds too many other items; it is not searched for again until tomorrow",
				slog.String("shop", c.shop), slog.String("sku", text.Clean(sku)))
		}
		c.floods.put(hashOf(sku), hard)
		blame(sku, err)
	}
	since := time.Now()
	known := false
	if len(skus) == 1 {
		_, known = c.floods.get(hashOf(skus[0]))
	}
	err := c.search(ctx, skus, maxPages, blame, !known)
	if len(skus) == 1 {
		switch {
		case errors.Is(err, errFlood):
			spoils(skus[0], err)
			return nil
		case known && err == nil:
			c.floods.drop(hashOf(skus[0]))
		case known && aboutEntries(err) && c.blameable(ctx, err, since):
			spoils(skus[0], err)
			return nil
		}
		return err
	}
	if err == nil || !c.blameable(ctx, err, since) {
		return err
	}
	_, err = halve(skus, func(some []string) ([]string, error) {
		return some, c.search(ctx, some, maxPages, blame, false)
	}, spoils, aboutEntries)
	return err
}

// search reads the result of one search to its end.
func (c *Client) search(ctx context.Context, skus []string, pages int, blame func(string, error), repeat bool) error {
	if len(skus) == 1 {
		pages = maxPagesAlone
	}
	places, op := maxInput, findItems.first(maxInput, findItems.guess)
	if len(skus) > 1 {
		places, op = fewPlaces, findItems.first(fewPlaces, c.searchPrice())
	}
	if !repeat {
		op = op.once()
	}
	wanted := make(map[string]bool, len(skus))
	terms := make([]string, len(skus))
	for i, sku := range skus {
		wanted[fold(sku)] = true
		terms[i] = term(sku)
	}
	vars := findItemsVars{Query: strings.Join(terms, " OR "), First: places}
	for range pages {
		a, err := c.do(ctx, op, vars)
		if err != nil {
			return err
		}
		page, err := readItems(a)
		if err != nil {
			return err
		}
		for _, it := range page.items {
			// The search is not exact: prefixes, words and any case match.
			if it.err == nil && it.sku != "" && wanted[fold(it.sku)] {
				c.items.add(it.sku, it.id)
			}
			if it.err != nil && (it.sku == "" || wanted[fold(it.sku)]) {
				// Whichever SKU the row is about, nothing is known of it.
				for _, sku := range skus {
					if it.sku == "" || fold(sku) == fold(it.sku) {
						blame(sku, unusable(op.name, c.said(it.err.Error(), a.token)))
					}
				}
			}
		}
		if page.next == "" {
			return nil
		}
		if vars.After != nil && page.next == *vars.After {
			return unusable(op.name, "the list of items does not end")
		}
		vars.First, vars.After = maxInput, &page.next
		op.document, op.guess = findItems.first(maxInput, 0).document, findItems.guess
	}
	return errFlood
}

// A page is one of a list of items.
type page struct {
	items []item
	next  string // the cursor of the next one, or ""
}

// An item is one of a page. Its SKU may be known even if the row is odd.
type item struct {
	id  uint64
	sku string
	err error
}

// readItems reads a page of inventoryItems.
func readItems(a *answer) (p page, err error) {
	list, ok := a.object(findItems.name)
	nodes := list.Elements("nodes")
	if !ok || list.Err() != nil {
		return p, unusable(findItems.name, "the answer has no list of items")
	}
	info, ok := member(&list, "pageInfo")
	more := info.Bool("hasNextPage")
	if !ok || info.Err() != nil {
		return p, unusable(findItems.name, "the answer does not say whether there are more items")
	}
	if more {
		if p.next = info.Text("endCursor"); info.Err() != nil || p.next == "" {
			return p, unusable(findItems.name, "the list of items does not end")
		}
	}
	var row strictjson.Row
	odd := 0
	for _, v := range nodes {
		row.Read(v)
		it := readItem(&row)
		if it.err != nil {
			odd++
		}
		p.items = append(p.items, it)
	}
	if odd > 0 && odd == len(nodes) {
		return p, unusable(findItems.name, "the answer has no item that makes sense")
	}
	return p, nil
}

// readItem reads id and sku.
func readItem(row *strictjson.Row) (it item) {
	sku := row.Value("sku")
	if row.Err() == nil { // or it is not clear which of several it is
		it.sku = sku.Name()
	}
	if !sku.Null() {
		row.Text("sku")
	}
	id, ok := itemNumber(row.Text("id"))
	switch {
	case row.Err() != nil:
		it.err = row.Err()
	case !ok:
		it.err = errors.New("an item without an id")
	}
	it.id = id
	return it
}

var quoting = strings.NewReplacer(`\`, `\\`, `'`, `\'`, `"`, `\"`)

// term is a search term for one SKU.
func term(sku string) string { return "sku:'" + quoting.Replace(sku) + "'" }
