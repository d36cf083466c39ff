package syncer_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// A shop that shows too much of one product and too little of another.
func drifted() (*syncer.Syncer, *channeltest.Memory) {
	shop := channeltest.NewMemory("shop")
	shop.Set("SKU-0", 12)
	shop.Set("SKU-1", 3)
	s, err := syncer.New(syncer.Config{Source: newStock(9, 4), Targets: []syncer.Target{{Channel: shop}}})
	if err != nil {
		panic(err)
	}
	return s, shop
}

// A reconciliation compares the whole catalogue, and writes what differs.
func ExampleSyncer_Reconcile() {
	s, shop := drifted()
	report, err := s.Reconcile(context.Background())
	if err != nil {
		panic(err) // something was not done; the report says what
	}
	fmt.Println(report.Channels[0].Updated, "written")
	n, _ := shop.Quantity("SKU-0")
	fmt.Println("SKU-0 shows", n)
	// Output:
	// 2 written
	// SKU-0 shows 9
}

// A plan is made, looked at, shortened and applied.
func ExampleSyncer_Apply() {
	ctx := context.Background()
	s, _ := drifted()
	plan, err := s.Plan(ctx)
	if err != nil {
		panic(err)
	}
	for _, l := range plan.Lines {
		fmt.Printf("%s: %s shows %d and should show %d\n", l.Channel, l.SKU, *l.Shown, l.Wanted)
	}
	plan.Lines = plan.Lines[:1] // only this one, for now
	report, err := s.Apply(ctx, plan)
	if err != nil {
		panic(err)
	}
	fmt.Println(report.Channels[0].Updated, "written")
	// Output:
	// shop: SKU-0 shows 12 and should show 9
	// shop: SKU-1 shows 3 and should show 4
	// 1 written
}

// What a run wrote is put back.
func ExampleReport_Undo() {
	ctx := context.Background()
	s, shop := drifted()
	report, err := s.Reconcile(ctx)
	if err != nil {
		panic(err)
	}
	plan, err := report.Undo()
	if err != nil {
		panic(err)
	}
	if _, err := s.Apply(ctx, plan); err != nil {
		panic(err)
	}
	n, _ := shop.Quantity("SKU-0")
	fmt.Println("SKU-0 shows", n, "as before")
	// Output:
	// SKU-0 shows 12 as before
}

// The source says that nothing is left. Before the shop is emptied somebody has
// to look.
func ExampleSyncer_Approve() {
	ctx := context.Background()
	shop := channeltest.NewMemory("shop")
	for i := range 10 {
		shop.Set(fmt.Sprintf("SKU-%d", i), 5)
	}
	s, err := syncer.New(syncer.Config{Source: newStock(make([]int, 10)...), Targets: []syncer.Target{{Channel: shop}}})
	if err != nil {
		panic(err)
	}
	_, err = s.Reconcile(ctx)
	fmt.Println("held:", errors.Is(err, syncer.ErrHeld))

	held, err := s.Held(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(len(held[0].Lines), "lines wait on", held[0].Channel)

	// They are right after all. The hash says which lines were seen.
	err = s.Approve(ctx, syncer.Approval{Channel: held[0].Channel, Who: "Ana", Hash: held[0].Hash})
	if err != nil {
		panic(err)
	}
	if _, err := s.Reconcile(ctx); err != nil { // where Run runs, it does so within moments
		panic(err)
	}
	n, _ := shop.Quantity("SKU-0")
	fmt.Println("SKU-0 shows", n)
	// Output:
	// held: true
	// 10 lines wait on shop
	// SKU-0 shows 0
}

// A policy of the host's own: the last two units are for the counter.
func ExampleCustom() {
	policy := syncer.Custom("none of the last two", func(s channel.Stock) (int, error) {
		if s.Available < 3 {
			return 0, nil
		}
		return s.Available, nil
	}).Cap(50)
	for _, available := range []int{2, 3, 80} {
		n, err := policy.Quantity(channel.Stock{Available: available})
		if err != nil {
			panic(err)
		}
		fmt.Println(available, "→", n)
	}
	// Output:
	// 2 → 0
	// 3 → 3
	// 80 → 50
}
