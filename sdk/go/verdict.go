package tercet

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What a participant may ask for with Retry-After, and the pause after "in progress" that asks for none.
const (
	retryAfterMin   = 100 * time.Millisecond
	retryAfterMax   = time.Minute
	inProgressPause = time.Second
)

// Verdict is what a participant's answer means.
type Verdict string

// What an answer means to whoever called.
const (
	// Done: the participant has done what it was asked.
	Done Verdict = "done"
	// Refused: a Try that will never succeed.
	Refused Verdict = "refused"
	// InProgress: the participant is at it; ask again. It uses up no attempt.
	InProgress Verdict = "in-progress"
	// Again: it failed, or nobody knows; call again.
	Again Verdict = "again"
)

// VerdictOf reads a participant's answer as the coordinator does; status 0 is none at all. The pause is the least before the
// next call, where the answer asks for one. It is for an initiator that calls a Try itself.
func VerdictOf(op Op, status int, header http.Header) (verdict Verdict, pause time.Duration) {
	asked, isAsked := parseRetryAfter(header.Get(headerRetryAfter), time.Now())
	if isAsked {
		asked = min(max(asked, retryAfterMin), retryAfterMax)
	}
	wrong := Again
	if op == Try {
		wrong = Refused
	}
	switch {
	case status == http.StatusAccepted:
		if !isAsked {
			asked = inProgressPause
		}
		return InProgress, asked
	case status >= 200 && status <= 299:
		return Done, 0
	case status == http.StatusConflict && isAsked:
		return InProgress, asked
	case status == http.StatusGone && op == Cancel:
		return Done, 0
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		return Again, asked
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly:
		return Again, 0
	case status >= 400 && status <= 499:
		return wrong, 0
	default:
		// 1xx, 3xx, 5xx, and none at all: nobody knows.
		return Again, 0
	}
}

// parseRetryAfter reads Retry-After (RFC 9110, 10.2.3): seconds, or a date. A date in the past asks for no wait.
func parseRetryAfter(text string, now time.Time) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	if isDigits(text) {
		// More seconds than fit is still a request to wait very long.
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			seconds = 1<<31 - 1
		}
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return max(at.Sub(now), 0), true
}

func isDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
}
