package month_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

// The first month: a week in which nothing is written, beside the plugin that is to
// be replaced; one in which a tenth of the products is; two in which all are. The
// service is deployed twice a day, once in the middle of the night's run. There are
// a recall, a secret that is rotated and a day without events.
func TestTheFirstMonth(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
	synctest.Test(t, func(t *testing.T) {
		m := newMerchant(t)
		m.deploy()
		defer m.end()
		trading, stopTrading := make(chan struct{}), make(chan struct{})
		go func() { // sixty trades a day, from eight to eight
			defer close(trading)
			for {
				select {
				case <-stopTrading:
					return
				case <-time.After(10 * time.Minute):
				}
				if h := time.Now().Hour(); h >= 8 && h < 20 {
					m.trade()
				}
			}
		}()
		deploying, stopDeploying := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(deploying)
			for d := 1; ; d++ {
				for _, at := range []time.Duration{2*time.Hour + 5*time.Minute, 11 * time.Hour} {
					select {
					case <-stopDeploying:
						return
					case <-time.After(time.Until(m.began.Add(time.Duration(d-1)*day + at))):
						m.deploy()
					}
				}
			}
		}()

		m.firstWeek(t)
		m.secondWeek(t)
		m.recall(t)
		m.rotation(t)
		m.silence(t)

		m.until(28, 22*time.Hour) // nothing is sold any more
		close(stopTrading)
		<-trading
		m.until(29, 9*time.Hour)
		close(stopDeploying)
		<-deploying
		assert.Zero(t, m.wrong(), "every channel is right")
		m.nights(t, 29)
	})
}

// firstWeek: nothing is written, the plugin's mistakes are seen, and what does not
// match is mended.
func (m *merchant) firstWeek(t *testing.T) {
	m.until(2, 15*time.Hour)
	c, err := m.syncer.Load().Coverage(t.Context())
	require.NoError(t, err)
	gaps := 0
	for _, ch := range c.Channels {
		gaps += ch.Near
		assert.Equal(t, products, ch.Matched+ch.Near, ch)
	}
	assert.Equal(t, 12, gaps)
	m.until(5, 15*time.Hour)
	assert.Equal(t, gaps, m.mend(c))
	c, err = m.syncer.Load().Coverage(t.Context())
	require.NoError(t, err)
	assert.Empty(t, c.Gaps, "what was mended matches")

	m.until(8, 7*time.Hour)
	assert.Zero(t, m.writes(), "nothing is written in the first week")
	assert.Greater(t, m.wrong(), 20, "and the plugin does what it always did")
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := m.reports[len(m.reports)-1]
	observed := 0
	for _, ch := range seen.Channels {
		observed += ch.Observed
		assert.Zero(t, ch.Updated)
	}
	assert.Equal(t, m.wrong(), observed, "the report has each of its mistakes")
	t.Logf("the plugin's mistakes after a week: %d of %d", observed, 2*products)
}

// pilots are a tenth of the products.
func pilots(sku string) bool { return sku[len(sku)-1] == '3' }

// secondWeek: the pilots are right, and the others are nobody's business yet.
func (m *merchant) secondWeek(t *testing.T) {
	m.mu.Lock()
	m.pilot = func(s channel.Stock) bool { return pilots(s.SKU) }
	m.plugin = func(sku string) bool { return !pilots(sku) }
	m.mu.Unlock()
	m.until(14, 7*time.Hour)
	others := 0
	for i, sku := range m.skus {
		for _, s := range m.shops {
			n, _ := s.Quantity(sku)
			if n == m.available(i) {
				continue
			}
			if others++; pilots(sku) {
				t.Errorf("%s shows %d of %s, and there are %d", s.Memory.Name(), n, sku, m.available(i))
			}
		}
	}
	assert.Greater(t, others, 20)
	assert.Positive(t, m.writes())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.observe, m.pilot, m.plugin = false, nil, nil
}

// recall: a product is off every channel at once, through five deploys, and on again
// when the pin ends.
func (m *merchant) recall(t *testing.T) {
	m.until(17, 14*time.Hour)
	s := m.syncer.Load()
	until := time.Now().Add(60 * time.Hour)
	require.NoError(t, s.Pin(t.Context(), syncer.Pin{ProductID: m.ids[5], Quantity: 0, Until: until, Who: "Ana", Why: "recall of batch 7"}))
	shown := func(want int, why string) {
		t.Helper()
		for _, s := range m.shops {
			n, _ := s.Quantity(m.skus[5])
			assert.Equal(t, want, n, "%s: %s", s.Memory.Name(), why)
		}
	}
	time.Sleep(time.Minute)
	shown(0, "within a minute")
	m.until(19, 21*time.Hour)
	shown(0, "through deploys and nights")
	m.until(20, 7*time.Hour)
	shown(m.available(5), "the pin has ended by itself")
}

// rotation: ECOSIRE signs with a new secret, and the service learns it a day later.
func (m *merchant) rotation(t *testing.T) {
	m.until(21, 12*time.Hour)
	began := time.Now()
	m.mu.Lock()
	m.signs = "new"
	m.mu.Unlock()
	m.until(22, 10*time.Hour)
	raised, ended := m.raised(syncer.SecretFails, began)
	assert.Less(t, raised.Sub(began), time.Hour, "three refused deliveries, and it is told")
	assert.False(t, raised.IsZero())
	assert.True(t, ended.IsZero(), "as long as it lasts")
	m.mu.Lock()
	m.secrets = []string{"old", "new"}
	m.mu.Unlock()
	m.until(22, 16*time.Hour)
	_, ended = m.raised(syncer.SecretFails, began)
	assert.False(t, ended.IsZero(), "a genuine delivery ends it")
}

// silence: the subscription is gone for a day, and the watch makes up for it.
func (m *merchant) silence(t *testing.T) {
	m.until(24, 9*time.Hour)
	began := time.Now()
	m.mu.Lock()
	m.silent = true
	m.mu.Unlock()
	m.until(25, 7*time.Hour)
	raised, ended := m.raised(syncer.EventsStopped, began)
	assert.False(t, raised.IsZero())
	assert.Less(t, raised.Sub(began), 90*time.Minute, "three changes of which no event told")
	assert.True(t, ended.IsZero())
	assert.Zero(t, m.wrong(), "the watch finds what events do not tell")
	m.mu.Lock()
	m.silent = false
	m.mu.Unlock()
	m.until(25, 12*time.Hour)
	_, ended = m.raised(syncer.EventsStopped, began)
	assert.False(t, ended.IsZero(), "the first event ends it")
}

// nights checks that every night was complete, though each was cut off by a deploy.
func (m *merchant) nights(t *testing.T, days int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	complete := make(map[int]bool)
	for i, r := range m.reports {
		if r == nil || m.failed[i] != nil {
			t.Logf("%v", m.failed[i])
			continue
		}
		checked := true
		for _, ch := range r.Channels {
			checked = checked && ch.Err == nil && ch.Checked == products
		}
		if checked && r.Started.Hour() < 5 {
			complete[int(r.Started.Sub(m.began)/day)+1] = true
		} else {
			t.Logf("%v, resumed %v: read %d of %d\n%v", r.Started, r.Resumed, r.Read, products, r)
		}
	}
	for d := 1; d <= days; d++ {
		assert.True(t, complete[d], "the night of day %d", d)
	}
}
