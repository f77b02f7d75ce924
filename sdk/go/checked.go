package tercet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// CheckedPurgeAfter is how long a row is kept after it was written or last asked for: the longest that a transaction may be open before
// it is asked for, and twice as long again for whoever is cut off.
const CheckedPurgeAfter = 90 * 24 * time.Hour

const (
	// checkPatience is how long a question waits for its turn and its answer before it is answered 202: the coordinator waits for
	// 3 s.
	checkPatience = 1500 * time.Millisecond
	// checkRounds is how often a question is put that lost against the initiator's transaction.
	checkRounds = 3
)

var (
	// ErrTooLate: the coordinator has asked, was told that it had not happened, and cancels. Roll back.
	ErrTooLate = errors.New("it was asked for before this came, and is being cancelled")
	// ErrDoneBefore: another SQL transaction has done it; what is to be done once must not be done again. Roll back.
	ErrDoneBefore = errors.New("it was done before")
)

// Checked is the initiator's side of Check: whether its own SQL transaction has committed, told truly to the coordinator that asks
// for it at the deadline of an open transaction.
//
// The initiator begins an open transaction with Check set to where this handler is mounted, does its own work, and calls
// [Checked.Record] in the same SQL transaction. Whether it then asks for confirm, or dies before it can, makes no difference: who asks
// finds the row. Who asks first writes "never" before it is answered, and a commit that comes late fails by the same key.
//
// A gid stands for one deed and is not used again: the row would speak of the deed before.
type Checked struct {
	database
	// seats: a question that waits in the database has a connection in its hand, so not all may.
	seats chan struct{}
}

// NewChecked is on this database, which must be the one that the initiator's own work is in.
func NewChecked(db *sql.DB, options ...Option) *Checked {
	checked := &Checked{seats: make(chan struct{}, 4)}
	checked.init(db, options)
	return checked
}

// Migrate makes the table, tercet_checked, where it is missing. Safe to repeat, and for several processes at once.
func (c *Checked) Migrate(ctx context.Context) error {
	dialect, err := c.kind(ctx)
	if err != nil {
		return err
	}
	return c.migrate(ctx, dialect, checkedTable(dialect))
}

// Record writes, in the SQL transaction that does the initiator's own work, that it was done. If that commits, the global transaction
// will be confirmed; if it does not, cancelled. Call it last: whoever asks meanwhile waits for this row until tx has ended. Whatever
// the error ([ErrTooLate], [ErrDoneBefore], the database's), roll back.
func (c *Checked) Record(ctx context.Context, tx *sql.Tx, gid string) error {
	if err := checkID(gid, gidMaxLen); err != nil {
		return &InvalidError{"gid", err.Error()}
	}
	dialect, err := c.kind(ctx)
	if err != nil {
		return err
	}
	inserted, err := insertMark(ctx, tx, dialect, gid, "done")
	if err != nil || inserted {
		return err
	}
	mark, _, err := findMark(ctx, tx, dialect, gid)
	switch {
	case err != nil:
		return err
	case mark == "done":
		return fmt.Errorf("%s: %w", gid, ErrDoneBefore)
	default:
		// A row that was purged between the two statements was as old as any can be.
		return fmt.Errorf("%s: %w", gid, ErrTooLate)
	}
}

// ServeHTTP answers a coordinator that asks: 200 if the initiator's SQL transaction has committed; 410 if it has not, which is written
// down first, and so never will; 202 with Retry-After: 1 while it is still open; 503 where there is no way to find out.
func (c *Checked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !allows(w, r, http.MethodPost) {
		return
	}
	gid, _, gidErr := only(r.Header, headerGid)
	op, _, opErr := only(r.Header, headerOp)
	if gidErr == nil {
		if why := checkID(gid, gidMaxLen); why != nil {
			gidErr = &badHeader{headerGid, why.Error()}
		}
	}
	if opErr == nil && op != "check" {
		opErr = &badHeader{headerOp, "must be check"}
	}
	if err := errors.Join(gidErr, opErr); err != nil {
		problemResponse(http.StatusBadRequest, "invalid-call", strings.ReplaceAll(err.Error(), "\n", "; ")).write(w)
		return
	}
	c.asked(r.Context(), gid).write(w)
}

func (c *Checked) asked(ctx context.Context, gid string) response {
	notKnownYet := problemResponse(http.StatusAccepted, "not-known-yet", "the transaction that would do it has not ended").again(comeAgain)
	patience := time.NewTimer(checkPatience)
	defer patience.Stop()
	select {
	case c.seats <- struct{}{}:
	case <-patience.C:
		return notKnownYet
	}
	// In a goroutine of its own: what it writes it writes whether or not somebody still waits.
	ctx = context.WithoutCancel(ctx)
	answered := make(chan response, 1)
	go func() {
		defer func() { <-c.seats }()
		mark, err := c.markOf(ctx, gid)
		switch {
		case err != nil:
			c.log().Warn("a question cannot be answered", "gid", gid, "error", err)
			answered <- failedResponse()
		case mark == "done":
			answered <- jsonResponse(http.StatusOK, mediaTypeJSON, struct{}{})
		case mark == "never":
			c.log().Info("was asked for and had not happened: now it never will", "gid", gid)
			answered <- problemResponse(http.StatusGone, "never", "it has not happened, and never will")
		default:
			answered <- notKnownYet
		}
	}()
	select {
	case answer := <-answered:
		return answer
	case <-patience.C:
		return notKnownYet
	}
}

// markOf is what is written of this gid, if that can be said by now. Where nothing was, "never" is written by the time this says so.
func (c *Checked) markOf(ctx context.Context, gid string) (string, error) {
	dialect, err := c.kind(ctx)
	if err != nil {
		return "", err
	}
	if dialect == SQLite {
		leave, err := c.queue.joinSurely(ctx)
		if err != nil {
			return "", err
		}
		defer leave()
	}
	for range checkRounds {
		mark, err := c.look(ctx, dialect, gid)
		switch {
		case err == nil:
			return mark, nil
		case errors.Is(err, errBusy):
			return "", nil
		case contentionOf(dialect, err) == none:
			return "", err
		}
	}
	return "", nil
}

func (c *Checked) look(ctx context.Context, dialect Dialect, gid string) (mark string, err error) {
	err = c.lookIn(ctx, dialect, func(tx *transaction) error {
		statements := compiledGuard[dialect]
		if statements.patience != "" {
			if _, err := tx.ExecContext(ctx, statements.patience); err != nil {
				return err
			}
		}
		inserted, err := insertMark(ctx, tx.Tx, dialect, gid, "never")
		if statements.patienceEnds != "" {
			_, ended := tx.ExecContext(ctx, statements.patienceEnds)
			err = errors.Join(err, ended)
		}
		if err != nil {
			return err
		}
		mark = "never"
		if inserted {
			return nil
		}
		var ago int64
		if mark, ago, err = findMark(ctx, tx.Tx, dialect, gid); err != nil || ago < touchAfterMS {
			return err
		}
		_, err = tx.ExecContext(ctx, inWordsOf(dialect, "UPDATE tercet_checked SET asked_at = {now} WHERE gid = ?"), gid)
		return err
	})
	return mark, err
}

func (c *Checked) lookIn(ctx context.Context, dialect Dialect, fn func(tx *transaction) error) error {
	tx, err := c.begin(ctx, dialect, readCommitted(dialect), time.Second)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		tx.rollback()
		return err
	}
	return tx.commit()
}

// Purge deletes what was written, and last asked for, longer ago than after, usually [CheckedPurgeAfter]; the number of rows. It must be
// longer than any transaction of this initiator is open, and than this service may be cut off from the coordinator. While the
// wall clock is in doubt nothing is deleted.
func (c *Checked) Purge(ctx context.Context, after time.Duration) (int64, error) {
	var deleted, gone int64
	if isClockDoubted() {
		return 0, nil
	}
	dialect, err := c.kind(ctx)
	if err != nil {
		return 0, err
	}
	for {
		text := inWordsOf(dialect, "SELECT gid FROM tercet_checked WHERE asked_at < {now} - ? ORDER BY asked_at LIMIT ?")
		rows, err := c.db.QueryContext(ctx, text, after.Milliseconds(), purgeBatch)
		if err != nil {
			return deleted, err
		}
		gids, err := scanAll(rows, func(gid *string) []any { return []any{gid} })
		if err != nil || len(gids) == 0 {
			return deleted, err
		}
		err = c.write(ctx, sql.LevelDefault, func(tx *transaction) error {
			args := []any{after.Milliseconds()}
			for _, gid := range gids {
				args = append(args, gid)
			}
			text := "DELETE FROM tercet_checked WHERE asked_at < {now} - ? AND gid IN (" + marks(len(gids)) + ")"
			result, err := tx.ExecContext(ctx, inWordsOf(dialect, text), args...)
			if err != nil {
				return err
			}
			gone, err = result.RowsAffected()
			return err
		})
		if err != nil {
			return deleted, err
		}
		deleted += gone
	}
}

// readCommitted is the level at which each statement sees what is committed by then.
func readCommitted(dialect Dialect) sql.IsolationLevel {
	if dialect == SQLite {
		return sql.LevelDefault
	}
	return sql.LevelReadCommitted
}

// insertMark writes the row, unless there is one; whether it was written. It waits for whoever is writing the same.
func insertMark(ctx context.Context, tx *sql.Tx, dialect Dialect, gid, mark string) (bool, error) {
	text := "INSERT INTO tercet_checked (gid, state, asked_at) VALUES (?, ?, {now})"
	if dialect == MySQL {
		text = strings.Replace(text, "INSERT", "INSERT IGNORE", 1)
	} else {
		text += " ON CONFLICT (gid) DO NOTHING"
	}
	result, err := tx.ExecContext(ctx, inWordsOf(dialect, text), gid, mark)
	if err != nil {
		return false, err
	}
	rows, err := result.RowsAffected()
	return rows > 0, err
}

// findMark reads what is written, and how long ago somebody last asked, in milliseconds. A locking read, which finds what is committed by
// now, whatever this transaction has seen before.
func findMark(ctx context.Context, tx *sql.Tx, dialect Dialect, gid string) (mark string, ago int64, err error) {
	text := "SELECT state, {now} - asked_at FROM tercet_checked WHERE gid = ?"
	if dialect != SQLite {
		text += " FOR UPDATE"
	}
	err = tx.QueryRowContext(ctx, inWordsOf(dialect, text), gid).Scan(&mark, &ago)
	if errors.Is(err, sql.ErrNoRows) {
		return "", 0, nil
	}
	return mark, ago, err
}
