package shopify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/internal/strictjson"
)

// The bounds of the quantity "available".
const (
	minQuantity = -1_000_000_000
	maxQuantity = 1_000_000_000
)

// A node is an inventory item and its level at one location.
type node struct {
	number     uint64
	name       string // its id, or ""
	sku        string // "" for an item without one
	tracked    bool
	active     bool // it is stocked at the location
	available  int  // if it is tracked and active
	duplicates int  // items with the same SKU, as the shop counts

	products bool // what follows was read
	bundle   bool // it has no stock of its own
	onSale   bool // a product that customers can see has it
	backlog  bool // it goes on selling at zero

	// err says why nothing else can be relied on. sku may be "" then, though
	// the item has one.
	err error
}

func (n *node) id() string {
	if n.name != "" {
		return n.name
	}
	return itemID(n.number)
}

// odd is the error of an item whose row makes no sense.
func odd(id uint64, err error) *Error {
	return unusable(readLevels.name, fmt.Sprintf("%s: %v", itemID(id), err))
}

// nodes reads items by their ids into into. One that does not exist any more is
// nil there.
func (c *Client) nodes(ctx context.Context, ask question, ids []uint64, into map[uint64]*node) error {
	var mu sync.Mutex
	put := func(id uint64, n *node) {
		mu.Lock()
		defer mu.Unlock()
		into[id] = n
	}
	var parts [][]uint64
	rest := ids[:0:0]
	for _, id := range ids {
		if _, alone := c.poison.get(id); alone {
			parts = append(parts, []uint64{id})
		} else {
			rest = append(rest, id)
		}
	}
	parts = append(parts, slices.Collect(slices.Chunk(rest, maxInput))...)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, some := range parts {
		group.Go(func() error { return c.readSome(ctx, ask, some, put) })
	}
	return group.Wait()
}

// readSome reads up to 250 items. Those that the shop stumbles over are found,
// and read alone from then on.
func (c *Client) readSome(ctx context.Context, ask question, ids []uint64, put func(uint64, *node)) error {
	blame := func(id uint64, err error) {
		put(id, &node{number: id, err: odd(id, err)})
		c.poison.put(id, struct{}{})
	}
	since := time.Now()
	known := false
	if len(ids) == 1 {
		_, known = c.poison.get(ids[0])
	}
	err := c.readRows(ctx, ask, ids, put, !known)
	if len(ids) == 1 {
		switch {
		case !known:
		case err == nil:
			c.poison.drop(ids[0])
		case aboutEntries(err) && c.blameable(ctx, err, since):
			blame(ids[0], err)
			return nil
		}
		return err
	}
	if err == nil || !c.blameable(ctx, err, since) {
		return err
	}
	_, err = halve(ids, func(some []uint64) ([]uint64, error) {
		return some, c.readRows(ctx, ask, some, put, false)
	}, blame, aboutEntries)
	return err
}

// A question is what is asked of items.
type question struct {
	location string
	products bool // what needs the scope read_products, too
}

// readRows reads up to 250 items in one request.
func (c *Client) readRows(ctx context.Context, ask question, ids []uint64, put func(uint64, *node), repeat bool) error {
	op := readLevels
	if ask.products {
		op = readProducts
	}
	if !repeat {
		op = op.once()
	}
	vars := readLevelsVars{IDs: make([]string, len(ids)), Location: ask.location}
	for i, id := range ids {
		vars.IDs[i] = itemID(id)
	}
	a, err := c.do(ctx, op, vars)
	var failed map[int]string
	if err != nil {
		var ok bool
		if failed, ok = failedRows(a, err, len(ids)); !ok {
			return err
		}
	}
	var data strictjson.Row
	data.Read(a.data)
	rows := data.Elements("nodes")
	if data.Err() != nil {
		return unusable(op.name, "the answer has no list of items")
	}
	if len(rows) != len(ids) {
		return unusable(op.name, "the answer does not have an entry for each item")
	}
	r := nodeReader{nodes: make([]node, len(rows))}
	for i, row := range rows {
		if message, ok := failed[i]; ok {
			put(ids[i], &node{number: ids[i], err: odd(ids[i], errors.New(c.said(message, a.token)))})
			continue
		}
		n := r.read(row, ids[i], vars.IDs[i], ask.products)
		if n != nil && n.err != nil {
			n.err = odd(n.number, errors.New(c.said(n.err.Error(), a.token)))
		}
		if n != nil && n.err == nil && n.sku != "" && n.duplicates == 0 {
			c.fromZero.Store(true)
		}
		if n != nil && n.sku != "" && c.names.used.Load() {
			c.names.known.put(n.number, n.sku)
		}
		put(ids[i], n)
	}
	return nil
}

// failedRows finds out whether all errors of an answer are about single rows
// of "nodes", beside good data. Data may be null in place of such a row.
func failedRows(a *answer, err error, rows int) (messages map[int]string, ok bool) {
	fault, isFault := errors.AsType[*Error](err)
	if !isFault || a == nil || fault != a.fault || fault.Status != 200 || fault.fatal() || a.data.Missing() || a.data.Null() || len(a.parts) == 0 {
		return nil, false
	}
	messages = make(map[int]string)
	for _, p := range a.parts {
		if len(p.path) < 2 || p.path[0] != "nodes" {
			return nil, false
		}
		i, err := strconv.Atoi(p.path[1])
		if err != nil || i < 0 || i >= rows {
			return nil, false
		}
		messages[i] = strings.TrimSpace(p.code + " " + p.message)
	}
	return messages, true
}

// A nodeReader reads rows one after the other.
type nodeReader struct {
	row, level, quantity, list, variant, product strictjson.Row

	quantities []strictjson.Value
	nodes      []node // room for those to come
}

// read reads the row of an item, whose id is name. It returns nil for one that
// does not exist any more.
func (r *nodeReader) read(v strictjson.Value, id uint64, name string, products bool) *node {
	if v.Null() {
		return nil
	}
	row := &r.row
	row.Read(v)
	n := &r.nodes[0]
	r.nodes = r.nodes[1:]
	n.number, n.name = id, name
	fail := func(format string, args ...any) *node {
		n.err = fmt.Errorf(format, args...)
		return n
	}
	if got := row.Value("id"); row.Err() != nil {
		return fail("%w", row.Err())
	} else if !got.Is(name) {
		return fail("the answer has another item")
	}
	sku := row.Value("sku")
	if row.Err() == nil { // or it is not clear which of several it is
		var err error
		if n.sku, err = sku.Text(); err != nil {
			n.sku = sku.Name() // what it is about, even if it is a number
		}
		if err != nil && !sku.Null() {
			row.Text("sku") // says so
		}
	}
	n.tracked = row.Bool("tracked")
	n.duplicates = row.Int("duplicateSkuCount")
	if n.duplicates < 0 && row.Err() == nil {
		return fail("%d items with the same SKU", n.duplicates)
	}
	level := row.Value("inventoryLevel")
	switch {
	case row.Err() != nil:
		return fail("%w", row.Err())
	case level.Missing():
		return fail("the answer has no %q", "inventoryLevel")
	case !level.Null():
		if err := r.readLevel(level, n); err != nil {
			return fail("%w", err)
		}
	}
	if products {
		if err := r.readVariants(n); err != nil {
			return fail("%w", err)
		}
	}
	return n
}

func (r *nodeReader) readLevel(v strictjson.Value, n *node) error {
	r.level.Read(v)
	n.active = r.level.Bool("isActive")
	r.quantities = r.level.AppendElements(r.quantities[:0], "quantities")
	if err := r.level.Err(); err != nil {
		return err
	}
	if !n.tracked || !n.active {
		return nil // whatever is there is nothing that is shown
	}
	found := false
	for _, q := range r.quantities {
		r.quantity.Read(q)
		name := r.quantity.Value("name")
		if !name.Is("available") {
			r.quantity.Text("name")
			if err := r.quantity.Err(); err != nil {
				return err
			}
			continue
		}
		if found {
			return errors.New(`two quantities "available"`)
		}
		found = true
		n.available = r.quantity.Int("quantity")
		if err := r.quantity.Err(); err != nil {
			return err
		}
		// The API's integers are written as such. What is not comes from
		// something between.
		if text := r.quantity.Value("quantity").JSON(); bytes.ContainsAny(text, ".eE") {
			return fmt.Errorf("the quantity is written as %s", text)
		}
		if n.available < minQuantity || n.available > maxQuantity {
			return fmt.Errorf("%d is not a quantity between %d and %d", n.available, minQuantity, maxQuantity)
		}
	}
	if !found {
		return fmt.Errorf("the answer has no quantity")
	}
	return nil
}

func (r *nodeReader) readVariants(n *node) error {
	n.products = true
	v := r.row.Value("variants")
	if err := r.row.Err(); err != nil || v.Null() {
		return err // an item without a variant is sold nowhere
	}
	r.list.Read(v)
	variants := r.list.Elements("nodes")
	if err := r.list.Err(); err != nil {
		return err
	}
	for _, v := range variants {
		r.variant.Read(v)
		policy, components := r.variant.Text("inventoryPolicy"), r.variant.Bool("requiresComponents")
		r.product.Read(r.variant.Value("product"))
		status := r.product.Text("status")
		if err := r.variant.Err(); err != nil {
			return err
		}
		if err := r.product.Err(); err != nil {
			return err
		}
		n.bundle = n.bundle || components
		if status == "ACTIVE" || status == "UNLISTED" {
			n.onSale = true
			n.backlog = n.backlog || policy == "CONTINUE"
		}
	}
	return nil
}
