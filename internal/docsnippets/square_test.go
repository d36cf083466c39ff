package docsnippets

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/ecosire/stocksync/square"
)

// squareShelf is the channel of one location.
func squareShelf() (*square.Channel, error) {
	client, err := square.New(square.Config{
		Token:   square.StaticToken(os.Getenv("SQUARE_ACCESS_TOKEN")),
		BaseURL: os.Getenv("SQUARE_URL"), // empty for Square itself
	})
	if err != nil {
		return nil, err
	}
	return client.Channel(square.ChannelConfig{
		LocationID: os.Getenv("SQUARE_LOCATION_ID"),
		BookingLag: 15 * time.Minute, // ECOSIRE has booked the till's sales by then
	})
}

// squareHooks reads the events of a subscription, by the current and the next
// signature key.
func squareHooks(shelf *square.Channel, current, next string) (*square.Webhooks, error) {
	return shelf.Webhooks("https://stock.example.com/hooks/square", current, next)
}

func TestSquareShelf(t *testing.T) {
	t.Setenv("SQUARE_ACCESS_TOKEN", "EAAAtest")
	t.Setenv("SQUARE_LOCATION_ID", "L8XAMPLE0001")
	shelf, err := squareShelf()
	if err != nil || shelf.Name() != "square:L8XAMPLE0001" {
		t.Fatal(shelf, err)
	}
	hooks, err := squareHooks(shelf, "current", "next")
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"type":"catalog.version.updated"}`)
	signature := square.Sign("next", "https://stock.example.com/hooks/square", body)
	event, err := hooks.Receive(t.Context(), http.Header{"X-Square-Hmacsha256-Signature": {signature}}, body)
	if err != nil || event.Type != "catalog.version.updated" {
		t.Fatal(event, err)
	}
}
