package main

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCoverageFindsWhatWasRenamedAndWritesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := testWorld(t, 0)
		file := filepath.Join(t.TempDir(), "gaps.csv")
		code, out, errOut := try(t, w, "-coverage", "-csv", file)
		assert.Equal(t, exitDrift, code, errOut)
		assert.Zero(t, w.writing(), "a survey reads only")
		assert.Contains(t, out, "requests to ECOSIRE, ")

		table, err := os.ReadFile(file)
		require.NoError(t, err)
		rows, err := csv.NewReader(bytes.NewReader(table)).ReadAll()
		require.NoError(t, err)
		found := make(map[place]string) // what it nearly is, or what is wrong
		for _, row := range rows[1:] {
			what := row[1]
			if row[3] != "" {
				what = row[3]
			}
			found[place{row[0], row[2]}] = what
		}
		for at, d := range w.drift {
			switch {
			case d.kind == duplicated:
				assert.Equal(t, "ambiguous", found[at], at)
			case d.kind != renamed:
				assert.Empty(t, found[at], at)
			case d.now == at.sku+"-OLD":
				assert.Equal(t, "in the source only", found[at], at)
				assert.Equal(t, "in the shop only", found[place{at.channel, d.now}], at)
			default:
				assert.Equal(t, d.now, found[at], at)
			}
		}
		assert.NoError(t, w.shown(nil))
	})
}
