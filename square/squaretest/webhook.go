package squaretest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
)

// Delivery returns the event inventory.count.updated for the present counts of
// SKUs, at every location and in every state, as Square sends it to the
// address of a subscription.
func (s *Server) Delivery(address, key string, skus ...string) (http.Header, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []row
	for _, sku := range skus {
		for _, v := range s.withSKU(sku) {
			for _, l := range s.locations {
				rows = append(rows, s.rows(v, l.id)...)
			}
		}
	}
	body, err := json.Marshal(answer{
		"merchant_id": merchant, "type": "inventory.count.updated", "event_id": "event-" + s.id(), "created_at": stamp(s.now()),
		"data": answer{"type": "inventory_counts", "id": s.id(), "object": answer{"inventory_counts": objects(rows)}},
	})
	if err != nil {
		panic(err) // nothing here is unencodable
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(address))
	mac.Write(body)
	return http.Header{
		"Content-Type":                  {"application/json"},
		"X-Square-Hmacsha256-Signature": {base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}, body
}
