package square

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

const changesPath = "/v2/inventory/changes/batch-create"

// maxQuantity is the largest quantity that is written. Square's own bound is
// not documented; what is beyond is a mistake of somebody's.
const maxQuantity = 1_000_000_000

// Push sends physical counts, 100 a request, and compares Square's answer with
// them. Updates that carry what Levels returned need no request more; others
// are looked up first.
//
// A count is dated when the source was read, Update.AsOf, less the BookingLag:
// Square deducts what the till has sold since. So a lower level than was pushed
// is right, and Push returns nil for it. A higher one, or none, is read once
// more and then [channel.ErrNotApplied]: somebody counted, or booked a
// delivery, after that date. The next Push for the item dates its count later,
// now if it must. A sale that the source has not booked by then is shown again.
//
// Counts are absolute and ordered by their dates, so a request whose outcome is
// not clear is sent again.
func (ch *Channel) Push(ctx context.Context, updates []channel.Update) error {
	if len(updates) == 0 {
		return ctx.Err()
	}
	if err := ch.ready(ctx); err != nil {
		return err
	}
	p := &push{Channel: ch, reference: reference(channel.Run(ctx)), errs: channel.Errors{}}
	rows := p.rows(ctx, updates)
	var group errgroup.Group
	group.SetLimit(ch.client.parallel)
	for some := range slices.Chunk(rows, int(ch.client.limits.changes.Load())) {
		group.Go(func() error { p.write(ctx, some); return nil })
	}
	group.Wait()
	p.confirm(ctx)
	if p.whole != nil && !p.known {
		return p.whole
	}
	return p.errs.Err()
}

// A push is one call of Push.
type push struct {
	*Channel
	reference string

	mu       sync.Mutex
	errs     channel.Errors
	known    bool  // the fate of some update is known
	whole    error // the first error that is about no update in particular
	stop     error // one after which Square is left alone
	doubtful []row // accepted, and not shown according to the answer
}

// A row is an update whose variation is known.
type row struct {
	sku, id  string
	quantity int
	asOf     time.Time
}

// refuse notes an error about one update.
func (p *push) refuse(sku string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs[sku] = err
	p.known = true
}

// fail notes an error about whole requests.
func (p *push) fail(err error, rows []row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range rows {
		p.errs[r.sku] = err
	}
	if p.whole == nil {
		p.whole = err
	}
	if p.stop == nil && errors.Is(err, channel.ErrUnauthorized) {
		p.stop = err
	}
}

func (p *push) stopped() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stop
}

// rows finds the variations of the updates.
func (p *push) rows(ctx context.Context, updates []channel.Update) []row {
	rows := make([]row, 0, len(updates))
	var unread []channel.Update
	for _, u := range updates {
		if u.AsOf.IsZero() {
			u.AsOf = time.Now()
		}
		seen := u.Seen != nil && u.Seen.Err == nil && plausible(u.Seen.Ref)
		switch err := askable(u.SKU); {
		case err != nil:
			p.refuse(u.SKU, err)
		case u.Quantity < 0 || u.Quantity > maxQuantity:
			p.refuse(u.SKU, fmt.Errorf("%w: %d is not a quantity between 0 and %d", channel.ErrInvalid, u.Quantity, maxQuantity))
		case seen:
			rows = append(rows, row{u.SKU, u.Seen.Ref, u.Quantity, u.AsOf})
		default:
			unread = append(unread, u)
		}
	}
	rows = append(rows, p.find(ctx, unread)...)
	// Two SKUs with one variation is one that was renamed since it was seen.
	used := make(map[string]bool, len(rows))
	return slices.DeleteFunc(rows, func(r row) bool {
		if used[r.id] {
			p.refuse(r.sku, fmt.Errorf("%w: %s has another SKU by now", channel.ErrConflict, r.id))
			return true
		}
		used[r.id] = true
		return false
	})
}

// find reads the variations of updates that carry none.
func (p *push) find(ctx context.Context, updates []channel.Update) (rows []row) {
	if len(updates) == 0 {
		return nil
	}
	skus := make([]string, len(updates))
	unread := make([]row, len(updates))
	for i, u := range updates {
		skus[i], unread[i] = u.SKU, row{sku: u.SKU}
	}
	found, notes, err := p.locate(ctx, skus)
	if err != nil {
		p.fail(err, unread)
		return nil
	}
	bySKU := make(map[string][]located, len(found))
	for _, v := range found {
		bySKU[v.sku] = append(bySKU[v.sku], v)
	}
	said := make(map[string]error, len(notes))
	for _, l := range notes {
		said[l.SKU] = l.Err
	}
	for _, u := range updates {
		switch all := bySKU[u.SKU]; {
		case len(all) == 0 && said[u.SKU] != nil:
			p.refuse(u.SKU, said[u.SKU])
		case len(all) == 0:
			p.refuse(u.SKU, channel.UnknownSKU(u.SKU))
		case len(all) > 1:
			p.refuse(u.SKU, ambiguous(u.SKU, all))
		case all[0].err != nil:
			p.refuse(u.SKU, all[0].err)
		default:
			rows = append(rows, row{u.SKU, all[0].id, u.Quantity, u.AsOf})
		}
	}
	return rows
}

// ambiguous names the variations that share an SKU, some of them if many do.
func ambiguous(sku string, all []located) error {
	const maxNamed = 5
	ids := make([]string, len(all))
	for i, v := range all {
		ids[i] = v.id
	}
	slices.Sort(ids)
	named := strings.Join(ids[:min(len(ids), maxNamed)], ", ")
	if len(ids) > maxNamed {
		named += " and others"
	}
	return fmt.Errorf("%w %q: it is on %d variations: %s", channel.ErrAmbiguousSKU, sku, len(ids), named)
}

// write writes up to 100 rows.
func (p *push) write(ctx context.Context, rows []row) {
	left := make(map[string]row, len(rows))
	for _, r := range rows {
		left[r.id] = r
	}
	err := halve(rows, func(some []row) (*Error, error) {
		some = slices.DeleteFunc(slices.Clone(some), func(r row) bool { _, ok := left[r.id]; return !ok })
		for len(some) > 0 {
			if err := p.stopped(); err != nil {
				return nil, err
			}
			refused, err := p.send(ctx, some)
			if err != nil {
				return nil, err
			}
			if refused == nil {
				for _, r := range some {
					delete(left, r.id)
				}
				return nil, nil
			}
			if refused.tooLong() && len(some) > 1 {
				lower(&p.client.limits.changes, len(some)/2)
				return refused, nil
			}
			named, _ := refused.rows(len(some))
			if len(named) == 0 {
				return refused, nil
			}
			// What Square names is refused, and the rest sent once more.
			var rest []row
			for i, r := range some {
				if d, ok := named[i]; ok {
					delete(left, r.id)
					p.refuse(r.sku, fmt.Errorf("%s: %w", r.id, ofItem(d)))
				} else {
					rest = append(rest, r)
				}
			}
			some = rest
		}
		return nil, nil
	}, func(r row, refused *Error) {
		delete(left, r.id)
		p.refuse(r.sku, fmt.Errorf("%s: %w", r.id, ofItem(refused.Details[0])))
	})
	if err != nil {
		rest := make([]row, 0, len(left))
		for _, r := range rows {
			if _, ok := left[r.id]; ok {
				rest = append(rest, r)
			}
		}
		p.fail(err, rest)
	}
}

// rows are the changes that a refusal names, with what it says of each, and
// the first thing that it says of none.
func (e *Error) rows(n int) (named map[int]Detail, other *Detail) {
	named = make(map[int]Detail)
	for i, d := range e.Details {
		at, ok := d.row("changes", n)
		_, twice := named[at]
		switch {
		case !ok && other == nil:
			other = &e.Details[i]
		case ok && !twice:
			named[at] = d
		}
	}
	return named, other
}

// A changesBody is the body of a write.
type changesBody struct {
	Key             string   `json:"idempotency_key"`
	IgnoreUnchanged bool     `json:"ignore_unchanged_counts"`
	Changes         []change `json:"changes"`
}

type change struct {
	Type  string        `json:"type"`
	Count physicalCount `json:"physical_count"`
}

type physicalCount struct {
	ID          string `json:"catalog_object_id"`
	State       string `json:"state"`
	Location    string `json:"location_id"`
	Quantity    string `json:"quantity"`
	OccurredAt  string `json:"occurred_at"`
	ReferenceID string `json:"reference_id,omitempty"`
}

// send makes one request. It returns what Square refused for what is in it; any
// other trouble is an error. What was accepted is judged.
func (p *push) send(ctx context.Context, rows []row) (refused *Error, err error) {
	for range 2 {
		var changes []change
		if changes, err = p.changes(ctx, rows); err != nil {
			return nil, err
		}
		var a *answer
		_, a, err = p.client.send(ctx, request{
			method: http.MethodPost, path: changesPath, repeat: true,
			body: func() []byte {
				// A key that was used would get the counts of then.
				data, err := json.Marshal(changesBody{Key: rand.Text(), Changes: changes})
				if err != nil {
					panic(err) // nothing here is unencodable
				}
				return data
			},
		})
		if err == nil {
			return nil, sent(p.judge(a, rows))
		}
		e, ok := errors.AsType[*Error](err)
		switch {
		case !ok || !e.refusal():
			return nil, sent(err)
		case e.mentions("occurred_at") || e.has("INVALID_TIME"):
			p.times.refused(rows)
			continue
		case e.general():
			p.open.Store(false) // the location may be closed: look again
			return nil, whole(err)
		}
		return e, nil
	}
	return nil, fmt.Errorf("square does not take the time of the counts, is this machine's clock right? %w", whole(err))
}

// sent is the error of a write that was sent.
func sent(err error) error {
	if unclear(err) {
		return fmt.Errorf("%w: %w", channel.ErrUnclear, err)
	}
	return err
}

// changes makes the counts of rows.
func (p *push) changes(ctx context.Context, rows []row) ([]change, error) {
	now := p.client.clock.at(time.Now())
	ahead := time.Duration(0)
	changes := make([]change, len(rows))
	for i, r := range rows {
		at := p.times.next(r.id, p.client.clock.at(r.asOf), now, p.lag)
		ahead = max(ahead, at.Sub(now))
		changes[i] = change{"PHYSICAL_COUNT", physicalCount{
			ID: r.id, State: inStock, Location: p.location, Quantity: strconv.Itoa(r.quantity),
			OccurredAt: at.UTC().Format(timeFormat), ReferenceID: p.reference,
		}}
	}
	return changes, sleep(ctx, ahead) // many counts of one variation within a second
}

// judge compares the counts in an answer with what was sent. Lower is what the
// till sold since. Whatever else it does not show is looked at again.
func (p *push) judge(a *answer, rows []row) error {
	list, err := a.list("counts")
	if err != nil {
		return err
	}
	q := &quantities{location: p.location, byID: make(map[string]quantity, len(rows))}
	q.read(list)
	e := &Error{Op: a.op, Status: http.StatusOK, Details: a.details}
	named, other := e.rows(len(rows))
	vague := other != nil // any row may be meant
	if vague && len(named) == 0 && e.general() {
		p.open.Store(false)
		return whole(e)
	}
	now := p.client.clock.at(time.Now())
	for i, r := range rows {
		got, counted := q.byID[r.id]
		d, refused := named[i]
		switch {
		case refused:
			p.refuse(r.sku, fmt.Errorf("%s: %w", r.id, ofItem(d)))
		case counted && got.err == nil && (got.equals(r.quantity) || !vague && got.atMost(r.quantity)):
			p.times.settled(r.id, true, now)
			p.mu.Lock()
			p.known = true
			p.mu.Unlock()
		case vague:
			p.refuse(r.sku, fmt.Errorf("%w: %s: Square took a part of the request: %s", channel.ErrNotApplied, r.id, *other))
		default:
			p.mu.Lock()
			p.doubtful = append(p.doubtful, r)
			p.mu.Unlock()
		}
	}
	return nil
}

// confirm reads the counts that an answer did not show.
func (p *push) confirm(ctx context.Context) {
	if len(p.doubtful) == 0 {
		return
	}
	ids := make([]string, len(p.doubtful))
	for i, r := range p.doubtful {
		ids[i] = r.id
	}
	counts, err := p.client.counts(ctx, p.location, ids)
	if err != nil {
		p.fail(fmt.Errorf("%w: reading back what Square accepted: %w", channel.ErrUnclear, err), p.doubtful)
		return
	}
	now := p.client.clock.at(time.Now())
	for _, r := range p.doubtful {
		got, counted := counts[r.id]
		inForce := counted && got.err == nil && got.atMost(r.quantity)
		p.times.settled(r.id, inForce, now)
		switch {
		case inForce:
			p.mu.Lock()
			p.known = true
			p.mu.Unlock()
		case !counted:
			p.refuse(r.sku, fmt.Errorf("%w: %s has no count at %s", channel.ErrNotApplied, r.id, p.location))
		case got.err != nil:
			p.refuse(r.sku, fmt.Errorf("%w: %s: %w", channel.ErrNotApplied, r.id, got.err))
		default:
			p.refuse(r.sku, fmt.Errorf("%w: %s was set to %d, and Square shows %v: somebody counted it, or booked a delivery, after the source was read",
				channel.ErrNotApplied, r.id, r.quantity, got))
		}
	}
}

// reference names the run in Square's history.
func reference(run string) string {
	const maxReference = 255
	id := strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '-'
		}
		return r
	}, run)
	return id[:min(len(id), maxReference)]
}
