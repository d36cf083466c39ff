package syncer

import (
	"context"
	"fmt"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A Trip says that a guard has tripped, and by what.
type Trip struct {
	// Since is when the guard tripped, and Run the run in which it did.
	Since time.Time `json:"since"`
	Run   string    `json:"run"`
	// Losses and Gains are how many products were in danger when it tripped, at
	// least; Limit is how many may be. OnSale is how many were on sale, or 500 if
	// no run over the catalogue has counted them yet.
	Losses int `json:"losses,omitempty"`
	Gains  int `json:"gains,omitempty"`
	Limit  int `json:"limit"`
	OnSale int `json:"onSale"`
}

func tripOf(ctx context.Context, d danger, products, limit, onSale int) *Trip {
	t := &Trip{Since: time.Now(), Run: channel.Run(ctx), Limit: limit, OnSale: onSale}
	if d == loss {
		t.Losses = products
	} else {
		t.Gains = products
	}
	return t
}

// Why says in a sentence what tripped the guard.
func (t Trip) Why() string {
	n, what := t.Losses, "go off sale or show less than half"
	if t.Losses == 0 {
		n, what = t.Gains, "come on sale or show many times as much"
	}
	return fmt.Sprintf("%d products would %s, of %d on sale; %d may", n, what, t.OnSale, t.Limit)
}

// A Holding is what a guard holds on one channel: [Syncer.Held].
type Holding struct {
	Channel string `json:"channel"`
	Trip
	// Lines are what is held, the largest by units first; at most 10,000.
	Lines []Line `json:"lines"`
	// SoldOut is how many of the lines the source calls sold out. If it is
	// right, that many products may be oversold while nobody looks.
	SoldOut int `json:"soldOut"`
	// Hash identifies the lines, for [Syncer.Approve].
	Hash string `json:"hash"`
	// Approved is set if somebody has approved all of the lines, and they are to
	// be written yet.
	Approved *Approval `json:"approved,omitempty"`
}

// String says what is held in words that a person can act on.
func (h Holding) String() string {
	since := h.Since.UTC().Format("2006-01-02 15:04 UTC")
	if len(h.Lines) == 0 {
		return fmt.Sprintf("%s: the guard has tripped at %s, because %s. Nothing is held any more, but what is lost or gained next will be,"+
			" until a reconciliation is within the limits, or you approve: Approve(ctx, syncer.Approval{Channel: %q, Who: \"…\", Hash: %q}).",
			h.Channel, since, h.Why(), h.Channel, h.Hash)
	}
	text := fmt.Sprintf("%s: %d lines are held since %s, because %s.", h.Channel, len(h.Lines), since, h.Why())
	for i, l := range h.Lines {
		if i == 3 {
			break
		}
		text += fmt.Sprintf(" %s.", l.words())
	}
	return text + fmt.Sprintf(" The source calls %d of them sold out: customers may buy these while nobody looks."+
		" If the source is right, approve: Approve(ctx, syncer.Approval{Channel: %q, Who: \"…\", Hash: %q}). If it is not, mend the source and reconcile.",
		h.SoldOut, h.Channel, h.Hash)
}
