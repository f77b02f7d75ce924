package tercet

import (
	"context"
	"database/sql"
	"time"
)

// PurgeAfter is how long a row of the guard is kept after the last call of its branch: as long as the coordinator keeps a gid
// taken after its transaction's end, by default.
const PurgeAfter = 30 * 24 * time.Hour

// purgeEvery is how often PurgeForever looks.
const purgeEvery = time.Hour

// Purged is what a purge did.
type Purged struct {
	// Deleted rows.
	Deleted int64
	// Undecided are old rows that were kept, since their branches were tried and have heard no decision. They are
	// reservations that still hold something: more than none is worth a look at the coordinator.
	Undecided int64
}

// Purge deletes the rows of branches that were last called longer ago than after, usually [PurgeAfter], and a day (the note of
// the last call may be so late). Several processes may do it at once. It must be longer than the service may be cut off from
// the coordinator, and longer than the coordinator keeps a gid.
//
// A row of a branch that was tried and waits for its decision is kept, whatever its age: without it the late Cancel would
// release nothing. While the wall clock is in doubt, since it has jumped within a day, nothing is deleted.
func (g *Guard) Purge(ctx context.Context, after time.Duration) (Purged, error) {
	var purged Purged
	if isClockDoubted() {
		return purged, nil
	}
	dialect, err := g.kind(ctx)
	if err != nil {
		return purged, err
	}
	statements := compiledGuard[dialect]
	v := &values{before: time.Now().UnixMilli() - after.Milliseconds() - touchAfterMS}
	for {
		keys, err := g.expired(ctx, statements, v)
		if err != nil {
			return purged, err
		}
		if len(keys) == 0 {
			break
		}
		deleted, err := g.deleteRows(ctx, statements, keys, v.before)
		if err != nil {
			return purged, err
		}
		purged.Deleted += deleted
	}
	row := g.db.QueryRowContext(ctx, statements.undecided.text, statements.undecided.args(v)...)
	return purged, row.Scan(&purged.Undecided)
}

// PurgeForever purges once an hour, until the context ends: go guard.PurgeForever(ctx). An hour after the start for the first
// time: a machine that came up with a wrong clock has been set right by then. What goes wrong is logged and tried again.
func (g *Guard) PurgeForever(ctx context.Context) {
	for sleep(ctx, purgeEvery) == nil {
		purged, err := g.Purge(ctx, PurgeAfter)
		switch {
		case err != nil:
			g.log().Warn("the guard's old rows could not be purged", "error", err)
		case purged.Undecided > 0:
			g.log().Warn("reservations have waited for a decision for a month", "deleted", purged.Deleted, "undecided", purged.Undecided)
		default:
			g.log().Debug("old rows of the guard were purged", "deleted", purged.Deleted)
		}
	}
}

// expired gives keys of rows that may go, oldest first. They are read without a lock: each is asked again when it goes.
func (g *Guard) expired(ctx context.Context, statements *guardStatements, v *values) ([]branchKey, error) {
	rows, err := g.db.QueryContext(ctx, statements.expired.text, statements.expired.args(v)...)
	if err != nil {
		return nil, err
	}
	return scanAll(rows, func(key *branchKey) []any { return []any{&key.gid, &key.branch} })
}

// deleteRows deletes them by key, one by one, so that no range of the index is locked.
func (g *Guard) deleteRows(ctx context.Context, statements *guardStatements, keys []branchKey, before int64) (int64, error) {
	var deleted int64
	err := g.write(ctx, g.isolation, func(tx *transaction) error {
		deleted = 0
		for _, key := range keys {
			v := &values{gid: key.gid, branch: key.branch, before: before}
			gone, err := tx.exec(ctx, statements.delete, v)
			if err != nil {
				return err
			}
			if gone == 0 {
				continue
			}
			deleted++
			if _, err := tx.exec(ctx, statements.deleteTheResult, v); err != nil {
				return err
			}
		}
		return nil
	})
	return deleted, err
}

// scanAll reads all rows.
func scanAll[T any](rows *sql.Rows, columns func(*T) []any) ([]T, error) {
	defer func() { _ = rows.Close() }()
	var all []T
	for rows.Next() {
		var one T
		if err := rows.Scan(columns(&one)...); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}
