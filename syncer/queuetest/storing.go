package queuetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/ecosire/stocksync/syncer"
)

var storing = []test{
	{"SaveAndLoad", func(k *kit) {
		k.gone("set", "name", "it was never saved")
		k.save("set") // no records: nothing happens
		k.save("set", record("name", "one"), record("", "empty key"))
		k.save("set", record("name", "two"))
		k.load("set", "name", "two", "the newest value counts")
		k.load("set", "", "empty key", "a key may be empty")
		k.save("", record("name", "empty set"))
		k.load("", "name", "empty set", "a set's name may be empty")
		k.save("set", record("name", ""))
		k.load("set", "name", "", "a value may be empty, which is not nil")
		k.save("set", record("name", "first"), record("other", "x"), record("name", "last"))
		k.load("set", "name", "last", "if a key comes twice, the later record counts")
		odd := string([]byte{0, 1, 0xFF, '\'', '\\', '\n'})
		k.save(odd, record(odd, odd))
		k.load(odd, odd, odd, "any bytes may be in a set's name, a key and a value")
		large := string(bytes.Repeat([]byte("0123456789abcdef"), 4096))
		k.save("set", record("large", large))
		k.load("set", "large", large, "a value may have 64 KiB")
	}},
	{"StoredValuesAreCopies", func(k *kit) {
		value := []byte("mine")
		k.save("set", syncer.Record{Key: "name", Value: value})
		value[0] = 'X'
		k.load("set", "name", "mine", "Save copies the value: the caller may change it afterwards")
		if v, _ := k.q.Load(k.t.Context(), "set", "name"); len(v) > 0 {
			v[0] = 'X'
		}
		k.load("set", "name", "mine", "Load returns a copy: the caller may change it")
		for r := range k.q.Records(k.t.Context(), "set", "") {
			clear(r.Value)
		}
		k.load("set", "name", "mine", "Records yields copies: the caller may change them")
	}},
	{"SetsAreApart", func(k *kit) {
		// Concatenating set and key, or joining them with a separator, would mix these up.
		pairs := [][2]string{
			{"", "ab"}, {"a", "b"}, {"ab", "c"}, {"a", "bc"}, {"a\x00b", "c"}, {"a", "b\x00c"}, {"a/b", "\xff"},
			{"a", "b/\xff"}, {"a", ""}, {"", ""}, {"A", "b"}, {"a", "B"}, {"a", "b "}, {"\x01a", "b"},
		}
		for _, p := range pairs {
			k.save(p[0], record(p[1], p[0]+"|"+p[1]))
		}
		for _, p := range pairs {
			k.load(p[0], p[1], p[0]+"|"+p[1], "a record is its set and its key, byte for byte")
		}
		k.records("a", "", "a set has its own records only", "", "B", "b", "b\x00c", "b ", "b/\xff", "bc")
		k.records("none", "", "a set without records is empty")
		k.save("a", syncer.Record{Key: "b"})
		k.load("A", "b", "A|b", "what is removed from one set stays in the others")
	}},
	{"ANilValueRemoves", func(k *kit) {
		k.save("set", record("a", "1"), record("b", "2"), record("c", "3"))
		k.save("set", syncer.Record{Key: "b"}, syncer.Record{Key: "never"})
		k.gone("set", "b", "a nil Value removes the record")
		k.records("set", "", "a nil Value removes the record", "a", "c")
		k.save("set", syncer.Record{Key: "a"}, record("a", "new"), record("c", "new"), syncer.Record{Key: "c"})
		k.load("set", "a", "new", "if a key comes twice, the later record counts")
		k.gone("set", "c", "if a key comes twice, the later record counts, also if it removes")
		k.save("set", syncer.Record{Key: "a"})
		k.records("set", "", "a set may become empty")
		k.save("set", record("b", "again"))
		k.records("set", "", "a record may come again", "b")
	}},
	{"RecordsAreInOrder", func(k *kit) {
		keys := []string{"", "\x00", "10", "9", "A", "B", "a", "a\x00", "a\x00b", "aa", "b", "ä", "\xff", "\xff\xff"}
		slices.Sort(keys)
		for i := range keys { // in another order
			key := keys[(i*5+3)%len(keys)]
			k.save("set", record(key, "of "+key))
		}
		k.records("set", "", "records come in the bytewise order of their keys", keys...)
		for _, from := range []string{"", "\x00", "5", "a", "a\x00a", "ab", "b", "zz", "\xff", "\xff\xff", "\xff\xff\xff"} {
			at, _ := slices.BinarySearch(keys, from)
			k.records("set", from, "records begin with the first key that is not less than from", keys[at:]...)
		}
		for r, err := range k.q.Records(k.t.Context(), "set", "a") {
			if err != nil || string(r.Value) != "of "+r.Key {
				k.t.Fatalf("Records yielded %q, %q, %v: a record comes with its value", r.Key, r.Value, err)
			}
		}
	}},
	{"ALargeSet", func(k *kit) {
		const n = 3000
		keys := make([]string, n)
		records := make([]syncer.Record, n)
		for i := range keys {
			keys[i] = fmt.Sprintf("sku-%05d", i)
			records[(i*7)%n] = record(keys[i], keys[i]) // 7 and n have no common factor
		}
		k.save("set", records...)
		k.records("set", "", "a set may have thousands of records", keys...)
		k.records("set", "sku-02000", "a range begins anywhere", keys[2000:]...)
		all := k.q.Records(k.t.Context(), "set", "")
		for range 2 {
			var seen []string
			for r, err := range all {
				if err != nil {
					k.t.Fatalf("Records: %v", err)
				}
				if seen = append(seen, r.Key); len(seen) == 700 {
					break
				}
			}
			if !slices.Equal(seen, keys[:700]) {
				k.t.Fatalf("Records yielded %s, want the first 700: a range may be left, and a second one starts again", brief(seen))
			}
		}
		// The store may be used within the loop. What changes behind and ahead of it harms nothing.
		var seen []string
		for r, err := range k.q.Records(k.t.Context(), "set", "") {
			if err != nil {
				k.t.Fatalf("Records: %v", err)
			}
			if len(seen)%2 == 0 {
				k.save("set", syncer.Record{Key: r.Key})
			}
			if len(seen)%500 == 0 {
				k.save("set", record("a-"+r.Key, "")) // behind
				k.load("set", keys[n-1], keys[n-1], "the caller may call the store within the loop")
			}
			seen = append(seen, r.Key)
		}
		if !slices.Equal(seen, keys) {
			k.t.Fatalf("Records yielded %d records, from %s: removing what was yielded neither skips nor repeats others", len(seen), brief(seen))
		}
		var left []string
		for i := range 6 {
			left = append(left, "a-"+keys[i*500])
		}
		for i := 1; i < n; i += 2 {
			left = append(left, keys[i])
		}
		k.records("set", "", "every second record was removed within the loop", left...)
	}},
	{"ASaveIsAllOrNothing", func(k *kit) {
		// Some of these calls are cut off in the middle.
		const saves, size = 60, 40
		for i := range saves {
			ctx, cancel := context.WithCancel(k.t.Context())
			records := make([]syncer.Record, size)
			for j := range records {
				records[j] = record(fmt.Sprintf("%02d/%02d", i, j), "value")
			}
			var wg sync.WaitGroup
			if i%3 == 0 {
				cancel()
			} else {
				wg.Go(cancel)
			}
			err := k.q.Save(ctx, "set", records...)
			wg.Wait()
			cancel()
			if err != nil {
				k.settle() // what is under way may still be done
			}
			k.save("other", record("x", fmt.Sprint(i)))
			n := 0
			for _, err := range k.q.Records(k.t.Context(), "set", fmt.Sprintf("%02d/", i)) {
				if err != nil {
					k.t.Fatalf("Records: %v", err)
				}
				n++
			}
			if n != size && (n != 0 || err == nil) {
				k.t.Fatalf("Save of %d records returned %v and %d are there: all of them or none, and all of them if it returned nil", size, err, n)
			}
		}
	}},
	{"ConcurrentStoreUse", func(k *kit) {
		const writers, rounds, size = 4, 30, 20
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				records := make([]syncer.Record, size)
				for round := range rounds {
					for i := range records {
						records[i] = record(fmt.Sprintf("%d/%02d", w, i), fmt.Sprint(round))
					}
					if err := k.q.Save(k.t.Context(), "set", records...); err != nil {
						k.t.Errorf("Save: %v", err)
					}
				}
			})
		}
		for range 2 {
			wg.Go(func() {
				for range rounds {
					last := ""
					for r, err := range k.q.Records(k.t.Context(), "set", "0") {
						if err != nil || r.Key <= last {
							k.t.Errorf("Records yielded %q after %q, %v: the order holds whatever changes meanwhile", r.Key, last, err)
							return
						}
						last = r.Key
					}
				}
			})
		}
		wg.Wait()
		n := 0
		for r, err := range k.q.Records(k.t.Context(), "set", "") {
			if err != nil || string(r.Value) != fmt.Sprint(rounds-1) {
				k.t.Fatalf("Records yielded %q with %q, %v: the last Save of each writer counts", r.Key, r.Value, err)
			}
			n++
		}
		if n != writers*size {
			k.t.Fatalf("the set has %d records, want %d", n, writers*size)
		}
	}},
}
