package tercet

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"sync"
	"time"
)

// Guard is the participant's record of what it has done for each branch, in its own database: SQLite, PostgreSQL, MySQL or
// MariaDB. Its row is written in the SQL transaction of the business change, and so handles calls that repeat, come late, at
// once, or after their opposite. Services in other languages may share its table.
type Guard struct {
	database
	turns turns

	seatsOnce sync.Once
	// seats has one for each call that may be waiting for its row in the database: half of the pool.
	seats chan struct{}
}

// NewGuard is the guard on this database, which must be the one that the business code writes to. Make its table by
// [Guard.Migrate].
//
// Bound the pool (SetMaxOpenConns), since database/sql does not: calls that find no connection then wait for two seconds and are
// called again.
func NewGuard(db *sql.DB, options ...Option) *Guard {
	guard := &Guard{}
	guard.init(db, options)
	return guard
}

// OpenGuard is [NewGuard] with its tables made where they are missing.
func OpenGuard(ctx context.Context, db *sql.DB, options ...Option) (*Guard, error) {
	guard := NewGuard(db, options...)
	return guard, guard.Migrate(ctx)
}

// Migrate makes the guard's tables where they are missing. It is safe to repeat, and for several processes at once: call it
// at every start, or take the statements of docs/guard-sql.md into your own migrations.
func (g *Guard) Migrate(ctx context.Context) error {
	dialect, err := g.kind(ctx)
	if err != nil {
		return err
	}
	return g.migrate(ctx, dialect, compiledGuard[dialect].create)
}

// done says how a call ended that was done, now or before.
type done struct {
	state    state
	repeated bool
	// result is what a Try is answered with, where business code says so.
	result []byte
}

// business is what there is to run of a participant.
type business interface {
	run(ctx context.Context, tx *sql.Tx, call *Call, payload []byte) error
	cancelsEmpty() bool
}

// answer answers one call as the guard's table says, atomically. On SQLite it may have to wait for its turn to write, for as
// long as that takes; begun is called when it need not wait any more.
func (g *Guard) answer(ctx context.Context, call *Call, payload []byte, todo business, begun func()) (done, error) {
	dialect, err := g.kind(ctx)
	if err != nil {
		return done{}, err
	}
	if dialect == SQLite {
		leave, err := g.queue.join(ctx)
		if err != nil {
			return done{}, err
		}
		defer runtime.KeepAlive(g.queue)
		defer leave()
	} else {
		begun()
	}
	for round := 1; ; {
		done, err := g.answerOnce(ctx, dialect, call, payload, todo, begun)
		if err == nil {
			return done, nil
		}
		switch contentionIn(dialect, err) {
		case none:
			return done, err
		case lost:
			round++
		case waited:
			// It has cost its time already.
			round += 2
		}
		g.log().Debug("a call lost against another one", "gid", call.Gid, "branch", call.Branch, "error", err)
		if round > rounds {
			return done, errInProgress
		}
		if err := sleep(ctx, roundPause.pause(round, 0)); err != nil {
			return done, err
		}
	}
}

// contentionIn is what of another transaction was in the way, if the same call, run again, may go through.
func contentionIn(dialect Dialect, err error) contention {
	var refusal *Refusal
	var retry *Retry
	var contradicted *contradiction
	var unreadable *invalidPayload
	switch {
	case errors.As(err, &refusal), errors.As(err, &contradicted), errors.As(err, &unreadable),
		errors.As(err, &retry) && retry.After > 0, errors.Is(err, errBusy), errors.Is(err, errInProgress):
		return none
	default:
		return contentionOf(dialect, err)
	}
}

// answerOnce is one SQL transaction. Every early return, and a panic, rolls it back.
func (g *Guard) answerOnce(ctx context.Context, dialect Dialect, call *Call, payload []byte, todo business, begun func()) (done, error) {
	tx, standUp, err := g.beginFor(ctx, dialect, call)
	if err != nil {
		return done{}, err
	}
	// Nothing is left to end after a commit.
	defer func() {
		if tx != nil {
			tx.rollback()
		}
	}()
	begun()
	ctx = context.WithValue(ctx, writingKey{}, g.db)
	row := guardRow{tx, compiledGuard[dialect], call, lateMillis()}
	found, err := row.record(ctx, stateAfter(call.Op))
	standUp()
	if err != nil {
		return done{}, err
	}
	commit := func() error {
		ending := tx
		tx = nil
		return ending.commit()
	}
	var is *recorded
	if found != nil {
		is = &found.recorded
	}
	arrived := arrival{call.Op, call.Legs, call.Instance, call.Op == Try && isLongPast(call.Deadline, time.Now())}
	todoNow, why := decide(is, arrived)
	switch todoNow {
	case refuse:
		if err := row.noteCall(ctx, found, commit); err != nil {
			return done{}, err
		}
		return done{}, why
	case repeat:
		// The coordinator may have lost the answer before it was durable, and others build on what it says: it is the
		// same again.
		var result []byte
		if call.Op == Try {
			if result, err = row.findTheResult(ctx); err != nil {
				return done{}, err
			}
		}
		if err := row.noteCall(ctx, found, commit); err != nil {
			return done{}, err
		}
		return done{found.state, true, result}, nil
	case record:
		if err := row.runEmpty(ctx, payload, todo); err != nil {
			return done{}, err
		}
		return done{state: cancelled}, commit()
	}
	result, err := row.run(ctx, found, payload, todo)
	if err != nil {
		return done{}, err
	}
	if err := commit(); err != nil {
		return done{}, err
	}
	return done{state: stateAfter(call.Op), result: result}, nil
}

// beginFor begins, with a seat for a call that may have to wait for its row: a Cancel, whose Try may still be running in
// another process, or a repeat. The first Try or Confirm of a branch meets nobody, and is not to stand behind those.
func (g *Guard) beginFor(ctx context.Context, dialect Dialect, call *Call) (tx *transaction, standUp func(), err error) {
	patience := beginPatience
	if call.Op == Cancel {
		patience = turnPatience
	}
	standUp = func() {}
	if dialect != SQLite && (call.Op == Cancel || call.Attempt > 1) {
		if standUp, err = g.sit(ctx, patience); err != nil {
			return nil, nil, err
		}
	}
	began := time.Now()
	if dialect == MySQL {
		tx, err = g.beginForBusiness(ctx, g.isolation, patience)
	} else {
		tx, err = g.begin(ctx, dialect, g.isolation, patience)
	}
	if err != nil {
		standUp()
		// SQLite has waited for another process for as long as it may.
		if contentionOf(dialect, err) != none && time.Since(began) >= busyTimeoutMS*time.Millisecond*4/5 {
			err = errInProgress
		}
		return nil, nil, err
	}
	return tx, standUp, nil
}

// unboundedSeats are those of a pool without a bound.
const unboundedSeats = 64

func (g *Guard) sit(ctx context.Context, patience time.Duration) (standUp func(), err error) {
	g.seatsOnce.Do(func() {
		seats := unboundedSeats
		if most := g.db.Stats().MaxOpenConnections; most > 0 {
			seats = max(most/2, 1)
		}
		g.seats = make(chan struct{}, seats)
	})
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case g.seats <- struct{}{}:
		return sync.OnceFunc(func() { <-g.seats }), nil
	case <-timer.C:
		return nil, errBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
