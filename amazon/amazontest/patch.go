package amazontest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// attribute is the only one that this fake writes.
const attribute = "/attributes/fulfillment_availability"

const maxSKU = 40 // characters

// An issue is what Amazon finds wrong with a write.
type issue struct {
	Code       string   `json:"code"`
	Message    string   `json:"message"`
	Severity   string   `json:"severity"`
	Attributes []string `json:"attributeNames,omitempty"`
	Categories []string `json:"categories"`
}

func invalid(code, format string, args ...any) *issue {
	return &issue{Code: code, Message: fmt.Sprintf(format, args...), Severity: "ERROR", Categories: []string{"INVALID_ATTRIBUTE"}}
}

// An operand is one of the patches of a write.
type operand struct {
	Op    string           `json:"op"`
	Path  string           `json:"path"`
	Value []map[string]any `json:"value"`
}

func decodePatches(text []byte) (patches []operand, malformed string) {
	v, err := decode(text)
	if err != nil {
		return nil, err.Error()
	}
	for i, p := range v.(map[string]any)["patches"].([]any) {
		fields := p.(map[string]any)
		o := operand{Op: fields["op"].(string), Path: fields["path"].(string)}
		list, ok := fields["value"].([]any)
		if !ok && o.Op != "delete" {
			return nil, fmt.Sprintf("Value is missing for patch at index of %d.", i)
		}
		for _, e := range list {
			o.Value = append(o.Value, e.(map[string]any))
		}
		patches = append(patches, o)
	}
	return patches, ""
}

// A refusal is what the next writes of an SKU end with.
type refusal struct {
	issue *issue
	times int
}

// Refuse makes so many writes of an SKU end as INVALID, with an issue of that
// code and text; a negative number means all of them. They change nothing.
// Code "4000000" is an internal error.
func (s *Server) Refuse(sku string, times int, code, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusals == nil {
		s.refusals = make(map[string]*refusal)
	}
	s.refusals[sku] = &refusal{invalid(code, "%s", message), times}
}

func (s *Server) patch(c call) (int, any) {
	s.work()
	sku := c.params["sku"]
	if utf8.RuneCountInString(sku) > maxSKU {
		return 400, fail("InvalidInput", "Invalid 'sku' provided.", "")
	}
	patches, malformed := decodePatches(c.body)
	if malformed != "" {
		return 400, fail("InvalidInput", malformed, "")
	}
	answer := map[string]any{
		"sku": sku, "submissionId": fmt.Sprintf("submission-%d", s.serial()), "status": "ACCEPTED", "issues": []any{},
	}
	preview := c.query.Get("mode") == "VALIDATION_PREVIEW"
	if found := s.write(sku, patches, "patch", time.Now(), preview); found != nil {
		answer["status"], answer["issues"] = "INVALID", []any{found}
	} else if preview {
		answer["status"] = "VALID"
	}
	return 200, answer
}

// write does patches, all of them or, if something is wrong, none.
func (s *Server) write(sku string, patches []operand, by string, accepted time.Time, preview bool) *issue {
	if r := s.refusals[sku]; r != nil && r.times != 0 {
		r.times--
		return r.issue
	}
	for _, p := range patches {
		if wrong := p.wrong(); wrong != nil {
			return wrong
		}
	}
	if preview {
		return nil
	}
	var l *listing
	if found := s.find(sku); len(found) > 0 {
		l = found[0]
	} else {
		// It does not exist, and Amazon takes the write all the same.
		l = &listing{sku: sku, ghost: true, created: accepted}
		s.put(l)
		s.hurt("a %s made an incomplete listing of the unknown SKU %q", by, sku)
	}
	l.show()
	for _, p := range patches {
		s.apply(l, p, by, accepted)
	}
	return nil
}

// wrong says what is invalid about a patch.
func (p operand) wrong() *issue {
	name, _, _ := strings.Cut(strings.TrimPrefix(p.Path, "/attributes/"), "/")
	if p.Path != attribute {
		return invalid("90000900", "The attribute %q is not known.", name)
	}
	for _, v := range p.Value {
		if code, ok := v["fulfillment_channel_code"].(string); !ok || code == "" {
			return invalid("99022", "The field 'fulfillment_channel_code' is missing.")
		}
		quantity, given := v["quantity"]
		if !given && p.Op != "delete" {
			return invalid("99022", "The field 'quantity' is missing.")
		}
		if n, ok := whole(quantity); given && quantity != nil && (!ok || n < 0) {
			return invalid("90000901", "The value of 'quantity' is not a whole number that is 0 or more.")
		}
		for key := range v {
			if !slices.Contains([]string{
				"fulfillment_channel_code", "quantity", "lead_time_to_ship_max_days", "restock_date", "is_inventory_available", "marketplace_id",
			}, key) {
				return invalid("90000900", "The field %q is not known.", key)
			}
		}
	}
	return nil
}

// apply does one valid patch.
func (s *Server) apply(l *listing, p operand, by string, accepted time.Time) {
	var effects []effect
	if p.Op != "merge" {
		// The records are replaced as a whole, with whatever else they hold.
		for _, old := range l.attributes {
			_, had := old["lead_time_to_ship_max_days"]
			kept := false
			code := old["fulfillment_channel_code"].(string)
			for _, v := range p.Value {
				if v["fulfillment_channel_code"] == code {
					_, kept = v["lead_time_to_ship_max_days"]
				}
			}
			if had && !kept {
				s.hurt("a %s dropped the handling time of %q", by, l.sku)
			}
			if !slices.ContainsFunc(p.Value, func(v map[string]any) bool { return v["fulfillment_channel_code"] == code }) {
				effects = append(effects, effect{record: record{code: code}, deleted: true})
			}
		}
		l.attributes = nil
	}
	if p.Op == "delete" {
		s.take(l, by, accepted, effects...)
		return
	}
	for _, v := range p.Value {
		code := v["fulfillment_channel_code"].(string)
		a := l.attribute(code)
		if a == nil {
			a = map[string]any{}
			l.attributes = append(l.attributes, a)
			s.added(l, code, by)
		}
		for key, value := range v {
			n, isWhole := whole(value)
			switch {
			case value == nil:
				delete(a, key)
			case isWhole:
				a[key] = n
			default:
				a[key] = value
			}
		}
		var quantity *int
		if n, ok := a["quantity"].(int); ok {
			quantity = &n
		}
		if code == merchant && slices.ContainsFunc(l.offered, func(r record) bool { return !ours(r.code) }) && quantity != nil && *quantity != 0 {
			s.hurt("a %s gave %q a quantity beside its supply sources", by, l.sku)
		}
		effects = append(effects, effect{record: record{code, quantity}})
	}
	s.take(l, by, accepted, effects...)
}

// ours reports whether a code is the merchant's or Amazon's own.
func ours(code string) bool { return code == merchant || strings.HasPrefix(code, "AMAZON_") }

// added notes a record that a write added where it does harm.
func (s *Server) added(l *listing, code, by string) {
	if code == merchant && slices.ContainsFunc(l.offered, func(r record) bool { return strings.HasPrefix(r.code, "AMAZON_") }) {
		s.hurt("a %s made %q, which is fulfilled by Amazon, an offer of the merchant's too", by, l.sku)
	}
}

// marshal is for what cannot fail.
func marshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
