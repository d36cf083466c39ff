package syncer

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// A Replica is a process in which Run runs, on a [SharedQueue].
type Replica struct {
	Name  string    `json:"name"`  // as Config.Name has it
	Since time.Time `json:"since"` // when its Run began
	Seen  time.Time `json:"seen"`  // when it was last heard of
}

const (
	replicaSet = "replicas"
	// replicaEvery is how often a process says that it is there, and replicaFor
	// how long it is believed.
	replicaEvery = 15 * time.Second
	replicaFor   = 50 * time.Second
)

// beThere tells the other replicas that this process is one, until ctx is done.
func (s *Syncer) beThere(ctx context.Context) {
	me := Replica{Name: s.name, Since: time.Now()}
	key := s.name + "/" + rand.Text()[:10]
	last, cancel := outlive(ctx, lastWord)
	defer cancel()
	// Who cannot say so is missing from a list; what is amiss is told elsewhere.
	save := func(records ...Record) {
		_ = s.safely(last, "the queue: Save", func() error { return s.shared.Save(last, replicaSet, records...) })
	}
	for tidy := true; ctx.Err() == nil; tidy = false {
		me.Seen = time.Now()
		value, err := json.Marshal(me)
		if err != nil {
			return
		}
		records := []Record{{key, value}}
		if tidy {
			records = append(records, s.longGone(ctx)...)
		}
		save(records...)
		_ = sleep(ctx, replicaEvery)
	}
	save(Record{Key: key})
}

// longGone has the records of replicas that died, to be removed.
func (s *Syncer) longGone(ctx context.Context) (gone []Record) {
	for rec, err := range s.shared.Records(ctx, replicaSet, "") {
		if err != nil {
			return nil
		}
		var r Replica
		if json.Unmarshal(rec.Value, &r) != nil || time.Since(r.Seen).Abs() > time.Hour {
			gone = append(gone, Record{Key: rec.Key})
		}
	}
	return gone
}

// replicas lists the processes that were heard of lately, by name.
func (s *Syncer) replicas(ctx context.Context) (all []Replica, err error) {
	for rec, err := range s.shared.Records(ctx, replicaSet, "") {
		if err != nil {
			return nil, fmt.Errorf("the replicas: %w", err)
		}
		var r Replica
		if json.Unmarshal(rec.Value, &r) == nil && time.Since(r.Seen) < replicaFor {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b Replica) int { return cmp.Or(cmp.Compare(a.Name, b.Name), a.Since.Compare(b.Since)) })
	return all, nil
}
