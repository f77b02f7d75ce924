package tercet

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// leaseTime is how long claimed rows are a relay's own. One that dies leaves them to others after that.
	leaseTime = 8 * time.Second
	// relayBatch are rows of a claim.
	relayBatch = 100
	// atOnce are requests of a relay under way.
	atOnce = 32
	// idleFirst and idleAtMost are how long a relay sleeps that found nothing.
	idleFirst  = 10 * time.Millisecond
	idleAtMost = 200 * time.Millisecond
)

// databasePause is how long a relay waits whose database fails.
var databasePause = backoff{200 * time.Millisecond, 2 * time.Second}

// Relay hands messages of an [Outbox] over to a coordinator, and follows them to their end. Any number of relays may work on one
// table, in one process or in many, in any language: each message is one relay's for as long as its lease lasts, by the
// database's clock.
//
// A coordinator that is away only delays: messages stay pending, and a relay asks with one of them at a time, after 5 s at the
// longest, until it is back. A message that the coordinator refuses for good is dead, with the reason, and keeps nobody up.
type Relay struct {
	outbox *Outbox
	client *Client
	lease  time.Duration
}

// NewRelay is a relay between this outbox and this coordinator.
func NewRelay(outbox *Outbox, client *Client) *Relay {
	return &Relay{outbox, client, leaseTime}
}

// Lease says how long claimed messages are this relay's own, by default 8 s and at least one: so long the messages wait that a relay
// held when it died. A request to the coordinator may take three eighths of it.
func (r *Relay) Lease(lease time.Duration) *Relay {
	return &Relay{r.outbox, r.client, max(lease, time.Second)}
}

// Run hands over and follows until the context ends: go relay.Run(ctx). It then finishes what is under way, and returns.
func (r *Relay) Run(ctx context.Context) {
	var work sync.WaitGroup
	for _, each := range []func(context.Context){
		func(ctx context.Context) { r.workOn(ctx, OutboxPending) },
		func(ctx context.Context) { r.workOn(ctx, OutboxSent) },
		r.tidy,
	} {
		work.Add(1)
		go func() {
			defer work.Done()
			each(ctx)
		}()
	}
	work.Wait()
}

// Once hands over and follows what is due now, a batch of each; it says whether anything was. It is for those who would rather decide
// themselves when it is done: tests, programs that run now and then. Nothing is lost by an error: what was claimed is due again
// when its lease has run out.
func (r *Relay) Once(ctx context.Context) (bool, error) {
	handed, err := r.round(ctx, OutboxPending, relayBatch)
	if err != nil {
		return false, err
	}
	followed, err := r.round(ctx, OutboxSent, relayBatch)
	return handed.kind != roundIdle || followed.kind != roundIdle, err
}

// workOn sees to the rows of one state, round after round.
func (r *Relay) workOn(ctx context.Context, state OutboxState) {
	idle, away, failed := idleFirst, 0, 0
	for ctx.Err() == nil {
		limit := relayBatch
		if away > 0 {
			// While the coordinator is away one message asks for all.
			limit = 1
		}
		// What is begun is finished, also when the context ends meanwhile.
		round, err := r.round(context.WithoutCancel(ctx), state, limit)
		var pause time.Duration
		switch {
		case err != nil:
			failed++
			r.outbox.log().Warn("the outbox cannot be read or written", "error", err)
			pause = databasePause.pause(failed, idleFirst)
		case round.kind == roundIdle:
			failed = 0
			pause, idle = idle, min(idle*2, idleAtMost)
		case round.kind == roundAway:
			failed = 0
			away++
			pause = max(awayPause.atLeastHalf(away), min(round.asked, awayPause.cap))
		default:
			if away > 0 {
				r.outbox.log().Info("the coordinator is back", "rounds", away)
			}
			idle, away, failed = idleFirst, 0, 0
		}
		_ = sleep(ctx, pause)
	}
}

// tidy deletes what has ended long ago, at first and once an hour.
func (r *Relay) tidy(ctx context.Context) {
	for {
		if _, err := r.outbox.Purge(ctx, OutboxPurgeAfter); err != nil && ctx.Err() == nil {
			r.outbox.log().Warn("the outbox cannot be tidied", "error", err)
		}
		if sleep(ctx, purgeEvery) != nil {
			return
		}
	}
}

type roundKind int

const (
	// roundIdle: nothing was due.
	roundIdle roundKind = iota
	// roundBusy: something was, and was seen to.
	roundBusy
	// roundAway: the coordinator could not be asked.
	roundAway
)

// round is what one came to.
type round struct {
	kind  roundKind
	asked time.Duration
}

// round is one claim, from taking it to writing down what became of it. Nobody's SQL transaction is open while the coordinator is
// asked.
func (r *Relay) round(ctx context.Context, state OutboxState, limit int) (round, error) {
	// Before the claim, so that the lease ends later than is reckoned here.
	began := time.Now()
	owner, rows, err := r.outbox.claim(ctx, state, limit, r.lease)
	if err != nil || len(rows) == 0 {
		return round{}, err
	}
	ended := &ended{from: state, outcomes: map[next][]string{}}
	places := make(chan struct{}, atOnce)
	var calls sync.WaitGroup
	for _, row := range rows {
		places <- struct{}{}
		// What is begun now is answered before the lease ends. The rest goes back to whoever comes.
		if ended.isAway() || time.Since(began) >= r.lease/2 {
			ended.note(row.gid, next{state: state, attempts: notThisOne})
			<-places
			continue
		}
		calls.Add(1)
		go func() {
			defer calls.Done()
			defer func() { <-places }()
			was := r.ask(ctx, state, row)
			if was.kind == toldAway {
				ended.away(was)
			}
			becomes := nextOf(state, row.attempts, was)
			if becomes.state == OutboxDead {
				r.outbox.log().Error("a message is dead: it will not be handed over", "gid", row.gid, "why", becomes.reason)
			}
			ended.note(row.gid, becomes)
		}()
	}
	calls.Wait()
	if err := r.outbox.settle(ctx, owner, state, ended.outcomes); err != nil {
		return round{}, err
	}
	if ended.awayAs != nil {
		r.outbox.log().Warn("the coordinator is away", "why", ended.awayAs.why)
		return round{roundAway, ended.awayAs.asked}, nil
	}
	return round{kind: roundBusy}, nil
}

// ask has the coordinator say of a row how it stands.
func (r *Relay) ask(ctx context.Context, state OutboxState, row claimed) told {
	patience := r.lease * 3 / 8
	if state == OutboxSent {
		return r.client.standing(ctx, row.gid, patience)
	}
	return r.client.handOver(ctx, row.request, row.traceparent, patience)
}

// ended is what became of the rows of a claim so far.
type ended struct {
	from OutboxState

	mu       sync.Mutex
	outcomes map[next][]string
	awayAs   *told
}

func (e *ended) note(gid string, becomes next) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.outcomes[becomes] = append(e.outcomes[becomes], gid)
}

func (e *ended) away(was told) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.awayAs == nil || was.asked > e.awayAs.asked {
		e.awayAs = &was
	}
}

func (e *ended) isAway() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.awayAs != nil
}

// claimed is a row that is ours until its lease runs out.
type claimed struct {
	gid, traceparent string
	request          []byte
	// attempts, this one counted.
	attempts int
}

// claim takes at most limit rows of this state that are due; nobody else sees to them until the lease runs out. It is three
// statements in one SQL transaction, right wherever one row is written atomically: the rows that are due, passing over those that
// others hold; an update that asks again whether they are; and a read of those that bear this claim's number.
func (o *Outbox) claim(ctx context.Context, state OutboxState, limit int, lease time.Duration) (owner int64, rows []claimed, err error) {
	dialect, err := o.kind(ctx)
	if err != nil {
		return 0, nil, err
	}
	// Looked at without the right to write, which on SQLite would keep others from writing for nothing.
	due, err := o.entries(ctx, selectEntry+"WHERE state = ? AND due_at <= {now} LIMIT 1", string(state))
	if err != nil || len(due) == 0 {
		return 0, nil, err
	}
	take := func() error {
		// Positive, so that no row has it that was never claimed.
		owner, rows = rand.Int64N(1<<62)+1, nil
		return o.write(ctx, sql.LevelReadCommitted, func(tx *transaction) (err error) {
			rows, err = o.claimIn(ctx, tx, owner, state, limit, lease)
			return err
		})
	}
	err = take()
	if doesNotKnowSkipLocked(dialect, err) && !o.skipsNoLocks.Swap(true) {
		err = take()
	}
	return owner, rows, err
}

func (o *Outbox) claimIn(ctx context.Context, tx *transaction, owner int64, state OutboxState, limit int, lease time.Duration) ([]claimed, error) {
	text := "SELECT gid FROM tercet_outbox WHERE state = ? AND due_at <= {now} ORDER BY due_at LIMIT ?"
	if tx.dialect != SQLite && !o.skipsNoLocks.Load() {
		text += " FOR UPDATE SKIP LOCKED"
	}
	found, err := tx.QueryContext(ctx, inWordsOf(tx.dialect, text), string(state), limit)
	if err != nil {
		return nil, err
	}
	gids, err := scanAll(found, func(gid *string) []any { return []any{gid} })
	if err != nil || len(gids) == 0 {
		return nil, err
	}
	args := []any{owner, lease.Milliseconds(), string(state)}
	keys := make([]any, len(gids))
	for i, gid := range gids {
		keys[i] = gid
	}
	text = "UPDATE tercet_outbox SET owner = ?, due_at = {now} + ?, attempts = attempts + 1 " +
		"WHERE state = ? AND due_at <= {now} AND gid IN (" + marks(len(gids)) + ")"
	if _, err := tx.ExecContext(ctx, inWordsOf(tx.dialect, text), append(args, keys...)...); err != nil {
		return nil, err
	}
	text = "SELECT gid, request, COALESCE(traceparent, ''), attempts FROM tercet_outbox WHERE owner = ? AND gid IN (" + marks(len(gids)) + ")"
	mine, err := tx.QueryContext(ctx, inWordsOf(tx.dialect, text), append([]any{owner}, keys...)...)
	if err != nil {
		return nil, err
	}
	return scanAll(mine, func(row *claimed) []any {
		return []any{&row.gid, &row.request, &row.traceparent, &row.attempts}
	})
}

// settle writes what became of the rows of a claim, of those that are still its own.
func (o *Outbox) settle(ctx context.Context, owner int64, from OutboxState, outcomes map[next][]string) error {
	return o.write(ctx, sql.LevelReadCommitted, func(tx *transaction) error {
		for becomes, gids := range outcomes {
			text := "UPDATE tercet_outbox SET state = ?, owner = 0, due_at = {now} + ?, attempts = " + becomes.attempts +
				", reason = ? WHERE owner = ? AND state = ? AND gid IN (" + marks(len(gids)) + ")"
			var reason any
			if becomes.reason != "" {
				reason = becomes.reason
			}
			args := []any{string(becomes.state), becomes.due.Milliseconds(), reason, owner, string(from)}
			for _, gid := range gids {
				args = append(args, gid)
			}
			if _, err := tx.ExecContext(ctx, inWordsOf(tx.dialect, text), args...); err != nil {
				return err
			}
		}
		return nil
	})
}
