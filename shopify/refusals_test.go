package shopify

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

const refusedNothing = `{"data":{"inventorySetQuantities":{"inventoryAdjustmentGroup":null,"userErrors":[%s]}}}`

func TestWholeCallErrors(t *testing.T) {
	for name, test := range map[string]struct {
		body   string
		code   string
		writes int
	}{
		"names no row":  {fmt.Sprintf(refusedNothing, `{"code":"INVALID_REASON","field":["input","reason"],"message":"x"}`), "INVALID_REASON", 1},
		"names a place": {fmt.Sprintf(refusedNothing, `{"code":"INVALID_LOCATION","field":["input","quantities","0","locationId"],"message":"x"}`), "INVALID_LOCATION", 1},
		"denied":        {`{"errors":[{"message":"x","extensions":{"code":"ACCESS_DENIED"}}]}`, "ACCESS_DENIED", 1},
		"says nothing":  {`{"data":{"inventorySetQuantities":null}}`, "", 3},
		"null errors":   {`{"data":{"inventorySetQuantities":{"inventoryAdjustmentGroup":null,"userErrors":null}}}`, "", 3},
		"no data":       {`{"data":null}`, "", 3},
	} {
		t.Run(name, func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{})
			ch := open(t, shop)
			seen := levels(t, ch, stock(shop, 2)...)
			shop.Inject(channeltest.Fault{Match: doing(setQuantities), Times: -1, Status: 200, Body: test.body})
			err := ch.Push(t.Context(), updates(seen, 1))
			fault, ok := err.(*Error)
			require.True(t, ok, "%T %v", err, err)
			if test.code != "" {
				assert.Equal(t, []string{test.code}, fault.Codes)
			}
			assert.Len(t, sent(t, shop), test.writes)
		})
	}
}

// An answer that says nothing is not all that there is: the shop shows it.
func TestWriteThatWasDoneThoughItsAnswerSaysNothing(t *testing.T) {
	for _, body := range []string{`{"data":{"inventorySetQuantities":null}}`, `{"data":null}`, `<html>`} {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		seen := levels(t, ch, stock(shop, 2)...)
		shop.Inject(answering(setQuantities, 200, body))
		assert.NoError(t, ch.Push(t.Context(), updates(seen, 1)), body)
		assert.Len(t, sent(t, shop), 1)
		assert.Len(t, shop.History(), 2)
	}
}

// What is refused without naming a row is found by halving.
func TestRefusalThatNamesNoRowIsFound(t *testing.T) {
	for name, refusal := range map[string]struct {
		text string
		is   error
	}{
		"stale":       {`{"code":"CHANGE_FROM_QUANTITY_STALE","field":null,"message":"x"}`, channel.ErrConflict},
		"no such row": {`{"code":"INVALID_QUANTITY_NEGATIVE","field":["input","quantities","250","quantity"],"message":"x"}`, channel.ErrInvalid},
		"nothing":     {`{"code":null,"field":null,"message":"x"}`, nil},
		"odd":         {`{"code":7,"field":"quantities","message":null}`, nil},
		"of GraphQL":  {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{})
			ch := open(t, shop)
			skus := stock(shop, 250)
			seen := levels(t, ch, skus...)
			body := fmt.Sprintf(refusedNothing, refusal.text)
			if refusal.text == "" {
				body = `{"errors":[{"message":"x","extensions":{"code":"INVALID_FIELD_ARGUMENTS"}}]}`
			}
			bad := seen[77].Ref + `"`
			shop.Inject(channeltest.Fault{Times: -1, Status: 200, Body: body, Match: func(r channeltest.Request) bool {
				return doing(setQuantities)(r) && strings.Contains(string(r.Body), bad)
			}})
			err := ch.Push(t.Context(), updates(seen, 1))
			errs, ok := err.(channel.Errors)
			require.True(t, ok, "%T %v", err, err)
			require.Len(t, errs, 1)
			require.Error(t, errs[skus[77]])
			if refusal.is != nil {
				assert.ErrorIs(t, errs[skus[77]], refusal.is)
			}
			assert.Len(t, shop.History(), 249)
			assert.LessOrEqual(t, len(sent(t, shop)), 17)
		})
	}
}

func TestCompareQuantityRequiredForOneRow(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	skus := stock(shop, 50)
	levels(t, ch, skus...)
	todo := make([]channel.Update, len(skus))
	for i, sku := range skus {
		todo[i] = channel.Update{SKU: sku, Quantity: 900 + i}
	}
	shop.Inject(channeltest.Fault{Match: doing(setQuantities), Status: 200,
		Body: fmt.Sprintf(refusedNothing, `{"code":"COMPARE_QUANTITY_REQUIRED","field":["input","quantities","20","changeFromQuantity"],"message":"x"}`)})
	err := ch.Push(t.Context(), todo)
	errs, ok := err.(channel.Errors)
	require.True(t, ok, err)
	assert.Len(t, errs, 1)
	assert.ErrorIs(t, errs[skus[20]], channel.ErrConflict, "to be read, and written on top of that")
	assert.Len(t, shop.History(), 49)
}

func TestWrongLocation(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	right := open(t, shop)
	wrong := open(t, shop, func(_ *Config, c *ChannelConfig) { c.LocationID = "99" })
	err := wrong.Push(t.Context(), updates(levels(t, right, stock(shop, 2)...), 1))
	fault, ok := err.(*Error)
	require.True(t, ok, "%T", err)
	assert.Contains(t, fault.Codes, "INVALID_LOCATION")
}

func TestRefusalsWithoutEndAreBounded(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	seen := levels(t, ch, stock(shop, 20)...)
	shop.Inject(answering(setQuantities, 200, `{"data":{"inventorySetQuantities":{"userErrors":[{"code":"CHANGE_FROM_QUANTITY_STALE","field":["input","quantities","0","changeFromQuantity"],"message":"x"}]}}}`))
	err := ch.Push(t.Context(), updates(seen, 1))
	errs, ok := err.(channel.Errors)
	require.True(t, ok, err)
	assert.Len(t, errs, 20)
	assert.ErrorIs(t, errs["SKU-0000"], channel.ErrConflict)
	assert.ErrorIs(t, errs["SKU-0019"], channel.ErrUnavailable)
	assert.Len(t, sent(t, shop), maxRounds)
}
