package pgqueue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrSchema: the tables are missing or older than this version of the module
// needs, or made by one that is too new for it.
var ErrSchema = errors.New("the queue's tables are missing or do not fit; see Queue.Migrate")

// A Migration is one step towards the schema that this version needs.
type Migration struct {
	Version int    // the version of the schema that it makes; the first is 1
	SQL     string // several statements, to be run in one transaction
}

// Migrations returns the steps to the schema that this version needs, for hosts
// that run migrations of their own. The schema itself, named as it is given or
// [DefaultSchema], is made before. Each step notes itself in the table versions,
// so that [Queue.Migrate] finds it done.
func Migrations(schema string) []Migration {
	if schema == "" {
		schema = DefaultSchema
	}
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		panic(err) // the pattern is ours
	}
	all := make([]Migration, len(names))
	for i, name := range names {
		sql, err := files.ReadFile(name)
		if err != nil {
			panic(err) // the files are part of the program
		}
		version, err := strconv.Atoi(strings.TrimSuffix(path.Base(name), ".sql"))
		if err != nil {
			panic(err)
		}
		all[i] = Migration{version, inSchema(string(sql), schema)}
	}
	slices.SortFunc(all, func(a, b Migration) int { return a.Version - b.Version })
	return all
}

// Migrate makes the schema and the tables that are missing. Any number of
// processes may call it at a time: one does the work, and the others find it
// done. If nothing is to be done it only reads, and needs no right to create.
//
// A schema made by a newer version of the module is left as it is; Migrate fails
// with [ErrSchema] if this version cannot work with it. So replicas may be
// replaced one by one, and replaced back.
func (q *Queue) Migrate(ctx context.Context) error {
	err := q.migrate(ctx)
	if err != nil {
		return fmt.Errorf("pgqueue: migrate: %w", err)
	}
	return nil
}

func (q *Queue) migrate(ctx context.Context) error {
	steps := Migrations(q.options.Schema)
	latest := steps[len(steps)-1].Version
	// Most often there is nothing to do.
	if version, err := q.version(ctx, q.pool); err != nil || version >= latest {
		return err
	}
	return pgx.BeginFunc(ctx, q.pool, func(tx pgx.Tx) error {
		// IF NOT EXISTS does not help those who create at the same time. The lock
		// ends with the transaction.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))`,
			"stocksync/pgqueue "+q.options.Schema); err != nil {
			return err
		}
		version, err := q.version(ctx, tx)
		if err != nil {
			return err
		}
		var exists bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1::text)`,
			q.options.Schema).Scan(&exists); err != nil {
			return err
		}
		if !exists {
			if _, err := tx.Exec(ctx, "CREATE SCHEMA "+pgx.Identifier{q.options.Schema}.Sanitize()); err != nil {
				return err
			}
		}
		for _, step := range steps {
			if step.Version <= version {
				continue
			}
			if _, err := tx.Exec(ctx, step.SQL); err != nil {
				return fmt.Errorf("to version %d: %w", step.Version, err)
			}
		}
		return nil
	})
}

// version returns that of the schema, 0 if there is none.
func (q *Queue) version(ctx context.Context, db querier) (version int, err error) {
	// Read as a table, the catalog is up to date. to_regclass looks into a cache
	// of the session, which may not know yet what another has just made.
	var exists bool
	if err := db.QueryRow(ctx, `SELECT EXISTS (
		SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname = $1::text AND c.relname = 'versions'
	)`, q.options.Schema).Scan(&exists); err != nil || !exists {
		return 0, err
	}
	var oldest int
	if err := db.QueryRow(ctx, `SELECT coalesce(max(version), 0), coalesce(max(oldest), 0) FROM `+
		pgx.Identifier{q.options.Schema, "versions"}.Sanitize()).
		Scan(&version, &oldest); err != nil {
		return 0, err
	}
	steps := Migrations(q.options.Schema)
	if latest := steps[len(steps)-1].Version; oldest > latest {
		return 0, fmt.Errorf("%w: they have version %d, which modules of version %d and newer understand; this one is of %d",
			ErrSchema, version, oldest, latest)
	}
	return version, nil
}

// checkVersion fails if this version of the module cannot work with the tables.
func (q *Queue) checkVersion(ctx context.Context) error {
	ctx, cancel := q.asking(ctx)
	defer cancel()
	version, err := q.version(ctx, q.pool)
	if err != nil {
		return err
	}
	steps := Migrations(q.options.Schema)
	if latest := steps[len(steps)-1].Version; version < latest {
		return fmt.Errorf("%w: they have version %d, and need %d", ErrSchema, version, latest)
	}
	return nil
}
