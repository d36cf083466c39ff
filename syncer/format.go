package syncer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrFormat: the queue's records were written by a version of this package that is
// too new for this one.
var ErrFormat = errors.New("the queue's records are of a version that is too new")

// The records in a queue's store say which version of this package made them. A
// record may get more fields at any time: who does not know them leaves them be, and
// who misses them takes the zero value. What cannot be told so is a new version, and
// a reason for a new oldest one.
const (
	formatName = "format"
	// recordsVersion is that of the records that this package writes, and
	// recordsOldest the first one of the package that does not misread them.
	recordsVersion = 1
	recordsOldest  = 1
)

// recordsFormat is what a store says of its records. One that says nothing is older
// than this, and of version 1.
type recordsFormat struct {
	Version int `json:"version"`
	Oldest  int `json:"oldest"`
}

// knownFormat fails if a store has records that this version would misread.
func knownFormat(ctx context.Context, store Store) error {
	_, err := formatOf(ctx, store)
	return err
}

func formatOf(ctx context.Context, store Store) (f recordsFormat, err error) {
	value, err := store.Load(ctx, stateSet, formatName)
	if err != nil || value == nil {
		return f, err
	}
	if err := json.Unmarshal(value, &f); err != nil || f.Version < 1 {
		return f, fmt.Errorf("%w: what they say of it makes no sense", ErrFormat)
	}
	if f.Oldest > recordsVersion {
		return f, fmt.Errorf("%w: it is %d, which versions of stocksync from %d on understand, and this one is of %d: "+
			"go back to the newer one, or begin with an empty queue and a reconciliation", ErrFormat, f.Version, f.Oldest, recordsVersion)
	}
	return f, nil
}

// checkFormat refuses records that are too new, and says of which version they are
// from now on. An older package that works with a newer one's records leaves that be.
func (s *Syncer) checkFormat(ctx context.Context) error {
	f, err := formatOf(ctx, s.on(ctx))
	if err != nil || f.Version >= recordsVersion {
		return err
	}
	value, err := json.Marshal(recordsFormat{recordsVersion, recordsOldest})
	if err != nil {
		return err
	}
	return s.on(ctx).Save(ctx, stateSet, Record{formatName, value})
}
