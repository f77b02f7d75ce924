package tercet

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff gives pauses that grow up to a cap, with full jitter.
type backoff struct{ first, cap time.Duration }

// pause is that after the failures-th failure in a row, from 1; asked is the least.
func (b backoff) pause(failures int, asked time.Duration) time.Duration {
	return max(rand.N(b.step(failures)+1), asked)
}

// atLeastHalf is likewise, and never less than half of what it may be.
func (b backoff) atLeastHalf(failures int) time.Duration {
	step := b.step(failures)
	return step/2 + rand.N(step/2+1)
}

func (b backoff) step(failures int) time.Duration {
	doublings := min(max(failures-1, 0), 16)
	return min(b.first<<doublings, b.cap)
}

// sleep waits, or ends with the context.
func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
