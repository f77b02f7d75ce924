package tercet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// OutboxState is where a message stands.
type OutboxState string

// The states of a message.
const (
	// OutboxPending: it is committed, and the coordinator may not have it yet.
	OutboxPending OutboxState = "pending"
	// OutboxSent: the coordinator has it, and sees to it.
	OutboxSent OutboxState = "sent"
	// OutboxConfirmed: everybody has confirmed.
	OutboxConfirmed OutboxState = "confirmed"
	// OutboxCancelled: it was cancelled; a Try was refused, say.
	OutboxCancelled OutboxState = "cancelled"
	// OutboxDead: the coordinator will never take it; why stands beside it.
	OutboxDead OutboxState = "dead"
)

// OutboxPurgeAfter is how long a message is kept after its end, for whoever looks, and against a repeat of the deed.
const OutboxPurgeAfter = 7 * 24 * time.Hour

const (
	// requestBytes is what a coordinator takes as a request, at most.
	requestBytes = 1024 * 1024
	// purgeBatch are rows of one statement.
	purgeBatch = 500
	// countedAtMost is the most that is counted of pending messages.
	countedAtMost = 100_000
)

// ErrSentBefore: there is a message of this gid already. What is to be done once must not be done again.
var ErrSentBefore = errors.New("it was sent before")

// OutboxEntry is a message as it stands.
type OutboxEntry struct {
	Gid   string
	State OutboxState
	// Reason is what went wrong the last time; of a dead one, why it is.
	Reason string
	// Attempts is how often it was tried to be handed over, or asked for, since it came into this state.
	Attempts int
}

// Outbox is the table in an initiator's own database in which transactions are written that begin exactly if its SQL transaction
// commits. A [Relay], here or in another process and language, hands them over. The order in which is not promised.
type Outbox struct {
	database
	// skipsNoLocks: rows that others hold cannot be passed over; some servers do not have the words.
	skipsNoLocks atomic.Bool
}

// NewOutbox is the outbox in this database, which must be the one that the business change is in.
func NewOutbox(db *sql.DB, options ...Option) *Outbox {
	outbox := &Outbox{}
	outbox.init(db, options)
	return outbox
}

// Migrate makes the table, tercet_outbox, where it is missing. Safe to repeat, and for several processes at once.
func (o *Outbox) Migrate(ctx context.Context) error {
	dialect, err := o.kind(ctx)
	if err != nil {
		return err
	}
	return o.migrate(ctx, dialect, outboxTable(dialect))
}

// Send has a transaction begun, if tx commits: it is only written down here. It needs its branches, and is not open; one whose branch
// has a Confirm alone is a message. With a gid that belongs to the deed a repeat of the deed fails here, with
// [ErrSentBefore]. Whatever the error, roll back, unless the change shall be without it.
//
// On SQLite begin tx by [InTx], which asks for the right to write at once.
func (o *Outbox) Send(ctx context.Context, tx *sql.Tx, transaction Transaction) error {
	body, err := transaction.message()
	if err != nil {
		return err
	}
	dialect, err := o.kind(ctx)
	if err != nil {
		return err
	}
	var traceparent any
	if text := traceparentOf(ctx, transaction.Traceparent); text != "" && len(text) <= 255 && isHeaderValue(text) {
		traceparent = text
	}
	text := "INSERT INTO tercet_outbox (gid, request, traceparent, state, owner, due_at, attempts, written_at) " +
		"VALUES (?, ?, ?, 'pending', 0, {now}, 0, {now})"
	if dialect == MySQL {
		text = strings.Replace(text, "INSERT", "INSERT IGNORE", 1)
	} else {
		text += " ON CONFLICT (gid) DO NOTHING"
	}
	written, err := tx.ExecContext(ctx, inWordsOf(dialect, text), transaction.Gid, string(body), traceparent)
	if err != nil {
		return err
	}
	if rows, err := written.RowsAffected(); err != nil || rows == 0 {
		return errors.Join(err, fmt.Errorf("%s: %w", transaction.Gid, ErrSentBefore))
	}
	return nil
}

// message is the body of the begin. What a coordinator would refuse at any time is refused here, where somebody can be told.
func (t *Transaction) message() ([]byte, error) {
	if len(t.Branches) == 0 || t.Check != "" {
		return nil, &InvalidError{"branches", "a message needs branches, and is not open"}
	}
	ids := map[string]bool{}
	for i := range t.Branches {
		branch := &t.Branches[i]
		field := fmt.Sprintf("branches[%d]", i)
		if branch.ID != "" {
			if err := checkID(branch.ID, branchMaxLen); err != nil {
				return nil, &InvalidError{field + ".id", err.Error()}
			}
			if ids[branch.ID] {
				return nil, &InvalidError{field + ".id", branch.ID + " is the id of an earlier branch"}
			}
			ids[branch.ID] = true
		}
		if err := branch.checkURLs(field); err != nil {
			return nil, err
		}
	}
	body, err := t.body(false)
	if err == nil && len(body) > requestBytes {
		return nil, &InvalidError{"transaction", fmt.Sprintf("a message of %d bytes is larger than a request may be (%d)", len(body), requestBytes)}
	}
	return body, err
}

func (b *Branch) checkURLs(field string) error {
	legs := []struct{ name, url string }{{"endpoint", b.Endpoint}, {"try", b.Try}, {"confirm", b.Confirm}, {"cancel", b.Cancel}}
	given := 0
	for _, leg := range legs {
		if leg.url == "" {
			continue
		}
		given++
		parsed, err := url.Parse(leg.url)
		if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || parsed.User != nil || parsed.Fragment != "" {
			return &InvalidError{field + "." + leg.name, "must be an http or https URL without user and fragment"}
		}
	}
	if given == 0 {
		return &InvalidError{field, "a branch needs at least one URL: give Endpoint, Try, Confirm or Cancel"}
	}
	if b.Endpoint != "" && given > 1 {
		return &InvalidError{field + ".endpoint", "is there beside a leg of its own"}
	}
	return nil
}

const selectEntry = "SELECT gid, state, COALESCE(reason, ''), attempts FROM tercet_outbox "

// Entry gives a message as it stands; nil if it was never sent, or was purged.
func (o *Outbox) Entry(ctx context.Context, gid string) (*OutboxEntry, error) {
	entries, err := o.entries(ctx, selectEntry+"WHERE gid = ?", gid)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	return &entries[0], nil
}

// Dead gives the dead ones, the oldest first; at most 500.
func (o *Outbox) Dead(ctx context.Context) ([]OutboxEntry, error) {
	return o.entries(ctx, selectEntry+"WHERE state = ? ORDER BY due_at LIMIT 500", string(OutboxDead))
}

// Pending counts messages that are committed and not handed over yet; at most 100 000, beyond which there are more.
func (o *Outbox) Pending(ctx context.Context) (int, error) {
	dialect, err := o.kind(ctx)
	if err != nil {
		return 0, err
	}
	text := "SELECT COUNT(*) FROM (SELECT gid FROM tercet_outbox WHERE state = ? LIMIT ?) AS waiting"
	var pending int
	err = o.db.QueryRowContext(ctx, inWordsOf(dialect, text), string(OutboxPending), countedAtMost).Scan(&pending)
	return pending, err
}

// Again brings a dead one back, once the reason is gone: it is handed over anew, under its gid. It says whether it was dead.
func (o *Outbox) Again(ctx context.Context, gid string) (bool, error) {
	text := "UPDATE tercet_outbox SET state = ?, due_at = {now}, attempts = 0 WHERE gid = ? AND state = ?"
	rows, err := o.update(ctx, text, string(OutboxPending), gid, string(OutboxDead))
	return rows == 1, err
}

// Purge deletes what was confirmed or cancelled longer ago than after, usually [OutboxPurgeAfter], by the database's clock; the number
// of rows. Relays do it once an hour. What is pending, sent or dead is never deleted: it is not done.
func (o *Outbox) Purge(ctx context.Context, after time.Duration) (int64, error) {
	var deleted int64
	for _, state := range []OutboxState{OutboxConfirmed, OutboxCancelled} {
		for {
			text := selectEntry + "WHERE state = ? AND due_at < {now} - ? ORDER BY due_at LIMIT ?"
			old, err := o.entries(ctx, text, string(state), after.Milliseconds(), purgeBatch)
			if err != nil {
				return deleted, err
			}
			if len(old) == 0 {
				break
			}
			args := []any{string(state)}
			for _, entry := range old {
				args = append(args, entry.Gid)
			}
			rows, err := o.update(ctx, "DELETE FROM tercet_outbox WHERE state = ? AND gid IN ("+marks(len(old))+")", args...)
			if err != nil {
				return deleted, err
			}
			deleted += rows
		}
	}
	return deleted, nil
}

func (o *Outbox) entries(ctx context.Context, text string, args ...any) ([]OutboxEntry, error) {
	dialect, err := o.kind(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := o.db.QueryContext(ctx, inWordsOf(dialect, text), args...)
	if err != nil {
		return nil, err
	}
	return scanAll(rows, func(entry *OutboxEntry) []any {
		return []any{&entry.Gid, &entry.State, &entry.Reason, &entry.Attempts}
	})
}

// update runs one statement in a SQL transaction of its own; the number of rows.
func (o *Outbox) update(ctx context.Context, text string, args ...any) (int64, error) {
	var rows int64
	err := o.write(ctx, sql.LevelDefault, func(tx *transaction) error {
		result, err := tx.ExecContext(ctx, inWordsOf(tx.dialect, text), args...)
		if err != nil {
			return err
		}
		rows, err = result.RowsAffected()
		return err
	})
	return rows, err
}
