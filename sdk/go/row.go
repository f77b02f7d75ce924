package tercet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// touchAfterMS is how old the note of the last call may become before another call writes it anew: repeats are many and
// reading is cheaper than writing.
const touchAfterMS = 24 * 60 * 60 * 1000

// guardRow is the row of a call's branch, inside the SQL transaction of the business change.
type guardRow struct {
	tx   *transaction
	sql  *guardStatements
	call *Call
	now  int64
}

// foundRow is what stands in it.
type foundRow struct {
	recorded
	updatedAt int64
}

func (r *guardRow) values() *values {
	call := r.call
	return &values{gid: call.Gid, branch: call.Branch, instance: call.Instance, legs: call.Legs.String(), now: r.now}
}

// exec runs a statement; the number of rows it wrote.
func (t *transaction) exec(ctx context.Context, what statement, v *values) (int64, error) {
	result, err := t.ExecContext(ctx, what.text, what.args(v)...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// record writes the call down as done, unless something is recorded of its branch: then it gives that. It waits for another
// call of the branch, a bounded time.
func (r *guardRow) record(ctx context.Context, wanted state) (*foundRow, error) {
	if r.sql.patience != "" {
		if _, err := r.tx.ExecContext(ctx, r.sql.patience); err != nil {
			return nil, err
		}
	}
	found, err := r.insertOrFind(ctx, wanted)
	if r.sql.patienceEnds != "" {
		// The session gets back what it had, whatever came of it, and commits nothing by itself while business code runs.
		r.tx.held = true
		if _, ended := r.tx.ExecContext(ctx, r.sql.patienceEnds+andHold); ended != nil {
			err = errors.Join(err, ended)
		}
	}
	// Whoever holds the row is at work on this very branch.
	if contentionOf(r.tx.dialect, err) == waited {
		return nil, errInProgress
	}
	return found, err
}

// insertOrFind inserts the row before it is read: a locking read of a row that is not there lets two callers pass, or
// deadlocks them. An insert makes the second wait.
func (r *guardRow) insertOrFind(ctx context.Context, wanted state) (*foundRow, error) {
	v := r.values()
	v.state = wanted
	written, err := r.tx.exec(ctx, r.sql.insert, v)
	if err != nil || written > 0 {
		return nil, err
	}
	var found foundRow
	err = r.tx.QueryRowContext(ctx, r.sql.find.text, r.sql.find.args(v)...).
		Scan(&found.instance, &found.state, &found.updatedAt)
	if errors.Is(err, sql.ErrNoRows) {
		// Purged between the two statements.
		return nil, errInProgress
	}
	if err != nil {
		return nil, err
	}
	switch found.state {
	case tried, confirmed, cancelled:
		return &found, nil
	default:
		return nil, fmt.Errorf("tercet_guard %s/%s: state is %q", r.call.Gid, r.call.Branch, found.state)
	}
}

// run runs the business code for a row that is new, or moves on from the state in which it was found.
func (r *guardRow) run(ctx context.Context, found *foundRow, payload []byte, todo business) ([]byte, error) {
	v := r.values()
	if found != nil {
		v.state, v.stateBefore = stateAfter(r.call.Op), found.state
		moved, err := r.tx.exec(ctx, r.sql.replace, v)
		if err != nil {
			return nil, err
		}
		// The row is locked, so it can have moved only where the lock is not honoured; then this call must not run.
		if moved == 0 {
			return nil, errInProgress
		}
	}
	// What a round before this one wanted to answer was rolled back with it.
	_, _ = r.call.takeAnswer()
	if err := todo.run(ctx, r.tx.Tx, r.call, payload); err != nil {
		return nil, err
	}
	if err := r.insistThatItStands(ctx); err != nil || r.call.Op != Try {
		return nil, err
	}
	result, err := r.call.takeAnswer()
	if err != nil || result == nil {
		return nil, err
	}
	v.result = string(result)
	_, err = r.tx.exec(ctx, r.sql.keepTheResult, v)
	return result, err
}

// runEmpty runs an empty Cancel for those who ask for it.
func (r *guardRow) runEmpty(ctx context.Context, payload []byte, todo business) error {
	if !todo.cancelsEmpty() {
		return nil
	}
	empty := *r.call
	empty.Empty = true
	err := todo.run(ctx, r.tx.Tx, &empty, payload)
	// A payload that cannot be read now could not be read by a Try either.
	var unreadable *invalidPayload
	if errors.As(err, &unreadable) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.insistThatItStands(ctx)
}

var errGivenUp = errors.New("the SQL transaction was rolled back: business code passed over an error of the database")

// insistThatItStands fails where the database has given the whole transaction up and lets the session go on as if nothing had been, as MySQL does
// after a deadlock. Business code that passes over the error ends in another transaction than it began in, and the row as this call has written it
// is there only in the first. PostgreSQL needs no such question: nothing but a rollback comes of it, and the drivers' Commit says so.
func (r *guardRow) insistThatItStands(ctx context.Context) error {
	if r.sql.stands.text == "" {
		return nil
	}
	v := r.values()
	v.state = stateAfter(r.call.Op)
	var stands int
	err := r.tx.QueryRowContext(ctx, r.sql.stands.text, r.sql.stands.args(v)...).Scan(&stands)
	if errors.Is(err, sql.ErrNoRows) {
		return errGivenUp
	}
	return err
}

func (r *guardRow) findTheResult(ctx context.Context) ([]byte, error) {
	var result []byte
	err := r.tx.QueryRowContext(ctx, r.sql.findTheResult.text, r.sql.findTheResult.args(r.values())...).Scan(&result)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return result, err
}

// noteCall ends a transaction in which nothing was run. That the branch was called is written down now and then, since its
// row is kept for as long as it is called. Else it is rolled back: an insert may have gone before, of a call that is refused.
func (r *guardRow) noteCall(ctx context.Context, found *foundRow, commit func() error) error {
	if found == nil || found.instance != r.call.Instance || r.now-found.updatedAt < touchAfterMS {
		return nil
	}
	if _, err := r.tx.exec(ctx, r.sql.touch, r.values()); err != nil {
		return err
	}
	return commit()
}
