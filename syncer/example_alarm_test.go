package syncer_test

import (
	"context"
	"fmt"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// Trouble that nobody would think of gets a person out of bed, once.
func ExampleHooks_alarm() {
	s, err := syncer.New(syncer.Config{
		Source:  newStock(9),
		Targets: []syncer.Target{{Channel: channeltest.NewMemory("shop")}},
		Hooks: syncer.Hooks{
			Alarm: func(_ context.Context, a syncer.Alarm) {
				if a.Ended.IsZero() {
					fmt.Println("page somebody:", a.Class, a.Channel, a.Text)
				} else {
					fmt.Println("over:", a.Class, a.Channel)
				}
			},
		},
	})
	if err != nil {
		panic(err)
	}
	h, err := s.Health(context.Background()) // which has those that are on
	if err != nil {
		panic(err)
	}
	fmt.Println(len(h.Alarms), "alarms")
	// Output:
	// 0 alarms
}
