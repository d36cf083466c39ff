package ecosire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// products is the list of products with their stock. What is wrong with one of
// them is in its Stock's Err.
func (c *Client) products(ctx context.Context) list[channel.Stock] {
	return list[channel.Stock]{
		path:  "/inventory/products",
		sorts: []string{"productId", "createdAt", "sku"},
		ahead: 10,
		key:   productKey,
		decode: func(row *strictjson.Row, page *scratch, asOf time.Time) (channel.Stock, error) {
			s := c.stock(ctx, row, page)
			s.AsOf = asOf
			return s, nil
		},
		unread: func(err error) channel.Stock { return channel.Stock{Err: err} },
		same:   sameQuantities,
		clash: func(s *channel.Stock) {
			s.Err = errors.New("ecosire: the answer has the product twice, with different quantities")
		},
	}
}

// productKey tells products apart: by their ids, or, where these cannot be
// read, by their SKUs.
func productKey(s *channel.Stock) string {
	if s.ProductID == "" && s.SKU != "" {
		return "\x00" + s.SKU
	}
	return s.ProductID
}

func sameQuantities(a, b *channel.Stock) bool {
	return a.OnHand == b.OnHand && a.Reserved == b.Reserved && a.Available == b.Available && (a.Err == nil) == (b.Err == nil)
}

func clash(s *channel.Stock) {
	s.Err = errors.New("ecosire: the answer has the product twice, with different quantities")
}

// stock reads an entry of the list of products. One that makes no sense has an
// Err, and as much of a name as could be read.
func (c *Client) stock(ctx context.Context, row *strictjson.Row, page *scratch) channel.Stock {
	var s channel.Stock
	// One copy for what is text.
	b := row.AppendText(page.text[:0], "productId")
	id := len(b)
	b = row.AppendText(b, "sku")
	sku := len(b)
	if named, err := row.Value("productName").AppendText(b); err == nil {
		b = named
	}
	page.text = b
	texts := string(b)
	s.ProductID, s.SKU = texts[:id], texts[id:sku]
	fraction := c.quantities(row, &s)
	err := row.Err()
	switch {
	case err == nil && s.ProductID == "":
		err = errors.New("the answer has an empty \"productId\"")
	case err == nil && len(s.ProductID)+len(s.SKU) > maxID:
		err = fmt.Errorf("a \"productId\" of %d bytes, and a \"sku\" of %d", len(s.ProductID), len(s.SKU))
	}
	if err != nil {
		s = channel.Stock{ProductID: bounded(row.Name("productId")), SKU: bounded(row.Name("sku")), Err: fmt.Errorf("ecosire: %w", err)}
		if row.Value("sku").Null() {
			s.Err = fmt.Errorf("%w: %w: the product has no SKU", s.Err, channel.ErrInvalid)
		}
		c.odd.once(ctx, slog.LevelWarn, "a product cannot be read", s.ProductID+"/"+s.SKU,
			slog.String("product", text.Clean(s.ProductID)), slog.String("sku", text.Clean(s.SKU)), slog.Any("err", s.Err))
		return s
	}
	if fraction {
		c.odd.once(ctx, slog.LevelWarn, "a quantity is not whole, and is rounded down", s.ProductID,
			slog.String("product", text.Clean(s.ProductID)), slog.String("sku", text.Clean(s.SKU)))
	}
	if computed := s.OnHand - s.Reserved; computed != s.Available && !(fraction && computed == s.Available+1) {
		c.odd.once(ctx, slog.LevelWarn, "ECOSIRE's available is not onHand less reserved; the smaller one is used", s.ProductID,
			slog.String("product", text.Clean(s.ProductID)), slog.String("sku", text.Clean(s.SKU)),
			slog.Int("available", s.Available), slog.Int("computed", computed))
		s.Available = min(s.Available, computed)
	}
	s.Name = text.Clean(texts[sku:])
	c.describe(row, &s, page)
	return s
}

// quantities reads the quantities, and reports whether any was rounded.
func (c *Client) quantities(row *strictjson.Row, s *channel.Stock) (fraction bool) {
	read := func(member string) int {
		if !c.round {
			return row.Int(member)
		}
		n, rounded := row.Floor(member)
		fraction = fraction || rounded
		return n
	}
	s.OnHand, s.Reserved, s.Available = read("onHand"), read("reserved"), read("available")
	return fraction
}

// describe reads what is for people only, and no reason to mistrust the rest.
func (c *Client) describe(row *strictjson.Row, s *channel.Stock, page *scratch) {
	if unit := row.Value("uom"); unit.Is(page.unit) {
		s.Unit = page.unit
	} else if u, err := unit.Text(); err == nil {
		s.Unit = text.Clean(u)
		page.unit = s.Unit
	}
	if n, err := row.Value("reorderPoint").Int(); err == nil {
		s.ReorderPoint = n
	}
}

// maxID bounds the ids and SKUs that are taken from an answer or asked for, in
// bytes. ECOSIRE's ids have 36.
const maxID = 1024

// bounded is what an id or SKU that cannot be relied on calls a product.
func bounded(name string) string {
	if len(name) > maxID {
		return ""
	}
	return name
}
