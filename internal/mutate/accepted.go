package main

import (
	"fmt"
	"os"
	"strings"
)

// Survivors are mutations that may live, by id, with the reason.
type survivors map[string]string

// readAccepted reads a file of ids, as the program prints them without the
// line, each followed by indented lines with the reason. An id that ends in *
// stands for all that begin so. Lines that begin with # are comments.
func readAccepted(path string) (survivors, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := make(survivors)
	id := ""
	for n, line := range strings.Split(string(text), "\n") {
		words := strings.TrimSpace(line)
		switch {
		case words == "" || strings.HasPrefix(line, "#"):
		case line[0] != ' ' && line[0] != '\t':
			id = words
			if _, twice := s[id]; twice {
				return nil, fmt.Errorf("%s:%d: the same a second time", path, n+1)
			}
			s[id] = ""
		case id == "":
			return nil, fmt.Errorf("%s:%d: a reason for nothing", path, n+1)
		default:
			s[id] = strings.TrimSpace(s[id] + " " + words)
		}
	}
	for id, reason := range s {
		if reason == "" {
			return nil, fmt.Errorf("%s: no reason for %s", path, id)
		}
	}
	return s, nil
}

// has reports whether a mutation may live.
func (s survivors) has(m *mutation) bool { return s.entry(m) != "" }

// entry returns the id in the file under which a mutation may live.
func (s survivors) entry(m *mutation) string {
	id := m.id()
	if s[id] != "" {
		return id
	}
	for e := range s {
		if prefix, ok := strings.CutSuffix(e, "*"); ok && strings.HasPrefix(id, prefix) {
			return e
		}
	}
	return ""
}
