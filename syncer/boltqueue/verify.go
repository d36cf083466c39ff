package boltqueue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// What verify knows of the bbolt file format, version 2, which is that of all
// its releases. Numbers are in the byte order of the machine.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	pageHeader    = 16 // id 8, flags 2, count 2, overflow 4
	elementSize   = 16 // leaf: flags 4, pos 4, ksize 4, vsize 4; branch: pos 4, ksize 4, page 8
	bucketHeader  = 16 // root page 8, sequence 8
	metaSize      = 64 // magic 4, version 4, page size 4, flags 4, root 16, freelist 8, high 8, txid 8, checksum 8
	branchPage    = 0x01
	leafPage      = 0x02
	freelistPage  = 0x10
	bucketElement = 0x01
	noFreelist    = ^uint64(0)
)

// verify checks the structure of a database file: both headers, that every
// page is used once or is free, that everything lies within its page, and that
// keys are in order. It reads the file as data, and cannot crash whatever is in
// it. A header that does not match its checksum is damage, although bbolt
// would go on with the other one: that is older, and would lose marks. (A
// crash does not leave such a header: it is written within one sector.)
func verify(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	v := &verifier{r: f, used: make(map[uint64]bool)}
	m, err := v.meta(info.Size())
	if err != nil {
		return err
	}
	v.high = m.high
	if _, err := v.tree(m.root, nil); err != nil {
		return err
	}
	return v.freelist(m.freelist)
}

type verifier struct {
	r        io.ReaderAt
	pageSize int64
	high     uint64 // the first page number that is not in use
	used     map[uint64]bool
}

type metaPage struct {
	pageSize                   uint32
	root, freelist, high, txid uint64
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// meta returns the newer of the two headers.
func (v *verifier) meta(size int64) (metaPage, error) {
	first, err := v.readMeta(0)
	if err != nil {
		return metaPage{}, err
	}
	v.pageSize = int64(first.pageSize)
	second, err := v.readMeta(v.pageSize)
	if err != nil {
		return metaPage{}, err
	}
	m := first
	if second.txid > first.txid {
		m = second
	}
	if v.pageSize < 1024 || m.high < 2 || m.high > uint64(size/v.pageSize) {
		return metaPage{}, damaged("it is cut off: %d bytes are not %d pages", size, m.high)
	}
	return m, nil
}

func (v *verifier) readMeta(at int64) (metaPage, error) {
	b := make([]byte, metaSize)
	if err := v.read(b, at+pageHeader); err != nil {
		return metaPage{}, err
	}
	n := binary.NativeEndian
	sum := fnv.New64a()
	sum.Write(b[:metaSize-8])
	if n.Uint32(b) != boltMagic || n.Uint32(b[4:]) != boltVersion || n.Uint64(b[56:]) != sum.Sum64() {
		return metaPage{}, damaged("a header is not valid")
	}
	return metaPage{
		pageSize: n.Uint32(b[8:]),
		root:     n.Uint64(b[16:]),
		freelist: n.Uint64(b[32:]),
		high:     n.Uint64(b[40:]),
		txid:     n.Uint64(b[48:]),
	}, nil
}

func (v *verifier) read(b []byte, at int64) error {
	_, err := v.r.ReadAt(b, at)
	if errors.Is(err, io.EOF) {
		return damaged("it is cut off")
	}
	return err
}

// page reads a page with its overflow, and notes that it is used.
func (v *verifier) page(id uint64) ([]byte, error) {
	if id < 2 || id >= v.high {
		return nil, damaged("there is no page %d", id)
	}
	head := make([]byte, pageHeader)
	if err := v.read(head, int64(id)*v.pageSize); err != nil {
		return nil, err
	}
	n := uint64(binary.NativeEndian.Uint32(head[12:])) + 1
	if binary.NativeEndian.Uint64(head) != id || n > v.high-id {
		return nil, damaged("page %d has a wrong header", id)
	}
	for i := id; i < id+n; i++ {
		if v.used[i] {
			return nil, damaged("page %d is used twice", i)
		}
		v.used[i] = true
	}
	b := make([]byte, int64(n)*v.pageSize)
	return b, v.read(b, int64(id)*v.pageSize)
}

// tree checks the pages from a root on, whose keys must be at least min, and
// returns the last key.
func (v *verifier) tree(id uint64, min []byte) (last []byte, err error) {
	b, err := v.page(id)
	if err != nil {
		return nil, err
	}
	return v.node(id, b, min)
}

// node checks one page, or a bucket that is so small that it lies in a page,
// and what is below. All that it says is about page id.
func (v *verifier) node(id uint64, b, min []byte) (last []byte, err error) {
	n := binary.NativeEndian
	kind, count := n.Uint16(b[8:]), int(n.Uint16(b[10:]))
	if kind != leafPage && kind != branchPage {
		return nil, damaged("page %d is of a wrong kind", id)
	}
	if pageHeader+count*elementSize > len(b) || kind == branchPage && count == 0 {
		return nil, damaged("page %d has a wrong count", id)
	}
	last = min
	for i := range count {
		at := pageHeader + i*elementSize
		e := b[at : at+elementSize]
		var flags uint32
		var key, value []byte
		var ok bool
		if kind == leafPage {
			flags = n.Uint32(e)
			if key, ok = part(b, uint64(at)+uint64(n.Uint32(e[4:])), n.Uint32(e[8:])); ok {
				value, ok = part(b, uint64(at)+uint64(n.Uint32(e[4:]))+uint64(n.Uint32(e[8:])), n.Uint32(e[12:]))
			}
		} else {
			key, ok = part(b, uint64(at)+uint64(n.Uint32(e)), n.Uint32(e[4:]))
		}
		if !ok || flags&^bucketElement != 0 {
			return nil, damaged("page %d has a wrong element", id)
		}
		// The first key may be that of the branch above; all others go up.
		if c := bytes.Compare(last, key); c > 0 || c == 0 && i > 0 {
			return nil, damaged("page %d has its keys out of order", id)
		}
		last = key
		switch {
		case kind == branchPage:
			if last, err = v.tree(n.Uint64(e[8:]), key); err != nil {
				return nil, err
			}
		case flags == bucketElement:
			if err := v.bucket(id, value); err != nil {
				return nil, err
			}
		}
	}
	return last, nil
}

// part returns size bytes of b, if there are as many.
func part(b []byte, at uint64, size uint32) ([]byte, bool) {
	if end := at + uint64(size); end <= uint64(len(b)) {
		return b[at:end], true
	}
	return nil, false
}

func (v *verifier) bucket(id uint64, value []byte) error {
	if len(value) < bucketHeader {
		return damaged("page %d has a wrong bucket", id)
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		_, err := v.tree(root, nil)
		return err
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader || binary.NativeEndian.Uint16(inline[8:]) != leafPage {
		return damaged("page %d has a wrong bucket", id)
	}
	_, err := v.node(id, inline, nil)
	return err
}

// freelist checks that exactly the pages that are not used are listed as free.
func (v *verifier) freelist(id uint64) error {
	if id == noFreelist {
		return nil
	}
	b, err := v.page(id)
	if err != nil {
		return err
	}
	n := binary.NativeEndian
	count, list := uint64(n.Uint16(b[10:])), b[pageHeader:]
	if count == 0xFFFF { // then the count is the first of the list
		count, list = n.Uint64(list), list[8:]
	}
	if n.Uint16(b[8:]) != freelistPage || count > uint64(len(list)/8) {
		return damaged("the list of free pages is not valid")
	}
	for i := range count {
		free := n.Uint64(list[i*8:])
		if free < 2 || free >= v.high || v.used[free] {
			return damaged("page %d is both free and used", free)
		}
		v.used[free] = true
	}
	if uint64(len(v.used)) != v.high-2 {
		return damaged("%d pages are neither free nor used", v.high-2-uint64(len(v.used)))
	}
	return nil
}
