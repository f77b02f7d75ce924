package tercet

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"
)

const (
	// beginPatience is how long a Try or Confirm waits for a connection: less than the coordinator waits for its answer by
	// default (3 s).
	beginPatience = 2 * time.Second
	// rounds is how often a call is run whose SQL transaction lost against another one.
	rounds = 6
	// busyTimeoutMS is how long SQLite waits for another process.
	busyTimeoutMS = 500
)

// roundPause is that between rounds: others need milliseconds to finish.
var roundPause = backoff{first: 10 * time.Millisecond, cap: 100 * time.Millisecond}

// Option says more about a [Guard], an [Outbox] or a [Checked] than its database does.
type Option func(*database)

// WithDialect names the database where its driver does not tell: one that wraps others, say.
func WithDialect(dialect Dialect) Option { return func(d *database) { d.dialect = dialect } }

// WithIsolation runs calls at this isolation level instead of the database's default. The guard is right from READ COMMITTED
// upwards; what the business code needs is for its author to say. SQLite has one level, and pays no attention.
func WithIsolation(level sql.IsolationLevel) Option { return func(d *database) { d.isolation = level } }

// WithLogger logs there instead of by [slog.Default].
func WithLogger(logger *slog.Logger) Option { return func(d *database) { d.logger = logger } }

// database is a pool, and what must be known to write to it.
type database struct {
	db        *sql.DB
	queue     *queueUser
	isolation sql.IsolationLevel
	logger    *slog.Logger

	mu      sync.Mutex
	dialect Dialect
}

func (d *database) init(db *sql.DB, options []Option) {
	d.db, d.queue = db, queueBefore(db)
	for _, option := range options {
		option(d)
	}
	if d.dialect == 0 {
		d.dialect, _ = dialectOfDriver(db.Driver())
	}
}

func (d *database) log() *slog.Logger {
	if d.logger != nil {
		return d.logger
	}
	return slog.Default()
}

// kind is which database it is; asked for once where the driver does not tell.
func (d *database) kind(ctx context.Context) (Dialect, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dialect != 0 {
		return d.dialect, nil
	}
	dialect, err := askDialect(ctx, d.db)
	if err == nil {
		d.dialect = dialect
	}
	return dialect, err
}

// transaction is a SQL transaction with the right to write. One of commit and rollback must be called.
type transaction struct {
	*sql.Tx
	dialect Dialect
	// end gives back what the transaction needed beside the connection.
	end func(failed bool)
	// held says that the session has been told to commit nothing by itself until the end.
	held bool
}

func (t *transaction) commit() error {
	err := t.Tx.Commit()
	t.end(err != nil)
	return err
}

func (t *transaction) rollback() {
	err := t.Tx.Rollback()
	t.end(err != nil && !errors.Is(err, sql.ErrTxDone))
}

// begin begins with the right to write. It waits for a connection no longer than patience, and gives errBusy then.
func (d *database) begin(ctx context.Context, dialect Dialect, isolation sql.IsolationLevel, patience time.Duration) (*transaction, error) {
	if dialect == SQLite {
		return d.beginImmediate(ctx, patience)
	}
	// The context of BeginTx is that of the whole transaction, so it is not one that ends by itself.
	ctx, cancel := context.WithCancel(ctx)
	impatience := time.AfterFunc(patience, cancel)
	tx, err := d.db.BeginTx(ctx, &sql.TxOptions{Isolation: isolation})
	inTime := impatience.Stop()
	switch {
	case err == nil && inTime:
		return &transaction{Tx: tx, dialect: dialect, end: func(bool) { cancel() }}, nil
	case err == nil:
		_ = tx.Rollback()
		fallthrough
	case !inTime:
		cancel()
		return nil, errBusy
	default:
		cancel()
		return nil, err
	}
}

// beginImmediate begins with BEGIN IMMEDIATE, whatever the name of the data source asks of the driver. A transaction that
// reads first and writes later can lose the right to write for good, so it is asked for at once. SQLite then waits
// for other processes for half a second, by its busy timeout, which the connection gets back as it was.
func (d *database) beginImmediate(ctx context.Context, patience time.Duration) (*transaction, error) {
	conn, err := d.connection(ctx, patience)
	if err != nil {
		return nil, err
	}
	var timeout int
	if err := conn.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&timeout); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	end := func(failed bool) { d.giveBack(ctx, conn, timeout, failed) }
	if timeout != busyTimeoutMS {
		if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", busyTimeoutMS)); err != nil {
			end(true)
			return nil, err
		}
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		end(true)
		return nil, err
	}
	// What the driver began may be deferred. It has read nothing and locked nothing, and makes room for what must be; the
	// connection is in a transaction before and after, which is all that database/sql knows of it.
	for _, text := range []string{"ROLLBACK", "BEGIN IMMEDIATE"} {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			// There may be nothing to roll back.
			_ = tx.Rollback()
			end(true)
			return nil, err
		}
	}
	return &transaction{Tx: tx, dialect: SQLite, end: end}, nil
}

// beginForBusiness begins on MySQL with the connection kept for longer than the transaction. A deadlock ends the whole transaction,
// and what business code that has passed over it does next would be committed statement by statement: see [guardRow.record], which has
// the session commit nothing by itself. Here it gets back what it had.
func (d *database) beginForBusiness(ctx context.Context, isolation sql.IsolationLevel, patience time.Duration) (*transaction, error) {
	conn, err := d.connection(ctx, patience)
	if err != nil {
		return nil, err
	}
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: isolation})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	t := &transaction{Tx: tx, dialect: MySQL}
	t.end = func(bool) {
		if t.held {
			if _, err := conn.ExecContext(context.WithoutCancel(ctx), letGo); err != nil {
				_ = conn.Raw(func(any) error { return driver.ErrBadConn })
			}
		}
		_ = conn.Close()
	}
	return t, nil
}

// connection takes one out of the pool.
func (d *database) connection(ctx context.Context, patience time.Duration) (*sql.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := d.db.Conn(waiting)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return nil, errBusy
	}
	return conn, err
}

// giveBack puts a connection of SQLite back as it was. One on which a transaction may still be open is ended first;
// one that cannot be put back is closed for good.
func (d *database) giveBack(ctx context.Context, conn *sql.Conn, timeout int, failed bool) {
	ctx = context.WithoutCancel(ctx)
	if failed {
		// An error says that there is none open, which is as well.
		_, _ = conn.ExecContext(ctx, "ROLLBACK")
	}
	if timeout != busyTimeoutMS {
		if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", timeout)); err != nil {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
	}
	_ = conn.Close()
}

// writingKey marks the context of business code with the database in which it is in a SQL transaction.
type writingKey struct{}

// errWithin is better than to wait for oneself.
var errWithin = errors.New("this context is that of a call, whose SQL transaction has the right to write already: use its tx")

// write runs fn in a SQL transaction with the right to write, again for as long as it only lost against another one.
func (d *database) write(ctx context.Context, isolation sql.IsolationLevel, fn func(tx *transaction) error) error {
	dialect, err := d.kind(ctx)
	if err != nil {
		return err
	}
	// The queue lives as long as somebody writes: whoever asks for it meanwhile finds the same.
	defer runtime.KeepAlive(d.queue)
	if dialect == SQLite {
		if ctx.Value(writingKey{}) == d.db {
			return errWithin
		}
		leave, err := d.queue.joinSurely(ctx)
		if err != nil {
			return err
		}
		defer leave()
	}
	for round := 1; ; round++ {
		err := d.writeOnce(ctx, dialect, isolation, fn)
		if err == nil || round >= rounds || contentionOf(dialect, err) == none {
			return err
		}
		if err := sleep(ctx, roundPause.pause(round, 0)); err != nil {
			return err
		}
	}
}

func (d *database) writeOnce(ctx context.Context, dialect Dialect, isolation sql.IsolationLevel, fn func(tx *transaction) error) error {
	tx, err := d.begin(ctx, dialect, isolation, time.Minute)
	if err != nil {
		return err
	}
	ended := false
	defer func() {
		if !ended {
			tx.rollback()
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	ended = true
	return tx.commit()
}

// InTx runs fn in a SQL transaction with the right to write, BEGIN IMMEDIATE on SQLite, and behind this process's other
// writers there. It is committed if fn gives no error, else rolled back. Where it only lost against another transaction
// (a deadlock, a serialization failure, a locked file) it is run again, up to six times: fn must have no effect but through tx.
func InTx(ctx context.Context, db *sql.DB, fn func(tx *sql.Tx) error) error {
	var d database
	d.init(db, nil)
	return d.write(ctx, sql.LevelDefault, func(tx *transaction) error { return fn(tx.Tx) })
}

// migrate makes tables where they are missing. Services start several at a time, and no database but MariaDB makes IF NOT
// EXISTS wait for another session that is making the same: who lost finds everything there the next time.
func (d *database) migrate(ctx context.Context, dialect Dialect, statements []string) error {
	for _, text := range statements {
		for round := 1; ; round++ {
			err := d.makeTable(ctx, dialect, text)
			if err == nil {
				break
			}
			passing := contentionOf(dialect, err) != none || isMadeMeanwhile(dialect, err)
			if !passing || round == 10 {
				return err
			}
			if err := sleep(ctx, roundPause.pause(round, 0)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *database) makeTable(ctx context.Context, dialect Dialect, text string) error {
	if dialect == SQLite {
		return d.write(ctx, sql.LevelDefault, func(tx *transaction) error {
			_, err := tx.ExecContext(ctx, text)
			return err
		})
	}
	_, err := d.db.ExecContext(ctx, text)
	return err
}
