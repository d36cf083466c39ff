package boltqueue

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
)

const pageSize = 1024 // the least that there may be

// A database is a file of bbolt's, to be changed where it hurts.
type database struct {
	t *testing.T
	b []byte
}

// sound makes a database that has all that verify looks at: branches, a value
// of several pages, a bucket that lies in a page and one that does not, and
// pages that are free.
func sound(t *testing.T, freelist bool) *database {
	path := filepath.Join(t.TempDir(), "db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: pageSize, NoFreelistSync: !freelist, NoSync: true})
	require.NoError(t, err)
	key := func(i int) []byte { return fmt.Appendf(nil, "key-%04d", i) }
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("inline"))
		require.NoError(t, err)
		b, err := tx.CreateBucket([]byte("large"))
		require.NoError(t, err)
		for i := range 200 {
			require.NoError(t, b.Put(key(i), bytes.Repeat([]byte("v"), 40)))
		}
		return b.Put([]byte("long"), make([]byte, 3*pageSize))
	}))
	require.NoError(t, db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte("inline")).Put([]byte("k"), []byte("v")) }))
	require.NoError(t, db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte("large")).Delete(key(7)) }))
	require.NoError(t, db.Close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	d := &database{t, content}
	d.b = d.b[:d.meta().high*pageSize] // bbolt has room at the end
	return d
}

func (d *database) verify() error {
	path := filepath.Join(d.t.TempDir(), "db")
	require.NoError(d.t, os.WriteFile(path, d.b, 0o600))
	return verify(path)
}

func (d *database) meta() metaPage {
	m, err := (&verifier{r: bytes.NewReader(d.b)}).meta(int64(len(d.b)))
	require.NoError(d.t, err)
	return m
}

// edit changes the headers, and makes their checksums right.
func (d *database) edit(edit func(header []byte)) {
	for at := range 2 {
		h := d.b[at*pageSize+pageHeader:][:metaSize]
		edit(h)
		sum := fnv.New64a()
		sum.Write(h[:metaSize-8])
		binary.NativeEndian.PutUint64(h[56:], sum.Sum64())
	}
}

func (d *database) page(id uint64) []byte { return d.b[id*pageSize:] }

// A node is a page of a tree.
type node struct{ b []byte }

func (d *database) node(id uint64) node { return node{d.page(id)} }

func (n node) element(i int) []byte { return n.b[pageHeader+i*elementSize:] }

// key is that of an element of a leaf, and value what follows it.
func (n node) key(i int) []byte {
	e := n.element(i)
	return e[u32(e[4:]):][:u32(e[8:])]
}

func (n node) value(i int) []byte {
	e := n.element(i)
	return e[u32(e[4:])+u32(e[8:]):]
}

// branch is the key of an element of a branch, and the page below.
func (n node) branch(i int) (key []byte, id uint64) {
	e := n.element(i)
	return e[u32(e):][:u32(e[4:])], u64(e[8:])
}

func u16(b []byte) uint16       { return binary.NativeEndian.Uint16(b) }
func u32(b []byte) uint32       { return binary.NativeEndian.Uint32(b) }
func u64(b []byte) uint64       { return binary.NativeEndian.Uint64(b) }
func set16(b []byte, n uint16)  { binary.NativeEndian.PutUint16(b, n) }
func set32(b []byte, n uint32)  { binary.NativeEndian.PutUint32(b, n) }
func set64(b []byte, n uint64)  { binary.NativeEndian.PutUint64(b, n) }
func (d *database) root() node  { return d.node(d.meta().root) }
func (d *database) large() node { return d.node(u64(d.root().value(1))) } // a branch

// leaf is the page below an element of the branch.
func (d *database) leaf(i int) node {
	_, id := d.large().branch(i)
	return d.node(id)
}

func TestVerifyAcceptsWhatIsSound(t *testing.T) {
	d := sound(t, true)
	require.NoError(t, d.verify(), "which ends with its last page")
	require.EqualValues(t, branchPage, u16(d.large().b[8:]))
	require.Equal(t, "inline", string(d.root().key(0)))
	require.Zero(t, u64(d.root().value(0)))
	free := d.page(d.meta().freelist)
	require.Greater(t, u16(free[10:]), uint16(1))
	// So many free pages that their number does not fit into its place.
	count := int(u16(free[10:]))
	set16(free[10:], 0xFFFF)
	copy(free[pageHeader+8:], bytes.Clone(free[pageHeader:pageHeader+8*count]))
	set64(free[pageHeader:], uint64(count))
	require.NoError(t, d.verify())
	require.NoError(t, sound(t, false).verify(), "no list of free pages")

	// A list that fills its page.
	d = sound(t, true)
	free, count = d.page(d.meta().freelist), int(u16(d.page(d.meta().freelist)[10:]))
	high := d.meta().high
	for n := count; n < (pageSize-pageHeader)/8; n++ {
		set64(free[pageHeader+8*n:], high)
		high++
	}
	set16(free[10:], (pageSize-pageHeader)/8)
	d.edit(func(h []byte) { set64(h[40:], high) })
	d.b = append(d.b, make([]byte, high*pageSize-uint64(len(d.b)))...)
	require.NoError(t, d.verify())
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		what   string
		damage func(d *database)
		want   string
	}{
		{"nothing in it", func(d *database) { d.b = nil }, "it is cut off$"},
		{"the first header only", func(d *database) { d.b = d.b[:pageSize] }, "it is cut off$"},
		{"a page less", func(d *database) { d.b = d.b[:len(d.b)-pageSize] }, "are not"},
		{"no pages", func(d *database) { d.edit(func(h []byte) { set64(h[40:], 1) }) }, "are not 1 pages"},
		{"headers only", func(d *database) { d.edit(func(h []byte) { set64(h[40:], 2) }) }, "there is no page"},
		{"small pages", func(d *database) {
			h := bytes.Clone(d.b[pageSize:][:pageHeader+metaSize])
			d.b = append(d.b[:512:512], append(h, d.b[512+len(h):]...)...)
			edit := func(at int) {
				h := d.b[at+pageHeader:][:metaSize]
				set32(h[8:], 512)
				sum := fnv.New64a()
				sum.Write(h[:metaSize-8])
				set64(h[56:], sum.Sum64())
			}
			edit(0)
			edit(512)
		}, "are not"},
		{"another kind of file", func(d *database) { d.edit(func(h []byte) { set32(h, 1) }) }, "a header"},
		{"another version", func(d *database) { d.edit(func(h []byte) { set32(h[4:], 3) }) }, "a header"},
		{"the first header's sum", func(d *database) { d.b[pageHeader+50]++ }, "a header"},
		{"the second header's sum", func(d *database) { d.b[pageSize+pageHeader+50]++ }, "a header"},

		{"a root that is a header", func(d *database) { d.edit(func(h []byte) { set64(h[16:], 1) }) }, "there is no page 1"},
		{"a root beyond", func(d *database) { d.edit(func(h []byte) { set64(h[16:], u64(h[40:])) }) }, "there is no page"},
		{"a page of another number", func(d *database) { set64(d.large().b, 9999) }, "wrong header"},
		{"a page that is too long", func(d *database) { set32(d.large().b[12:], uint32(d.meta().high)) }, "wrong header"},
		{"a page that is long by far", func(d *database) { set32(d.large().b[12:], 1<<31) }, "wrong header"},
		{"a page used twice", func(d *database) {
			_, id := d.large().branch(0)
			set64(d.large().element(1)[8:], id)
		}, "used twice"},
		{"a page that runs into another", func(d *database) { set32(d.root().b[12:], 1) }, "twice"},

		{"a kind that there is not", func(d *database) { set16(d.leaf(1).b[8:], 4) }, "wrong kind"},
		{"a branch without a twig", func(d *database) { set16(d.large().b[10:], 0) }, "wrong count"},
		{"more elements than fit", func(d *database) { set16(d.leaf(1).b[10:], pageSize/elementSize) }, "wrong count"},
		{"as many as never fit", func(d *database) { set16(d.leaf(1).b[10:], 0xFFFE) }, "wrong count"},
		{"a key beyond its page", func(d *database) { set32(d.leaf(1).element(2)[4:], 2*pageSize) }, "wrong element"},
		{"a value beyond its page", func(d *database) { set32(d.leaf(1).element(2)[12:], 2*pageSize) }, "wrong element"},
		{"a flag that there is not", func(d *database) { set32(d.leaf(1).element(2), 2) }, "wrong element"},
		{"a branch's key beyond its page", func(d *database) { set32(d.large().element(2), 2*pageSize) }, "wrong element"},

		{"keys the wrong way round", func(d *database) {
			one := bytes.Clone(d.leaf(1).key(2))
			copy(d.leaf(1).key(2), d.leaf(1).key(3))
			copy(d.leaf(1).key(3), one)
		}, "out of order"},
		{"one key twice", func(d *database) { copy(d.leaf(1).key(3), d.leaf(1).key(2)) }, "out of order"},
		{"a key before its branch", func(d *database) { copy(d.leaf(1).key(0), "aaa-0000") }, "out of order"},
		{"a key beyond its branch", func(d *database) {
			leaf := d.leaf(1)
			copy(leaf.key(int(u16(leaf.b[10:]))-1), "key-0199")
		}, "out of order"},

		{"a bucket that is too short", func(d *database) { set32(d.root().element(0)[12:], bucketHeader-1) }, "wrong bucket"},
		{"a bucket of its header alone", func(d *database) { set32(d.root().element(0)[12:], bucketHeader) }, "wrong bucket"},
		{"a bucket that is no leaf", func(d *database) { set16(d.root().value(0)[bucketHeader+8:], branchPage) }, "wrong bucket"},
		{"a wrong element in a bucket", func(d *database) { set32(d.root().value(0)[bucketHeader+pageHeader:], 2) }, "wrong element"},
		{"a bucket of a page that is not", func(d *database) { set64(d.root().value(1), 9999) }, "there is no page 9999"},

		{"a list that is not there", func(d *database) { d.edit(func(h []byte) { set64(h[32:], 9999) }) }, "there is no page 9999"},
		{"a list of another kind", func(d *database) { set16(d.page(d.meta().freelist)[8:], leafPage) }, "list of free pages"},
		{"a list that is too long", func(d *database) { set16(d.page(d.meta().freelist)[10:], pageSize/8) }, "list of free pages"},
		{"a page that is free and used", func(d *database) { set64(d.page(d.meta().freelist)[pageHeader:], d.meta().root) }, "both free and used"},
		{"a header that is free", func(d *database) { set64(d.page(d.meta().freelist)[pageHeader:], 1) }, "both free and used"},
		{"a page beyond that is free", func(d *database) { set64(d.page(d.meta().freelist)[pageHeader:], d.meta().high) }, "both free and used"},
		{"a page that nobody knows", func(d *database) {
			free := d.page(d.meta().freelist)
			set16(free[10:], u16(free[10:])-1)
		}, "1 pages are neither"},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := sound(t, true)
			before := slices.Clone(d.b)
			c.damage(d)
			require.NotEqual(t, before, d.b)
			err := d.verify()
			require.ErrorIs(t, err, ErrDamaged)
			assert.Contains(t, err.Error()+"$", c.want)
		})
	}
	require.ErrorIs(t, verify(filepath.Join(t.TempDir(), "none")), os.ErrNotExist)
}
