package tercet

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Refusal is a clear no: no stock, no money, no such account. A Try that is refused cancels the transaction,
// and code and detail reach its initiator. A Confirm or Cancel has no right to refuse: it is called again, and people
// are told.
type Refusal struct {
	// Code says why, for programs: a short word such as "out-of-stock".
	Code string
	// Detail says why, for people.
	Detail string
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Detail }

// Refuse is what business code returns to refuse for good (409).
func Refuse(code, detail string) error { return &Refusal{Code: code, Detail: detail} }

// Retry is what business code returns to be called again, after a pause at least (503 with Retry-After). Any other error
// is called again as well.
type Retry struct {
	// After is the least pause before the next call.
	After time.Duration
	// Err is what went wrong. It is logged, and never told to the caller.
	Err error
}

func (r *Retry) Error() string {
	if r.Err == nil {
		return fmt.Sprintf("to be called again after %s", r.After)
	}
	return r.Err.Error()
}

// Unwrap gives what went wrong.
func (r *Retry) Unwrap() error { return r.Err }

// RetryAfter asks to be called again after this pause at least. What went wrong is logged, and may be nil.
func RetryAfter(pause time.Duration, err error) error { return &Retry{After: pause, Err: err} }

// invalidPayload is a payload that is not what the business code reads.
type invalidPayload struct{ err error }

func (e *invalidPayload) Error() string { return "the payload cannot be read: " + reason(e.err) }

// errBusy: no connection, or on SQLite no place in the queue of writers, was to be had.
var errBusy = errors.New("others were using the database for as long as a call may wait")

// errInProgress: another call of the branch is being worked on elsewhere, or others kept getting in the way.
var errInProgress = errors.New("others were writing for as long as a call may wait")

// reason says what is wrong with a JSON text, in words that name nothing of this program but the fields that it reads.
func reason(err error) string {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	var validation *validationError
	switch {
	case errors.As(err, &validation):
		return validation.Error()
	case errors.As(err, &mismatch):
		if mismatch.Field == "" {
			return "it must not be a " + mismatch.Value
		}
		return fmt.Sprintf("%s must not be a %s", mismatch.Field, mismatch.Value)
	case errors.As(err, &syntax):
		return fmt.Sprintf("it is no JSON at byte %d", syntax.Offset)
	default:
		return "it is not as expected"
	}
}
