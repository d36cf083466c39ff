package squaretest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// A fault is one of Square's errors.
type fault struct {
	Category string `json:"category"`
	Code     string `json:"code"`
	Detail   string `json:"detail,omitempty"`
	Field    string `json:"field,omitempty"`

	status int
}

func (f fault) Error() string {
	text := f.Code + ": " + f.Detail
	if f.Field != "" {
		text += " (" + f.Field + ")"
	}
	return text
}

// invalid is a request that Square does not accept.
func invalid(code, field, format string, args ...any) fault {
	status := http.StatusBadRequest
	if code == "NOT_FOUND" {
		status = http.StatusNotFound
	}
	return fault{Category: "INVALID_REQUEST_ERROR", Code: code, Field: field, Detail: fmt.Sprintf(format, args...), status: status}
}

func unauthorized(status int, code, detail string) fault {
	return fault{Category: "AUTHENTICATION_ERROR", Code: code, Detail: detail, status: status}
}

func throttled() fault {
	return fault{Category: "RATE_LIMIT_ERROR", Code: "RATE_LIMITED", Detail: "Too many requests.", status: http.StatusTooManyRequests}
}

// unsupported is what a seller's account does and this one does not.
func unsupported(what string) fault {
	return fault{Category: "API_ERROR", Code: "NOT_IMPLEMENTED", Detail: "squaretest: this fake does not do " + what, status: http.StatusNotImplemented}
}

// An answer is a body before it is written.
type answer map[string]any

func refuse(w http.ResponseWriter, faults ...fault) {
	reply(w, faults[0].status, answer{"errors": faults})
}

func reply(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // nothing here is unencodable
	}
	write(w, status, body)
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}
