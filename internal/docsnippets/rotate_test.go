package docsnippets_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
)

func rotatingSource(dir string) (*ecosire.Client, error) {
	// secret reads a file that the platform replaces, such as a mounted secret.
	secret := func(name string) (string, error) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		return strings.TrimSpace(string(data)), err
	}
	source, err := ecosire.New(ecosire.Config{
		RotatingKey: func(context.Context) (string, error) { return secret("ecosire") },
	})
	return source, err
}

// alive is a liveness probe: it fails where only a restart helps.
func alive(s *syncer.Syncer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h, err := s.Health(r.Context())
		long := func(since time.Time) bool { return !since.IsZero() && time.Since(since) > 2*time.Hour }
		works := h.Running && (h.Role == "" || h.Role == syncer.RoleLeader)
		waits := slices.ContainsFunc(h.Channels, func(c syncer.ChannelHealth) bool { return long(c.Oldest) && c.Paused == nil })
		if err == nil && works && waits && long(h.Progress) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func TestSecretsComeFromFiles(t *testing.T) {
	dir := t.TempDir()
	source, err := rotatingSource(dir)
	require.NoError(t, err, "New asks nobody")
	for _, err := range source.Stock(t.Context(), "p1") {
		require.ErrorIs(t, err, channel.ErrUnavailable, "there is no file yet")
		require.ErrorIs(t, err, os.ErrNotExist)
	}
}

// A hanging channel answers nothing, whatever its context says, once it is set.
type hanging struct {
	*channeltest.Memory
	set chan struct{}
}

func (h hanging) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	select {
	case <-h.set:
		time.Sleep(24 * time.Hour)
	default:
	}
	return h.Memory.Levels(ctx, skus)
}

func TestALivenessProbeFailsWhereOnlyARestartHelps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		erp := ecosiretest.New(ecosiretest.Config{})
		ids := erp.Add(ecosiretest.Product{SKU: "MUG", OnHand: 1})
		source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: erp.Client()})
		require.NoError(t, err)
		shop := hanging{channeltest.NewMemory("shop"), make(chan struct{})}
		shop.Set("MUG", 0)
		s, err := syncer.New(syncer.Config{
			Source: source, Targets: []syncer.Target{{Channel: shop}}, WatchEvery: -1, Schedule: syncer.Never(), Patience: 48 * time.Hour,
		})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = s.Run(ctx) }()
		probe := func() int {
			w := httptest.NewRecorder()
			alive(s)(w, httptest.NewRequest(http.MethodGet, "/alive", nil))
			return w.Code
		}
		require.NoError(t, s.Notify(ctx, ids[0]))
		time.Sleep(3 * time.Hour)
		assert.Equal(t, http.StatusNoContent, probe(), "nothing was done for hours, and nothing waits")
		close(shop.set)
		require.NoError(t, s.Notify(ctx, ids[0]))
		time.Sleep(time.Hour)
		assert.Equal(t, http.StatusNoContent, probe(), "a slow shop is not a reason")
		time.Sleep(2 * time.Hour)
		assert.Equal(t, http.StatusServiceUnavailable, probe(), "a mark has waited for hours, and nothing was done since")
		stop()
		<-done
		time.Sleep(24 * time.Hour) // the call returns
	})
}
