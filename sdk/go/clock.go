package tercet

import (
	"sync"
	"time"
)

// How far the wall clock may part from the monotonic one, and how long it must have kept in step before it is believed
// again.
const (
	clocksApart   = time.Minute
	clockBelieved = 24 * time.Hour
)

// wallClock watches whether the time of day goes on like time that passes. Nothing that must be right depends on it: it
// dates rows, and nothing is deleted for its age by a clock that has jumped.
type wallClock struct {
	mu sync.Mutex
	// Both at the same moment: the time of day, and time that has passed since the process began.
	wall   time.Time
	passed time.Duration

	hasParted bool
	partedAt  time.Duration
}

var (
	started = time.Now()
	clock   = &wallClock{wall: started.Round(0)}
)

// look gives the time of day, where the clocks disagree what is later, and whether it is in doubt.
func (c *wallClock) look(wall time.Time, passed time.Duration) (late time.Time, isDoubted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	late = wall
	expected := c.wall.Add(passed - c.passed)
	if apart := wall.Sub(expected); apart > clocksApart || apart < -clocksApart {
		c.wall, c.passed, c.hasParted, c.partedAt = wall, passed, true, passed
	}
	// What is kept from now on is kept long enough, whichever of the two is right.
	if expected.After(late) {
		late = expected
	}
	return late, c.hasParted && passed-c.partedAt < clockBelieved
}

func (c *wallClock) now() (late time.Time, isDoubted bool) {
	now := time.Now()
	// Sub of two times with a monotonic reading goes by that; Round takes it away.
	return c.look(now.Round(0), now.Sub(started))
}

// lateMillis is the time of day in UTC epoch milliseconds; where the clocks disagree, what is later.
func lateMillis() int64 {
	late, _ := clock.now()
	return late.UnixMilli()
}

func isClockDoubted() bool {
	_, isDoubted := clock.now()
	return isDoubted
}
