package woocommerce

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/strictjson"
)

// rowFields are the fields of a [row].
const rowFields = "id,type,sku,parent_id,manage_stock,stock_quantity,stock_status,status,purchasable,backorders_allowed"

// A row is a product or a variation as a list shows it.
type row struct {
	item
	kind     string // WooCommerce's type
	sku      string
	quantity quantity
	live     bool   // published, and with a price
	owed     bool   // backorders are allowed
	err      error  // why nothing above can be relied on
	name     string // what stands in the place of an SKU that makes no sense
}

// decodeRows reads a list row by row. A row that makes no sense has an error.
// Of the SKUs that are known no copies are made.
func decodeRows(resp *httpx.Response, known *names) ([]row, error) {
	answer, err := strictjson.Parse(resp.Body)
	if err != nil || !bytes.HasPrefix(bytes.TrimSpace(resp.Body), []byte("[")) {
		return nil, fmt.Errorf("%s is not a list of products", httpx.Describe(resp))
	}
	values, err := answer.Elements()
	if err != nil {
		return nil, err
	}
	rows := make([]row, len(values))
	var exact map[string]string
	if known != nil {
		exact = known.exact
	}
	var r strictjson.Row
	for i, v := range values {
		r.Read(v)
		rows[i] = decodeRow(&r, exact)
	}
	return rows, nil
}

// usual are texts that come in most rows, each with itself.
var usual = map[string]string{
	"simple": "simple", "variable": "variable", "variation": "variation", "external": "external", "grouped": "grouped",
	"publish": "publish", "draft": "draft", "private": "private", "pending": "pending",
	"instock": "instock", "outofstock": "outofstock", "onbackorder": "onbackorder", "parent": "parent",
}

func decodeRow(r *strictjson.Row, exact map[string]string) row {
	sku := r.Value("sku")
	text, err := sku.Among(exact)
	name := text
	if err != nil {
		name = sku.Name()
	}
	kind, noKind := r.Value("type").Among(usual)
	if noKind != nil {
		r.Text("type") // says so
	}
	out := row{item: item{id: int64(r.Int("id"))}, kind: kind, sku: text, name: name, live: true}
	switch {
	case err != nil:
		err = fmt.Errorf("its SKU is %w", err)
	case r.Err() == nil && (out.id <= 0 || out.kind == ""):
		err = fmt.Errorf("its id is %d and its type %q", out.id, out.kind)
	}
	if out.variation() {
		if out.parent = int64(r.Int("parent_id")); out.parent <= 0 && r.Err() == nil && err == nil {
			err = fmt.Errorf("it is a variation, and its parent is %d", out.parent)
		}
	}
	var odd error
	if out.stock, odd = readStock(r.Value("manage_stock")); odd != nil && err == nil {
		err = odd
	}
	if out.quantity, odd = readQuantity(r.Value("stock_quantity")); odd != nil && err == nil {
		err = odd
	}
	if r.Err() != nil {
		err = r.Err()
	}
	if err != nil {
		out.stock = managed // for its ref
		of := "a product"
		if out.id > 0 {
			of = fmt.Sprint("product ", out.id)
		}
		out.err = fmt.Errorf("%w: what the shop says of %s makes no sense: %w", channel.ErrInvalid, of, err)
	}
	// These only tell what may be lost: what is not understood is no fact.
	if status, err := r.Value("status").Among(usual); err == nil && status != "publish" {
		out.live = false
	}
	if can, err := r.Value("purchasable").Bool(); err == nil && !can {
		out.live = false
	}
	if r.Value("stock_status").Is("outofstock") {
		out.out = true
	}
	if owed, err := r.Value("backorders_allowed").Bool(); err == nil {
		out.owed = owed
	}
	return out
}

// variation knows those of subscriptions and other plugins too, such as
// "subscription_variation".
func (r *row) variation() bool {
	return r.kind == "variation" || strings.HasSuffix(r.kind, "_variation")
}

// stock says whose quantity an item shows: WooCommerce's manage_stock.
type stock string

const (
	managed   stock = "managed"   // true: its own
	unmanaged stock = "unmanaged" // false: none
	byParent  stock = "by parent" // "parent": its parent's
)

func readStock(v strictjson.Value) (stock, error) {
	if v.Missing() {
		return "", fmt.Errorf(`the answer has no "manage_stock"`)
	}
	switch own, err := v.Bool(); {
	case err == nil && own:
		return managed, nil
	case err == nil:
		return unmanaged, nil
	case v.Is("parent"):
		return byParent, nil
	default:
		return "", fmt.Errorf(`its "manage_stock" is %w`, err)
	}
}

// A quantity is a stock_quantity: null for an item without one.
type quantity struct {
	n        int
	none     bool
	fraction bool // there is a part of a unit on top of n
}

var decimal = regexp.MustCompile(`^-?\d{1,16}(\.\d{1,16})?$`)

// readQuantity takes numbers in quotes too, as some plugins write them.
func readQuantity(v strictjson.Value) (quantity, error) {
	if v.Missing() {
		return quantity{}, fmt.Errorf(`the answer has no "stock_quantity"`)
	}
	if v.Null() {
		return quantity{none: true}, nil
	}
	n, err := v.Int()
	if err == nil {
		return quantity{n: n}, nil
	}
	if text := v.Name(); decimal.MatchString(text) {
		x, notNumber := strconv.ParseFloat(text, 64)
		if n := int64(math.Floor(x)); notNumber == nil && math.Abs(x) < 1<<53 && int64(int(n)) == n {
			return quantity{n: int(n), fraction: x != math.Floor(x)}, nil
		}
	}
	return quantity{}, fmt.Errorf(`its "stock_quantity" is %w`, err)
}

func (q quantity) String() string {
	switch {
	case q.none:
		return "none"
	case q.fraction:
		return strconv.Itoa(q.n) + " and a fraction"
	}
	return strconv.Itoa(q.n)
}
