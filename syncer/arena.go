package syncer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
)

// An arena keeps ids in chunks, so that it grows without being copied. The one
// added last is not added again.
type arena struct {
	chunks  [][]byte
	last    string
	lastAt  uint32
	size    int
	dropped int // bytes of ids that are no longer anybody's, about
}

const arenaChunk = 1 << 16

// add returns where an id is kept from now on. It fails for one that is too long
// or if there are too many.
func (a *arena) add(id string) (at uint32, ok bool) {
	if id == a.last && len(a.chunks) > 0 {
		return a.lastAt, true
	}
	if len(id) > maxIndexedID {
		return 0, false
	}
	var buf [packed]byte
	p := pack(buf[:0], id)
	if n := len(a.chunks); n == 0 || len(a.chunks[n-1])+len(p) > arenaChunk {
		if n == arenaChunk {
			return 0, false
		}
		first := arenaChunk
		if n == 0 {
			first = 1 << 10 // most catalogues are small
		}
		a.chunks = append(a.chunks, make([]byte, 0, first))
	}
	n := len(a.chunks) - 1
	at = uint32(n)<<16 | uint32(len(a.chunks[n]))
	a.chunks[n] = append(a.chunks[n], p...)
	a.last, a.lastAt = id, at
	a.size += len(p)
	return at, true
}

func (a *arena) packed(at uint32) []byte {
	c := a.chunks[at>>16][at&0xffff:]
	n, used := binary.Uvarint(c)
	if n == 0 {
		return c[:used+16]
	}
	return c[:used+int(n)]
}

func (a *arena) get(at uint32) string {
	id, err := unpack(bufio.NewReaderSize(bytes.NewReader(a.packed(at)), 16))
	if err != nil {
		panic(fmt.Sprintf("syncer: the index is broken: %v", err)) // it has written it itself
	}
	return id
}

// is reports whether an id is kept at a place. If not, that place is dropped.
func (a *arena) is(at uint32, id string) bool {
	var buf [packed]byte
	if len(id) <= maxIndexedID && bytes.Equal(a.packed(at), pack(buf[:0], id)) {
		return true
	}
	a.dropped += len(a.packed(at))
	return false
}

// packed is how long most ids are at most when they are packed.
const packed = 64

// pack appends the id with its length in front, or 0 and the 16 bytes of a UUID.
func pack(b []byte, id string) []byte {
	if u, ok := uuid(id); ok {
		return append(append(b, 0), u[:]...)
	}
	return append(binary.AppendUvarint(b, uint64(len(id))), id...)
}

// uuid reads a UUID in the form in which uuidText writes it.
func uuid(id string) (u [16]byte, ok bool) {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return u, false
	}
	var odd byte
	for n, at := range uuidDigits {
		high, low := hexDigits[id[at]], hexDigits[id[at+1]]
		odd |= high | low
		u[n] = high<<4 | low&15
	}
	return u, odd < 16
}

// uuidDigits are where the bytes of a UUID are in its text, and hexDigits what a
// digit stands for; 16 is none.
var (
	uuidDigits = [16]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}
	hexDigits  = func() (of [256]byte) {
		for c := range of {
			of[c] = 16
		}
		for n, c := range []byte("0123456789abcdef") {
			of[c] = byte(n)
		}
		return of
	}()
)

func uuidText(u []byte) string {
	h := hex.EncodeToString(u)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func unpack(r *bufio.Reader) (id string, err error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return "", err
	}
	if n > maxIndexedID {
		return "", fmt.Errorf("an id has %d bytes", n)
	}
	isUUID := n == 0
	if isUUID {
		n = 16
	}
	p := make([]byte, n)
	if _, err := io.ReadFull(r, p); err != nil {
		return "", err
	}
	if isUUID {
		return uuidText(p), nil
	}
	return string(p), nil
}
