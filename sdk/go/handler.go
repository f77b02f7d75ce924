package tercet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"runtime/debug"
	"time"
)

const (
	// bodyLimit is more than the coordinator accepts as a payload and as results, written as JSON, and less than would hurt.
	bodyLimit = 2 * 1024 * 1024
	// queuePatience is how long a call may wait to begin before its caller is told that it is in progress: much less than
	// callers wait for an answer, since silence would count as a failure.
	queuePatience = time.Second
)

// Participant is what a service does for a branch whose payload is a P. Each function runs inside one SQL transaction of the
// service's own database, in which the guard has already written that the call was done. Do all writing through tx, and leave
// commit and rollback to the guard: then the change and the guard's row are durable together or not at all, and each
// function is run at most once to its end for a branch, however often, late or out of order the calls arrive.
//
// A function may be run again after it failed or its transaction was rolled back, so what cannot be rolled back (a mail, a call
// to another service) does not belong in it. It refuses by [Refuse]; any other error is called again, logged, and told to nobody.
// Pass on what the database says, since a deadlock is tried again at once.
//
// A function that is missing does nothing. A payload that is no P is answered 400; one with a method Validate() error is asked.
// Numbers that are read into an any are json.Number.
type Participant[P any] struct {
	// Try reserves, so that Confirm cannot fail for want of anything.
	Try func(ctx context.Context, tx *sql.Tx, call *Call, payload P) error
	// Confirm takes what was reserved. It has no right to refuse.
	Confirm func(ctx context.Context, tx *sql.Tx, call *Call, payload P) error
	// Cancel releases what was reserved. It is run only if Try was, unless CancelsEmpty asks for more.
	Cancel func(ctx context.Context, tx *sql.Tx, call *Call, payload P) error
	// CancelsEmpty has Cancel run also where no Try was recorded, with call.Empty set. Say so if Try has effects outside of this
	// database (a hold on a card, say): it may have had them and then failed before it was recorded, and only Cancel can
	// find out. It is still run once at most, and no Try gets in after it.
	CancelsEmpty bool
}

func (p *Participant[P]) cancelsEmpty() bool { return p.CancelsEmpty }

func (p *Participant[P]) run(ctx context.Context, tx *sql.Tx, call *Call, text []byte) error {
	payload, err := readPayload[P](text)
	if err != nil {
		return err
	}
	does := map[Op]func(context.Context, *sql.Tx, *Call, P) error{Try: p.Try, Confirm: p.Confirm, Cancel: p.Cancel}[call.Op]
	if does == nil {
		return nil
	}
	return does(ctx, tx, call, payload)
}

// endpoint serves the URLs of a participant.
type endpoint struct {
	guard *Guard
	todo  business
}

// NewHandler serves the three calls of a participant, POST …/try, …/confirm and …/cancel, and GET …/branches, the guard's rows for
// whoever compares books (tercet reconcile). Mount it under the path that branches give as their endpoint:
//
//	mux.Handle("/payment/", tercet.NewHandler(guard, payment))
//
// It goes by the last part of the path alone, so that it may be mounted anywhere, with or without [http.StripPrefix].
//
// A call goes on when its caller hangs up, so that the next one finds it done. Likewise one that has to wait for its turn to
// write, on SQLite: its caller is answered 202 after a second, and it keeps its place.
func NewHandler[P any](guard *Guard, participant Participant[P]) http.Handler {
	return &endpoint{guard, &participant}
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	last := path.Base(r.URL.Path)
	if last == "branches" {
		if allows(w, r, http.MethodGet, http.MethodHead) {
			e.books(r).write(w)
		}
		return
	}
	op, err := parseOp(last)
	if err != nil {
		problemResponse(http.StatusNotFound, "not-found", "there are try, confirm, cancel and branches here").write(w)
		return
	}
	if !allows(w, r, http.MethodPost) {
		return
	}
	body, refusal := readBody(w, r, bodyLimit)
	if refusal != nil {
		refusal.write(w)
		return
	}
	e.call(r.Context(), op, r.Header, body).write(w)
}

// allows answers 405 to what is asked in another way.
func allows(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, method := range methods {
		if r.Method == method {
			return true
		}
	}
	w.Header().Set("Allow", methods[0])
	problemResponse(http.StatusMethodNotAllowed, "method-not-allowed", "ask by "+methods[0]).write(w)
	return false
}

// readBody reads a body within a bound.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *response) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err == nil {
		return body, nil
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		answer := problemResponse(http.StatusRequestEntityTooLarge, "payload-too-large", fmt.Sprintf("the body is over %d bytes", limit))
		return nil, &answer
	}
	// Half a body is no call. Whoever sent it may send it whole.
	answer := problemResponse(http.StatusServiceUnavailable, "failed", "the body broke off; call again")
	return nil, &answer
}

func (e *endpoint) call(ctx context.Context, op Op, header http.Header, body []byte) response {
	call, payload, err := readCall(op, header, body)
	if err != nil {
		e.guard.log().Warn("a call cannot be read", "op", string(op), "error", err)
		return problemResponse(http.StatusBadRequest, "invalid-call", err.Error())
	}
	patience := time.NewTimer(queuePatience)
	defer patience.Stop()
	end, taken := e.guard.turns.take(ctx, branchKey{call.Gid, call.Branch}, turnPatience)
	if !taken {
		return inProgressResponse()
	}
	// In a goroutine of its own: the caller's hanging up ends its context, not the call.
	ctx = ContextWithTraceparent(context.WithoutCancel(ctx), call.Traceparent)
	begun, answered := make(chan struct{}), make(chan response, 1)
	go func() {
		defer end()
		answered <- e.answer(ctx, call, payload, func() {
			select {
			case <-begun:
			default:
				close(begun)
			}
		})
	}()
	select {
	case answer := <-answered:
		return answer
	case <-begun:
		return <-answered
	case <-patience.C:
		return inProgressResponse()
	}
}

// answer runs a call. A panic in business code becomes an answer.
func (e *endpoint) answer(ctx context.Context, call *Call, payload []byte, begun func()) (answer response) {
	defer func() {
		if panicked := recover(); panicked != nil {
			e.guard.log().Error("a call broke off", "gid", call.Gid, "branch", call.Branch, "op", string(call.Op),
				"panic", panicked, "stack", string(debug.Stack()))
			answer = failedResponse()
		}
	}()
	done, err := e.guard.answer(ctx, call, payload, e.todo, begun)
	if err != nil {
		return notDoneResponse(e.guard.log(), call, err)
	}
	return doneResponse(done)
}
