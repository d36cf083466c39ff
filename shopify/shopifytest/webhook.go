package shopifytest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A delivery is one of a webhook.
type delivery struct {
	header http.Header
	body   []byte
}

// tell notes a delivery about a quantity.
func (s *Server) tell(i *item, location string, available int) {
	if s.cfg.Deliver == nil && len(s.subscriptions) == 0 {
		return
	}
	header, body := s.delivery(i, location, available)
	s.told = append(s.told, delivery{header, body})
}

// deliver makes the deliveries that were noted. The server is not locked then.
func (s *Server) deliver() {
	s.mu.Lock()
	told := s.told
	s.told = nil
	s.mu.Unlock()
	for _, d := range told {
		if s.cfg.Deliver != nil {
			s.cfg.Deliver(d.header, d.body)
		}
		s.announce(d)
	}
}

// Delivery returns the header and the body of a delivery about what the shop
// shows for an SKU at its main location, signed with [Config].ClientSecret. It
// panics if [Server.Available] does not find it.
func (s *Server) Delivery(sku string) (http.Header, []byte) {
	n, ok := s.Available(sku)
	if !ok {
		panic("shopifytest: not one item has the SKU " + sku)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.delivery(s.bySKU[sku][0], s.location, n)
}

func (s *Server) delivery(i *item, location string, available int) (http.Header, []byte) {
	body, err := json.Marshal(map[string]any{
		"inventory_item_id":    i.number,
		"location_id":          json.Number(location[strings.LastIndexByte(location, '/')+1:]),
		"available":            available,
		"updated_at":           dateTime(time.Now()),
		"admin_graphql_api_id": s.levelID(i, location),
	})
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, []byte(s.cfg.ClientSecret))
	mac.Write(body)
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("X-Shopify-Topic", "inventory_levels/update")
	h.Set("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	h.Set("X-Shopify-Shop-Domain", s.cfg.Shop+".myshopify.com")
	h.Set("X-Shopify-API-Version", s.cfg.Version)
	h.Set("X-Shopify-Webhook-Id", fmt.Sprintf("webhook-%d", s.serial()))
	h.Set("X-Shopify-Triggered-At", dateTime(time.Now()))
	return h, body
}
