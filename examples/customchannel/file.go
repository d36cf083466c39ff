package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// A file is what the till and the channel exchange, in both directions:
//
//	H,delta,42,2026-01-31T12:00:00Z
//	R,TEA-GREEN,7
//	R,"TEA, BLACK",0
//	E,2,<SHA-256 of all lines before, in hex>
//
// What is not listed in a file stays as it is: a missing row never means zero.
type file struct {
	kind     string // one of the kinds below
	sequence int    // of a delta, or of the delta that an answer is about
	made     time.Time
	rows     []row
}

type row struct{ sku, value string }

const (
	delta   = "delta"   // to the till: SKUs and the quantities to show
	done    = "done"    // from the till: the SKUs that it refuses, with a reason
	refused = "refused" // from the till: a row without SKU says why the whole file is
	full    = "full"    // from the till: all its SKUs, and what it shows
)

// reason is why a file is refused.
func (f file) reason() string {
	if len(f.rows) == 0 {
		return "no reason given"
	}
	return f.rows[0].value
}

func (f file) encode() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b) // which quotes commas and quotes in SKUs; b never fails
	w.Write([]string{"H", f.kind, strconv.Itoa(f.sequence), f.made.UTC().Format(time.RFC3339Nano)})
	for _, r := range f.rows {
		w.Write([]string{"R", r.sku, r.value})
	}
	w.Flush()
	fmt.Fprintf(&b, "E,%d,%x\n", len(f.rows), sha256.Sum256(b.Bytes()))
	return b.Bytes()
}

// decode refuses a file that is torn, short or changed, and says why.
func decode(data []byte) (file, error) {
	var f file
	lines, closing, ok := cutLast(data)
	var n int
	var sum string
	if _, err := fmt.Sscanf(closing, "E,%d,%s\n", &n, &sum); !ok || err != nil {
		return f, errors.New("torn: it has no closing line")
	}
	if sum != fmt.Sprintf("%x", sha256.Sum256(lines)) {
		return f, errors.New("damaged: its checksum does not match")
	}
	r := csv.NewReader(bytes.NewReader(lines))
	r.FieldsPerRecord = -1
	records, err := r.ReadAll()
	if err != nil {
		return f, fmt.Errorf("malformed: %w", err)
	}
	if len(records) == 0 || len(records[0]) != 4 || records[0][0] != "H" {
		return f, errors.New("malformed: it has no header")
	}
	if len(records)-1 != n {
		return f, fmt.Errorf("short: it has %d rows, and its closing line counts %d", len(records)-1, n)
	}
	header := records[0]
	f.kind = header[1]
	if f.sequence, err = strconv.Atoi(header[2]); err != nil {
		return f, errors.New("malformed: its sequence is not a number")
	}
	if f.made, err = time.Parse(time.RFC3339Nano, header[3]); err != nil {
		return f, errors.New("malformed: its time is not one")
	}
	for _, rec := range records[1:] {
		if len(rec) != 3 || rec[0] != "R" {
			return f, fmt.Errorf("malformed: row %q", rec)
		}
		f.rows = append(f.rows, row{rec[1], rec[2]})
	}
	return f, nil
}

// cutLast cuts off the last line, which must be ended.
func cutLast(data []byte) (before []byte, last string, ok bool) {
	body, ended := bytes.CutSuffix(data, []byte("\n"))
	i := bytes.LastIndexByte(body, '\n') + 1
	return data[:i], string(data[i:]), ended
}

// put makes a file appear as a whole or not at all: it is written aside, under
// a name that nobody looks for, and renamed when it is on the disk.
func put(path string, f file) error {
	aside, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(aside.Name()) // after the rename there is nothing to remove
	_, err = aside.Write(f.encode())
	err = errors.Join(err, aside.Sync(), aside.Close())
	if err != nil {
		return err
	}
	return os.Rename(aside.Name(), path)
}

func get(path string) (file, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return file{}, err
	}
	return decode(data)
}
