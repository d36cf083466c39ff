package boltqueue

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// newInfix is in the names of files that create has not finished.
const newInfix = ".new"

// create makes a new file whole or not at all, so that one which is there but
// not whole was damaged. If another process is first, its file is left alone.
func create(path string) (err error) {
	// Another process may take the unfinished file for a leftover, in the moment
	// before it is locked or after. Then it is made again.
	for range 3 {
		if err = tryCreate(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

func tryCreate(path string) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+newInfix+"*")
	if err != nil {
		return err
	}
	_ = f.Close()
	defer os.Remove(f.Name())
	if err := withDB(f.Name(), false, func(db *bolt.DB) error { return db.Update(initialize) }); err != nil {
		return err
	}
	err = os.Link(f.Name(), path)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil: // not every file system has links
		if err := os.Rename(f.Name(), path); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// syncDir puts the names in a folder on disk. Windows has no such thing.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// removeLeftovers removes the unfinished files of calls of create that were
// killed. Errors do not matter: whoever opens the file next tries again.
func removeLeftovers(path string) {
	dir, prefix := filepath.Dir(path), filepath.Base(path)+newInfix
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		random, ok := strings.CutPrefix(entry.Name(), prefix)
		if !ok || random == "" || strings.Trim(random, "0123456789") != "" || !entry.Type().IsRegular() {
			continue
		}
		if name := filepath.Join(dir, entry.Name()); !inUse(name) {
			_ = os.Remove(name)
		}
	}
}

// inUse reports whether a process has the lock of a file.
func inUse(name string) bool {
	db, _, err := openDB(name, true, time.Nanosecond)
	if err == nil {
		_ = db.Close()
	}
	return errors.Is(err, ErrInUse)
}
