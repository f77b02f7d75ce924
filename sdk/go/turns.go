package tercet

import (
	"context"
	"sync"
	"time"
)

// turnPatience is how long a call waits for another call of its branch before it answers "in progress".
const turnPatience = 500 * time.Millisecond

// turns lets one call of a branch at a time through, within this process.
//
// The database would keep calls of one branch apart by itself; waiting here instead costs no connection, so that repeats of
// a slow call cannot use up the pool.
type turns struct {
	mu    sync.Mutex
	lines map[branchKey]*line
}

type branchKey struct{ gid, branch string }

// line is those who hold or wait for a branch's turn. When its length falls to zero it goes, so that there are lines of calls
// under way and no more.
type line struct {
	turn   chan struct{}
	length int
}

// take waits for the branch's turn, at most patience; without a function to end it the turn did not come.
func (t *turns) take(ctx context.Context, key branchKey, patience time.Duration) (end func(), taken bool) {
	t.mu.Lock()
	if t.lines == nil {
		t.lines = map[branchKey]*line{}
	}
	mine := t.lines[key]
	if mine == nil {
		mine = &line{turn: make(chan struct{}, 1)}
		t.lines[key] = mine
	}
	mine.length++
	t.mu.Unlock()

	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case mine.turn <- struct{}{}:
		return sync.OnceFunc(func() {
			<-mine.turn
			t.leave(key, mine)
		}), true
	case <-timer.C:
	case <-ctx.Done():
	}
	t.leave(key, mine)
	return nil, false
}

func (t *turns) leave(key branchKey, mine *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if mine.length--; mine.length == 0 {
		delete(t.lines, key)
	}
}
