package woocommercetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"
)

// A reply is an answer before it is written.
type reply struct {
	status int
	header http.Header
	body   any    // JSON, unless html is set
	html   string // a page in place of JSON
}

func jsonReply(status int, body any) reply {
	return reply{status: status, header: http.Header{}, body: body}
}

func htmlReply(status int, title string) reply {
	return reply{status: status, header: http.Header{}, html: "<html>\r\n<head><title>" + title + "</title></head>\r\n" +
		"<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n"}
}

func (rep reply) write(w http.ResponseWriter, r *http.Request, dirt *dirt) {
	h := w.Header()
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat)) // net/http's own clock is the same
	maps.Copy(h, rep.header)
	body := []byte(rep.html)
	if rep.html != "" {
		h.Set("Content-Type", "text/html")
	} else {
		h.Set("Content-Type", "application/json; charset=UTF-8")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-cache, must-revalidate, max-age=0, no-store, private")
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(rep.body); err != nil {
			panic(err) // nothing here is unencodable
		}
		body = bytes.TrimRight(b.Bytes(), "\n")
		if dirt != nil {
			body = dirt.around(body)
		}
	}
	w.WriteHeader(rep.status)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

// An apiError is WooCommerce's way to say no.
type apiError struct {
	status        int
	code, message string
	data          map[string]any // besides the status
	abort         bool           // in a batch: ends the whole request
	died          string         // with abort, what PHP died of
}

func (e *apiError) object() map[string]any {
	data := map[string]any{"status": e.status}
	maps.Copy(data, e.data)
	return map[string]any{"code": e.code, "message": e.message, "data": data}
}

func (e *apiError) reply() reply { return jsonReply(e.status, e.object()) }

func noRoute() reply {
	return (&apiError{status: http.StatusNotFound, code: "rest_no_route",
		message: "No route was found matching the URL and request method."}).reply()
}

// notImplemented says that the fake, unlike a shop, does not do something.
func notImplemented(what string) *apiError {
	return &apiError{status: http.StatusNotImplemented, code: "woocommercetest_not_implemented",
		message: "woocommercetest does not do " + what + "; a real shop may.", abort: true}
}

// invalidID is what a write (400) or a read (404) of an unknown product says;
// variations say 404 to both.
func invalidID(status, parent int) *apiError {
	if parent != 0 {
		return &apiError{status: http.StatusNotFound, code: "woocommerce_rest_product_variation_invalid_id", message: "Invalid ID."}
	}
	return &apiError{status: status, code: "woocommerce_rest_product_invalid_id", message: "Invalid ID."}
}

// denied is what somebody without a key is told.
func denied(what, message string) *apiError {
	return &apiError{status: http.StatusUnauthorized, code: "woocommerce_rest_cannot_" + what, message: message}
}

// fatal is PHP's end in the middle of a batch. It is JSON and no page because
// the batch was: WordPress looks at the Content-Type as well as at Accept.
func fatal() reply {
	body := (&apiError{status: http.StatusInternalServerError, code: "internal_server_error",
		message: "<p>There has been a critical error on this website.</p>",
		data: map[string]any{"error": map[string]any{
			"type": 1, "message": "Uncaught TypeError: Cannot access offset of type string on string",
			"file": "/srv/shop/wp-content/plugins/woocommerce/includes/rest-api/controller.php", "line": 300,
		}}}).object()
	body["additional_errors"] = []any{}
	return jsonReply(http.StatusInternalServerError, body)
}

// invalid collects the parameters that a request's schema refuses.
type invalid struct {
	names   []string
	params  map[string]any
	details map[string]any
}

func (v *invalid) add(name, code, message string) {
	if v.params == nil {
		v.params, v.details = map[string]any{}, map[string]any{}
	}
	if _, twice := v.params[name]; twice {
		return
	}
	var data any
	if code == "rest_invalid_type" {
		data = map[string]any{"param": name}
	}
	v.names = append(v.names, name)
	v.params[name] = message
	v.details[name] = map[string]any{"code": code, "message": message, "data": data}
}

func (v *invalid) notOfType(name, kind string) {
	v.add(name, "rest_invalid_type", name+" is not of type "+kind+".")
}

func (v *invalid) notOneOf(name string, options ...string) {
	last := len(options) - 1
	v.add(name, "rest_not_in_enum", fmt.Sprintf("%s is not one of %s, and %s.", name, strings.Join(options[:last], ", "), options[last]))
}

func (v *invalid) err() *apiError {
	if len(v.names) == 0 {
		return nil
	}
	return &apiError{status: http.StatusBadRequest, code: "rest_invalid_param",
		message: "Invalid parameter(s): " + strings.Join(v.names, ", "),
		data:    map[string]any{"params": v.params, "details": v.details}}
}
