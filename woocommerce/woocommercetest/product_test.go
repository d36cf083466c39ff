package woocommercetest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

func TestAddPanicsOnWhatCannotExist(t *testing.T) {
	for name, p := range map[string]woocommercetest.Product{
		"id that is taken":           {ID: 1},
		"negative id":                {ID: -1},
		"type":                       {Type: "bundle"},
		"status":                     {Status: "gone"},
		"backorders":                 {Backorders: "maybe"},
		"variation without a parent": {Type: "variation"},
		"variation of a simple one":  {Type: "variation", ParentID: 1},
		"parent of a simple one":     {ParentID: 2},
		"simple one by its parent":   {Stock: woocommercetest.ByParent},
		"parent that counts nothing": {Type: "variation", ParentID: 2, Stock: woocommercetest.ByParent},
	} {
		t.Run(name, func(t *testing.T) {
			s := woocommercetest.New(woocommercetest.Config{})
			s.Add(woocommercetest.Product{ID: 1}, woocommercetest.Product{ID: 2, Type: "variable", Stock: woocommercetest.Unmanaged})
			assert.Panics(t, func() { s.Add(p) })
			assert.Equal(t, []int{11}, s.Add(woocommercetest.Product{}), "nothing was added")
		})
	}
}

func TestEditsOfOthers(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	ids := s.Add(woocommercetest.Product{SKU: "A", Quantity: 5, Backorders: "notify"},
		woocommercetest.Product{SKU: "U", Stock: woocommercetest.Unmanaged},
		woocommercetest.Product{SKU: "D", Quantity: 1}, woocommercetest.Product{SKU: "D", Quantity: 2},
		woocommercetest.Product{Type: "variable", SKU: "P", Stock: woocommercetest.Unmanaged})
	s.Add(woocommercetest.Product{Type: "variation", ParentID: ids[4], SKU: "P-A"})
	s.Set("A", 9)
	s.Sell("A", 12)
	p, ok := s.Product(ids[0])
	assert.True(t, ok)
	assert.Equal(t, woocommercetest.Product{ID: 11, Type: "simple", SKU: "A", Status: "publish", Quantity: -3, Backorders: "notify"}, p)

	s.Rename("A", "B")
	assert.Equal(t, []int{-1, -3}, quantities(s, "A", "B"))
	assert.Equal(t, []string{"B"}, find(t, s, "a,b"))

	s.Remove(ids[4])
	assert.Empty(t, find(t, s, "P,P-A"), "variations go with their parent")
	_, ok = s.Product(ids[4])
	assert.False(t, ok)

	for name, f := range map[string]func(){
		"unknown":   func() { s.Set("A", 1) },
		"case":      func() { s.Sell("b", 1) },
		"several":   func() { s.Set("D", 1) },
		"unmanaged": func() { s.Sell("U", 1) },
		"no SKU":    func() { s.Rename("", "x") },
		"no id":     func() { s.Remove(999) },
	} {
		assert.Panics(t, f, name)
	}
	assert.Equal(t, []int{-1, -1}, quantities(s, "U", "D"))
	assert.Zero(t, s.Writes(), "these are not the API's")
}
