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
	mu       sync.Mutex
	base     time.Time
	partedAt time.Time
}

var clock = &wallClock{base: time.Now()}

// look gives the time of day and whether it is in doubt.
func (c *wallClock) look(now time.Time) (late time.Time, isDoubted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Sub of times that both have a monotonic reading goes by that; Round takes it away.
	passed, shown := now.Sub(c.base), now.Round(0).Sub(c.base.Round(0))
	expected := c.base.Round(0).Add(passed)
	if apart := shown - passed; apart > clocksApart || apart < -clocksApart {
		c.base, c.partedAt = now, now
	}
	isDoubted = !c.partedAt.IsZero() && now.Sub(c.partedAt) < clockBelieved
	// What is kept from now on is kept long enough, whichever of the two is right.
	if expected.After(now) {
		return expected, isDoubted
	}
	return now, isDoubted
}

// lateMillis is the time of day in UTC epoch milliseconds; where the clocks disagree, what is later.
func lateMillis() int64 {
	late, _ := clock.look(time.Now())
	return late.UnixMilli()
}

func isClockDoubted() bool {
	_, isDoubted := clock.look(time.Now())
	return isDoubted
}
