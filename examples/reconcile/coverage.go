package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/ecosire/stocksync/examples/internal/show"
	"github.com/ecosire/stocksync/syncer"
)

// cover says which products the shops have, and returns the exit code.
func (j *job) cover(ctx context.Context) int {
	done := j.wait("reading")
	c, err := j.services.Coverage(ctx)
	done()
	if c != nil {
		fmt.Fprintln(j.out)
		fmt.Fprint(j.out, c)
		cost := fmt.Sprintf("%d requests to ECOSIRE", c.Requests[""])
		for _, ch := range c.Channels {
			cost += fmt.Sprintf(", %d to %s", c.Requests[ch.Channel], ch.Channel)
		}
		j.out.Line(show.Dim, fmt.Sprintf("%s, in %v.", cost, c.Duration.Round(time.Millisecond)))
	}
	if err == nil && j.csvFile != "" {
		var table bytes.Buffer
		if err = c.WriteCSV(&table); err == nil {
			err = os.WriteFile(j.csvFile, table.Bytes(), 0o644)
		}
	}
	switch {
	case err != nil:
		fmt.Fprintln(j.errOut, err)
		return exitFailed
	case slices.ContainsFunc(c.Gaps, func(g syncer.Gap) bool { return g.Kind != syncer.GapSource && g.Kind != syncer.GapShop }):
		return exitDrift
	}
	return exitFine
}
