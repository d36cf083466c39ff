package main

import (
	"bytes"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

func TestCatalogue(t *testing.T) {
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) { assert.Zero(t, run(t.Context(), newWorld(), &out)) })
	for _, says := range []string{
		"in berlin, hamburg → 25, buffer 2 → 23", "in packs of 6", "a kit takes", `the source does not have "VOUCHER-50"`, "Mug, glazed",
		"all 21 listings are right", "nothing to write",
	} {
		assert.Contains(t, out.String(), says)
	}
}

// What is wrong in a shop, or in this program's own arithmetic, is found.
func TestCatalogueFindsWhatIsWrong(t *testing.T) {
	for name, spoil := range map[string]func(*world){
		"a product that the shop does not have": func(w *world) { w.shopify.Remove("MUG") },
		"another quantity":                      func(w *world) { w.ecosire.SetAt(w.ids["HONEY"], "koeln", 11, 3) },
		"the wrong item was written":            func(w *world) { w.woo.Trash(w.draft); w.draft = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				spoil(w)
				assert.Equal(t, 1, run(t.Context(), w, &out))
			})
			assert.Contains(t, out.String(), "WRONG: ")
		})
	}
}
