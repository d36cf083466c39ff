package shopify

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/ecosire/stocksync/channel"
)

// keepMagic begins what Keep writes. Its number changes with the form, and with
// how SKUs are hashed.
const keepMagic = "stocksync shopify 1\n"

// maxKept bounds a number of entries, so that a damaged file asks for no more
// memory than a large shop.
const maxKept = 100_000_000

// Keep implements [channel.Keeper]. It writes which items the SKUs stand for,
// 13 bytes an item, and which items cannot be written: what a start would else
// have to ask the shop for. It holds no quantities, no SKUs and no credentials.
// The channels of a shop share the first part.
func (ch *Channel) Keep(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	k := &keeper{w: out, sum: crc32.NewIEEE()}
	k.bytes([]byte(keepMagic))
	k.text(ch.client.shop)
	k.text(ch.location)
	ch.client.load.mu.Lock()
	mapped := ch.client.load.mapped
	ch.client.load.mu.Unlock()
	k.flag(mapped)
	for e := range ch.client.items.entries() {
		k.number(1, 1)
		k.number(e.hash>>(64-shardBits-32), 6)
		k.number(e.item, 6)
		if k.err != nil {
			return k.err
		}
	}
	k.number(0, 1)
	for _, item := range ch.refused.keys() {
		if why, ok := ch.refused.get(item); ok && errors.Is(why, channel.ErrShared) {
			k.number(1, 1)
			k.number(item, 8)
		}
	}
	k.number(0, 1)
	for _, item := range ch.switched.keys() {
		if did, ok := ch.switched.get(item); ok {
			k.number(1, 1)
			k.number(item, 8)
			k.flag(did.tracked)
			k.flag(did.activated)
		}
	}
	k.number(0, 1)
	k.number(uint64(k.sum.Sum32()), 4)
	if k.err != nil {
		return k.err
	}
	return out.Flush()
}

type keeper struct {
	w   *bufio.Writer
	sum hash.Hash32
	err error
}

func (k *keeper) bytes(b []byte) {
	if k.err == nil {
		k.sum.Write(b)
		_, k.err = k.w.Write(b)
	}
}

func (k *keeper) number(n uint64, size int) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	k.bytes(b[:size])
}

func (k *keeper) flag(is bool) {
	n := uint64(0)
	if is {
		n = 1
	}
	k.number(n, 1)
}

func (k *keeper) text(s string) {
	k.number(uint64(len(s)), 2)
	k.bytes([]byte(s))
}

// Restore implements [channel.Keeper]. What another shop, another location or
// another version of this package wrote is an error, and so is what is damaged.
// What it learns is checked against the shop before it is relied on.
func (ch *Channel) Restore(r io.Reader) error {
	k := &restorer{r: bufio.NewReaderSize(r, 64<<10), sum: crc32.NewIEEE()}
	if string(k.bytes(len(keepMagic))) != keepMagic {
		return errors.New("shopify: Restore: not what this version keeps")
	}
	if shop, location := k.text(), k.text(); k.err == nil && (shop != ch.client.shop || location != ch.location) {
		return errors.New("shopify: Restore: it is about another shop or location")
	}
	mapped := k.flag()
	for n := 0; k.more(&n); {
		e := entry{hash: k.number(6) << (64 - shardBits - 32), item: k.number(6)}
		if k.err == nil {
			ch.client.items.addEntry(e) // a hint: at worst it costs a read
		}
	}
	var shared []uint64
	for n := 0; k.more(&n); {
		shared = append(shared, k.number(8))
	}
	did := make(map[uint64]prepared)
	for n := 0; k.more(&n); {
		item := k.number(8)
		did[item] = prepared{tracked: k.flag(), activated: k.flag()}
	}
	sum := k.sum.Sum32()
	if k.number(4) != uint64(sum) && k.err == nil {
		k.err = errors.New("it is damaged")
	}
	if k.err != nil {
		return fmt.Errorf("shopify: Restore: %w", k.err)
	}
	for _, item := range shared {
		ch.refused.put(item, fmt.Errorf("%w: %s: the shop refused a quantity for it", channel.ErrShared, itemID(item)))
	}
	for item, d := range did {
		ch.switched.put(item, d)
	}
	if mapped {
		ch.client.load.filled("", false)
	}
	return nil
}

type restorer struct {
	r   *bufio.Reader
	sum hash.Hash32
	err error
}

func (k *restorer) bytes(n int) []byte {
	b := make([]byte, n)
	if k.err != nil {
		return b
	}
	if _, k.err = io.ReadFull(k.r, b); k.err == nil {
		k.sum.Write(b)
	}
	return b
}

func (k *restorer) number(size int) uint64 {
	var b [8]byte
	copy(b[:], k.bytes(size))
	return binary.LittleEndian.Uint64(b[:])
}

func (k *restorer) flag() bool { return k.number(1) == 1 }

func (k *restorer) text() string { return string(k.bytes(int(k.number(2)))) }

// more reads whether there is another entry.
func (k *restorer) more(n *int) bool {
	if *n++; *n > maxKept && k.err == nil {
		k.err = errors.New("it is too large")
	}
	return k.err == nil && k.flag() && k.err == nil
}
