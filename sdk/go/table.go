package tercet

import (
	"net/http"
	"time"
)

// lateTryMargin is how long past its deadline a Try is turned away although nothing is recorded of its branch: a second
// line of defence, for a Try so late that the row of its Cancel has been purged. It is generous, since it compares the
// clocks of two machines.
const lateTryMargin = time.Hour

// state is what a participant has done for a branch, as it is stored and answered.
type state string

const (
	tried     state = "tried"
	confirmed state = "confirmed"
	cancelled state = "cancelled"
)

// stateAfter is the state that a call leaves behind once it was done.
func stateAfter(op Op) state {
	switch op {
	case Try:
		return tried
	case Confirm:
		return confirmed
	default:
		return cancelled
	}
}

// recorded is the guard's row of a branch.
type recorded struct {
	instance string
	state    state
}

// arrival is what of a call the rule looks at.
type arrival struct {
	op       Op
	legs     Legs
	instance string
	// longPast: a Try that comes more than lateTryMargin after its deadline.
	longPast bool
}

func isLongPast(deadline, now time.Time) bool {
	return !deadline.IsZero() && now.Sub(deadline) > lateTryMargin
}

type action int

const (
	// run the business code and record that the call was done.
	run action = iota
	// record the call as done without running anything: the empty Cancel.
	record
	// repeat: it was done before, so say so and run nothing.
	repeat
	// refuse: it must not be done.
	refuse
)

// contradiction says why a call must not be done.
type contradiction struct {
	status       int
	code, detail string
	// alarming: it can only come from a fault on some side, so that people should be told.
	alarming bool
}

func (c *contradiction) Error() string { return c.detail }

var (
	hangingTry = &contradiction{http.StatusConflict, "branch-cancelled",
		"this branch was cancelled before its Try arrived", false}
	lateTry = &contradiction{http.StatusConflict, "deadline-passed",
		"by this machine's clock the Try comes more than an hour after its deadline", false}
	neverTried = &contradiction{http.StatusGone, "branch-not-tried",
		"this branch was never tried here, so there is nothing to confirm", true}
	confirmAfterCancel = &contradiction{http.StatusGone, "branch-cancelled",
		"this branch was cancelled, so there is nothing to confirm", true}
	cancelAfterConfirm = &contradiction{http.StatusConflict, "branch-confirmed",
		"this branch was confirmed and cannot be cancelled", true}
	tryOfAnother = &contradiction{http.StatusConflict, "another-instance",
		"another transaction has used this gid and branch before", true}
	decisionOfAnother = &contradiction{http.StatusGone, "another-instance",
		"another transaction has used this gid and branch before", true}
)

// decide is the guard's rule: what a call does, given what is recorded of its branch.
//
//	arrives | nothing recorded                | tried | confirmed | cancelled       | another instance
//	Try     | run; an hour past: refuse       | repeat| repeat    | refuse: hanging | refuse
//	Confirm | run if there is no Try; gone    | run   | repeat    | gone            | gone
//	Cancel  | record, not run: the empty one  | run   | refuse    | repeat          | gone
func decide(found *recorded, call arrival) (action, *contradiction) {
	if found == nil {
		switch {
		case call.op == Cancel:
			return record, nil
		case call.op == Try && call.longPast:
			return refuse, lateTry
		case call.op == Confirm && call.legs.Has(Try):
			return refuse, neverTried
		default:
			return run, nil
		}
	}
	if found.instance != call.instance {
		if call.op == Try {
			return refuse, tryOfAnother
		}
		return refuse, decisionOfAnother
	}
	switch call.op {
	case Try:
		if found.state == cancelled {
			return refuse, hangingTry
		}
		return repeat, nil
	case Confirm:
		switch found.state {
		case tried:
			return run, nil
		case confirmed:
			return repeat, nil
		default:
			return refuse, confirmAfterCancel
		}
	default:
		switch found.state {
		case tried:
			return run, nil
		case cancelled:
			return repeat, nil
		default:
			return refuse, cancelAfterConfirm
		}
	}
}
