package pgqueue

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options are those of a queue. The zero value is fit for use.
type Options struct {
	// Schema is where the tables are; "stocksync" if it is empty. The name is
	// taken as it is, and may have at most 63 bytes.
	Schema string

	// Queue is the queue's name, "default" if it is empty. Those who open one
	// name in one schema share a queue; services that are to have nothing in
	// common use different names. It may have at most 200 bytes.
	Queue string

	// Lease is how long a leader leads without a renewal; 10 seconds if it is 0,
	// and at least 100 milliseconds. When a leader dies, another leads after at
	// most 1.1 times as long, and twice Poll. Shorter means that a slow database
	// or a garbage collector's pause ends terms sooner. Replicas with different
	// values may be mixed: each term has that of its leader.
	Lease time.Duration

	// Poll is how often the leader asks for marks, and those who stand by for the
	// end of its term; 100 milliseconds if it is 0, and at least 1 millisecond. A
	// mark made by another process is noticed within that time.
	Poll time.Duration

	// Logger is told of terms and of outages; nil means nobody is.
	Logger *slog.Logger
}

// The defaults of Options.
const (
	DefaultSchema = "stocksync"
	DefaultQueue  = "default"
	DefaultLease  = 10 * time.Second
	DefaultPoll   = 100 * time.Millisecond
)

const (
	minLease = 100 * time.Millisecond
	minPoll  = time.Millisecond
	maxQueue = 200
	// maxSchema is PostgreSQL's own limit, which would cut the name silently.
	maxSchema = 63
)

//go:embed sql/*.sql migrations/*.sql
var files embed.FS

// New returns the queue in a database. It does no I/O, starts no goroutine and
// needs no closing; the pool stays the host's. The pool needs two connections or
// more.
//
// Call [Queue.Migrate] before the first use, unless the host makes the tables
// itself.
func New(pool *pgxpool.Pool, o Options) (*Queue, error) {
	if pool == nil {
		return nil, errors.New("pgqueue: no pool")
	}
	if o.Schema == "" {
		o.Schema = DefaultSchema
	}
	if o.Queue == "" {
		o.Queue = DefaultQueue
	}
	if o.Lease == 0 {
		o.Lease = DefaultLease
	}
	if o.Poll == 0 {
		o.Poll = DefaultPoll
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case len(o.Schema) > maxSchema || !printable(o.Schema):
		return nil, fmt.Errorf("pgqueue: Options.Schema %q is not text of at most %d bytes", o.Schema, maxSchema)
	case len(o.Queue) > maxQueue || !printable(o.Queue):
		return nil, fmt.Errorf("pgqueue: Options.Queue %q is not text of at most %d bytes", o.Queue, maxQueue)
	case o.Lease < minLease:
		return nil, fmt.Errorf("pgqueue: Options.Lease is %v, less than %v", o.Lease, minLease)
	case o.Poll < minPoll:
		return nil, fmt.Errorf("pgqueue: Options.Poll is %v, less than %v", o.Poll, minPoll)
	case pool.Config().MaxConns < 2:
		return nil, errors.New("pgqueue: the pool has one connection, which work would take from renewals")
	}
	q := &Queue{pool: pool, options: o, logger: o.Logger.With(slog.String("queue", o.Queue)), terms: make(map[*term]bool)}
	var err error
	q.statements, err = statements(o.Schema)
	return q, err
}

func printable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// inSchema returns SQL that was written for the default schema for another.
func inSchema(sql, schema string) string {
	return strings.ReplaceAll(sql, DefaultSchema+".", pgx.Identifier{schema}.Sanitize()+".")
}

// statements returns the SQL of the folder sql, by the names of its files.
func statements(schema string) (map[string]string, error) {
	names, err := fs.Glob(files, "sql/*.sql")
	if err != nil {
		return nil, err
	}
	all := make(map[string]string, len(names))
	for _, name := range names {
		sql, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		name = strings.TrimSuffix(strings.TrimPrefix(name, "sql/"), ".sql")
		all[name] = inSchema(string(sql), schema)
	}
	return all, nil
}
