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
	// Units are few, and most products have the one before's.
	unit := ""
	return list[channel.Stock]{
		path:  "/inventory/products",
		sorts: []string{"productId", "createdAt", "sku"},
		ahead: 10,
		key:   productKey,
		decode: func(row *strictjson.Row, asOf time.Time) (channel.Stock, error) {
			s := c.stock(ctx, row, &unit)
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
func (c *Client) stock(ctx context.Context, row *strictjson.Row, unit *string) channel.Stock {
	var s channel.Stock
	s.ProductID, s.SKU = row.Text("productId"), row.Text("sku")
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
	c.describe(row, &s, unit)
	return s
}

// quantities reads the quantities, and reports whether any was rounded.
func (c *Client) quantities(row *strictjson.Row, s *channel.Stock) (fraction bool) {
	for _, q := range []struct {
		member string
		to     *int
	}{{"onHand", &s.OnHand}, {"reserved", &s.Reserved}, {"available", &s.Available}} {
		if !c.round {
			*q.to = row.Int(q.member)
			continue
		}
		n, rounded := row.Floor(q.member)
		*q.to, fraction = n, fraction || rounded
	}
	return fraction
}

// describe reads what is for people only, and no reason to mistrust the rest.
func (c *Client) describe(row *strictjson.Row, s *channel.Stock, unit *string) {
	if name, err := row.Value("productName").Text(); err == nil {
		s.Name = text.Clean(name)
	}
	if u, err := row.Value("uom").Text(); err == nil {
		if u != *unit {
			*unit = text.Clean(u)
		}
		s.Unit = *unit
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
