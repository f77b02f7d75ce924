package tercet

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Between attempts with one message that alone is in trouble; while the coordinator is away, as long as it may take to notice
// that it is back; and between questions how a message stands that was handed over.
var (
	oddPause    = backoff{time.Second, time.Minute}
	awayPause   = backoff{100 * time.Millisecond, 5 * time.Second}
	followPause = backoff{time.Second, time.Minute}
)

// reasonRunes is the most of a reason that is kept.
const reasonRunes = 1000

// forgotten is why one is dead that the coordinator had.
const forgotten = "the coordinator does not know it any more: it ended long ago, or its database is not the one that had it"

// told is what a coordinator says of a message.
type told struct {
	kind toldKind
	// has it, in this status.
	status Status
	why    string
	// asked is the least pause that it asked for.
	asked time.Duration
}

type toldKind int

const (
	// toldHas: it has it.
	toldHas toldKind = iota
	// toldRefused: it will never take it.
	toldRefused
	// toldUnknown: it knows nothing of it.
	toldUnknown
	// toldOdd: something is wrong with this one alone, as far as can be told.
	toldOdd
	// toldAway: it cannot be asked now, whoever asks, or takes nothing from us.
	toldAway
)

// handOver begins it, or finds it begun; once, without a second attempt: who comes later has it in the same row.
func (c *Client) handOver(ctx context.Context, request []byte, traceparent string, patience time.Duration) told {
	if !isHeaderValue(traceparent) {
		// One that cannot be sent is worth less than the message.
		traceparent = ""
	}
	return toldBy(c.http.once(ctx, http.MethodPost, "/v1/transactions?wait=accepted&wait_ms=0", sent{request, traceparent}, patience))
}

// standing asks how it stands.
func (c *Client) standing(ctx context.Context, gid string, patience time.Duration) told {
	if checkID(gid, gidMaxLen) != nil {
		return told{kind: toldUnknown}
	}
	return toldBy(c.http.once(ctx, http.MethodGet, "/v1/transactions/"+gid, sent{}, patience))
}

func toldBy(answer *reply, failed *failed) told {
	if failed != nil {
		return told{kind: toldAway, why: failed.why, asked: failed.asked}
	}
	if answer.status >= 200 && answer.status <= 299 {
		var view struct {
			Status Status `json:"status"`
		}
		if err := answer.read(&view); err != nil || view.Status == "" {
			return told{kind: toldOdd, why: (&UnexpectedError{answer.status, excerpt(answer.body)}).Error()}
		}
		return told{kind: toldHas, status: view.Status}
	}
	problem := answer.problem()
	if problem == nil {
		// Whoever has no code to give is no coordinator, but something before it.
		return told{kind: toldAway, why: (&UnexpectedError{answer.status, excerpt(answer.body)}).Error()}
	}
	switch answer.status {
	case 400, 409, 413, 415, 422:
		return told{kind: toldRefused, why: problem.Error()}
	case 404:
		if problem.Code == "transaction-not-found" {
			return told{kind: toldUnknown}
		}
		return told{kind: toldAway, why: problem.Error()}
	case 401, 403, 405, 421:
		// The next message would be told the same: who we are, where we ask.
		return told{kind: toldAway, why: problem.Error()}
	default:
		return told{kind: toldOdd, why: problem.Error()}
	}
}

// next is what becomes of a row. Rows that become the same are written together, so it is comparable.
type next struct {
	state OutboxState
	// due is when it is to be seen to next, from now; 0 for what has ended.
	due time.Duration
	// attempts is the SQL of what becomes of their count: anew, counted, or not this one.
	attempts string
	reason   string
}

const (
	anew       = "0"
	counted    = "attempts"
	notThisOne = "attempts - 1"
)

// nextOf is what becomes of a row in from whose attempts-th attempt was told this.
func nextOf(from OutboxState, attempts int, was told) next {
	later := func(pause backoff, why string) next {
		return next{from, pause.atLeastHalf(attempts), counted, shortReason(why)}
	}
	switch was.kind {
	case toldHas:
		switch {
		case was.status == StatusConfirmed:
			return next{state: OutboxConfirmed, attempts: anew}
		case was.status == StatusCancelled:
			return next{state: OutboxCancelled, attempts: anew}
		case from == OutboxSent:
			return later(followPause, "")
		default:
			return next{OutboxSent, followPause.first, anew, ""}
		}
	case toldRefused:
		return next{state: OutboxDead, attempts: counted, reason: shortReason(was.why)}
	case toldUnknown:
		if from == OutboxSent {
			// To begin it anew may do twice what it did once: the participants' guards forget as well.
			return next{state: OutboxDead, attempts: counted, reason: forgotten}
		}
		return later(oddPause, "not found")
	case toldOdd:
		return later(oddPause, was.why)
	default:
		return later(awayPause, was.why)
	}
}

// shortReason is at most what is kept; U+0000 is in no text of PostgreSQL.
func shortReason(why string) string {
	why = strings.ReplaceAll(strings.ToValidUTF8(why, "\ufffd"), "\x00", "\ufffd")
	runes := []rune(why)
	return string(runes[:min(len(runes), reasonRunes)])
}
