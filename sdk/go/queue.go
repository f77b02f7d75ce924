package tercet

import (
	"context"
	"database/sql"
	"runtime"
	"sync"
)

// waitingAtMost is how many may wait for the right to write: more than the coordinator calls at once.
const waitingAtMost = 1024

// writeQueue is the queue before SQLite's one writer.
//
// SQLite lets one transaction write at a time. Those who meet at its lock do not queue: each looks again and again, with a
// connection in its hand, and who comes last may go first. Here the calls of a process wait in order instead, without a
// connection, so that on a slow machine everybody is slow and nobody fails. Only the first of them asks SQLite, where it may
// meet another process.
type writeQueue struct {
	// The goroutines that wait at a channel are served in the order in which they came.
	writer chan struct{}
	places chan struct{}
}

// join waits for the right to write, behind those who came before; errBusy where too many wait already.
func (q *writeQueue) join(ctx context.Context) (leave func(), err error) {
	select {
	case q.places <- struct{}{}:
		defer func() { <-q.places }()
	default:
		return nil, errBusy
	}
	return q.joinSurely(ctx)
}

// joinSurely is the same for one whose number is bounded by something else, and who must not be sent away.
func (q *writeQueue) joinSurely(ctx context.Context) (leave func(), err error) {
	select {
	case q.writer <- struct{}{}:
		return sync.OnceFunc(func() { <-q.writer }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// queues has the queue of each *sql.DB that somebody here writes to: the guard and the outbox know nothing of each other, but
// are given one pool, and write to one file.
var queues = struct {
	sync.Mutex
	of map[*sql.DB]*sharedQueue
}{of: map[*sql.DB]*sharedQueue{}}

type sharedQueue struct {
	writeQueue
	users int
}

// queueUser is one who uses a queue; when the last one is collected the queue goes, and with it the last hold on its pool.
type queueUser struct {
	*sharedQueue
	db *sql.DB
}

func queueBefore(db *sql.DB) *queueUser {
	queues.Lock()
	defer queues.Unlock()
	shared := queues.of[db]
	if shared == nil {
		shared = &sharedQueue{writeQueue: writeQueue{
			writer: make(chan struct{}, 1),
			places: make(chan struct{}, waitingAtMost),
		}}
		queues.of[db] = shared
	}
	shared.users++
	user := &queueUser{shared, db}
	runtime.SetFinalizer(user, (*queueUser).leave)
	return user
}

func (u *queueUser) leave() {
	queues.Lock()
	defer queues.Unlock()
	if u.users--; u.users == 0 {
		delete(queues.of, u.db)
	}
}
