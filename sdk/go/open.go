package tercet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// leavePatience is how long a cancel may take of one who leaves without a decision, also when their own context has ended. If it
// does not get through, the deadline cancels.
const leavePatience = 10 * time.Second

// OpenTransaction is a transaction whose branches are registered while it runs, and whose initiator asks for the decision. It may
// be used by many goroutines at once.
type OpenTransaction struct {
	client      *Client
	gid         string
	traceparent string

	mu sync.Mutex
	// life is known from the beginning to whoever began it, asked for by whoever took it up.
	life *life
	// asked: confirm or cancel was asked for, and nobody said no to the question itself.
	asked   bool
	outcome Outcome
}

// life is what a Try says of its transaction beside the gid.
type life struct {
	instance string
	deadline time.Time
}

// Open begins an open transaction. Close it, whatever happens:
//
//	open, err := client.Open(ctx, tercet.Transaction{Gid: "ride-17"})
//	if err != nil { return err }
//	defer open.Close(ctx)
//
// If this process dies first, the deadline cancels it, or whoever Check leads to is asked.
func (c *Client) Open(ctx context.Context, transaction Transaction) (*OpenTransaction, error) {
	body, err := transaction.body(true)
	if err != nil {
		return nil, err
	}
	traceparent := traceparentOf(ctx, transaction.Traceparent)
	answer, err := c.http.ask(ctx, http.MethodPost, "/v1/transactions", transaction.Gid, sent{body, traceparent}, c.wait)
	if err != nil {
		return nil, err
	}
	view, err := answer.transaction(transaction.Gid)
	if err != nil {
		return nil, err
	}
	life := &life{view.Instance, view.DeadlineAt}
	return &OpenTransaction{client: c, gid: view.Gid, traceparent: traceparent, life: life}, nil
}

// Resume takes up an open transaction that was begun before, here or elsewhere. Nothing is asked yet.
func (c *Client) Resume(gid string) *OpenTransaction {
	return &OpenTransaction{client: c, gid: gid}
}

// Run opens a transaction, hands it to fn, and gives the outcome of the decision that fn asks for:
//
//	ride, err := tercet.Success(client.Run(ctx, tercet.Transaction{Gid: "ride-17"},
//		func(ctx context.Context, open *tercet.OpenTransaction) error {
//			if _, err := open.Register(ctx, seat); err != nil { return err }
//			_, err := open.Confirm(ctx)
//			return err
//		}))
//
// If fn gives an error or panics the transaction is cancelled with that as reason, and the error is given. If it asks for no
// decision it is cancelled as well, and the outcome says so.
func (c *Client) Run(ctx context.Context, transaction Transaction, fn func(ctx context.Context, open *OpenTransaction) error) (Outcome, error) {
	open, err := c.Open(ctx, transaction)
	if err != nil {
		return nil, err
	}
	returned := false
	defer func() {
		if !returned {
			_ = open.leave(ctx, "the initiator broke off")
		}
	}()
	err = fn(ctx, open)
	returned = true
	reason := "left without a decision"
	if err != nil {
		reason = err.Error()
	}
	left := open.leave(ctx, reason)
	open.mu.Lock()
	defer open.mu.Unlock()
	if err = errors.Join(err, left); err != nil {
		return open.outcome, err
	}
	return open.outcome, nil
}

// Gid is the transaction's.
func (o *OpenTransaction) Gid() string { return o.gid }

// Close cancels the transaction unless confirm or cancel was asked for. It does so also when the context has ended.
func (o *OpenTransaction) Close(ctx context.Context) error {
	return o.leave(ctx, "left without a decision")
}

func (o *OpenTransaction) leave(ctx context.Context, reason string) error {
	o.mu.Lock()
	asked := o.asked
	o.mu.Unlock()
	if asked {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leavePatience)
	defer cancel()
	_, err := o.Cancel(ctx, reason)
	return err
}

// Register adds a branch and waits for its Try, which the coordinator calls. Unless it was done the error is a
// [*BranchRefusedError], and the transaction is being cancelled already, or a [*BranchPendingError].
func (o *OpenTransaction) Register(ctx context.Context, branch Branch) (*BranchView, error) {
	body, err := branch.body()
	if err != nil {
		return nil, err
	}
	view, err := o.register(ctx, "tried", body)
	if err != nil {
		return nil, err
	}
	return view, triedOrNot(view)
}

// RegisterAll adds several branches at once, 1 to 64: all or none, in one request. It waits until all are tried or one is refused, and
// answers in their order; the error is that of the first that was not done. In a saga each comes after the one before it, unless
// it says After. A repeat must have the same branches.
func (o *OpenTransaction) RegisterAll(ctx context.Context, branches ...Branch) ([]BranchView, error) {
	body, err := branchesBody(branches)
	if err != nil {
		return nil, err
	}
	answer, err := o.send(ctx, "tried", body)
	if err != nil {
		return nil, err
	}
	var views struct {
		Branches []BranchView `json:"branches"`
	}
	if err := answer.read(&views); err != nil {
		return nil, err
	}
	if len(views.Branches) != len(branches) {
		return nil, &UnexpectedError{answer.status, excerpt(answer.body)}
	}
	// A refusal says more than a branch that waits.
	var pending error
	for i := range views.Branches {
		switch err := triedOrNot(&views.Branches[i]).(type) {
		case nil:
		case *BranchPendingError:
			if pending == nil {
				pending = err
			}
		default:
			return views.Branches, err
		}
	}
	return views.Branches, pending
}

// RegisterOwnTry adds a branch whose Try you call yourself, because you need what it answers, or because a service of yours calls
// it anyway. Once this returns, the branch is on disk: whatever becomes of you, it gets its Confirm or Cancel. Now call its
// Try, with [OwnTry.Headers] and the branch's payload as body, until [OwnTry.Verdict] settles it; ask for confirm only if all such
// Tries were done. Whatever the error, do not call Try: nobody would release it.
//
// The branch may name its three legs by Endpoint; Try is then kept from the coordinator and given back as URL.
func (o *OpenTransaction) RegisterOwnTry(ctx context.Context, branch Branch) (*OwnTry, error) {
	if branch.Endpoint != "" {
		// As the coordinator reads an endpoint.
		base := trimSlash(branch.Endpoint)
		branch.Endpoint, branch.Try, branch.Confirm, branch.Cancel = "", base+"/try", base+"/confirm", base+"/cancel"
	}
	if branch.Confirm == "" && branch.Cancel == "" {
		return nil, &InvalidError{"branch " + branch.ID, "one whose Try you call yourself needs a Confirm or a Cancel"}
	}
	url := branch.Try
	branch.Try, branch.tryByInitiator = "", true
	body, err := branch.body()
	if err != nil {
		return nil, err
	}
	registered, err := o.register(ctx, "accepted", body)
	if err != nil {
		return nil, err
	}
	life, err := o.lifeOf(ctx)
	if err != nil {
		return nil, err
	}
	call := Call{
		Gid: o.gid, Branch: registered.ID, Instance: life.instance, Op: Try, Legs: branch.legs(),
		Attempt: 1, Deadline: life.deadline, Traceparent: traceparentOf(ctx, o.traceparent),
	}
	return &OwnTry{URL: url, Call: call}, nil
}

func trimSlash(endpoint string) string {
	if n := len(endpoint); n > 0 && endpoint[n-1] == '/' {
		return endpoint[:n-1]
	}
	return endpoint
}

func (o *OpenTransaction) lifeOf(ctx context.Context) (*life, error) {
	o.mu.Lock()
	known := o.life
	o.mu.Unlock()
	if known != nil {
		return known, nil
	}
	view, err := o.client.Get(ctx, o.gid)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.life = &life{view.Instance, view.DeadlineAt}
	return o.life, nil
}

// Confirm asks for confirm. That it was cancelled before is no error but an outcome. While a Try is unanswered it is a
// [*ProblemError] with the code tries-outstanding.
func (o *OpenTransaction) Confirm(ctx context.Context) (Outcome, error) {
	return o.noted(o.client.Confirm(ctx, o.gid))
}

// Cancel asks for cancel, saying why (at most 1 KiB). That it was confirmed before is no error but an outcome.
func (o *OpenTransaction) Cancel(ctx context.Context, reason string) (Outcome, error) {
	return o.noted(o.client.Cancel(ctx, o.gid, reason))
}

// noted keeps in mind that a decision was asked for: by an outcome, and where no answer came, since it may have been taken. What the
// coordinator clearly refused leaves everything as it was.
func (o *OpenTransaction) noted(outcome Outcome, err error) (Outcome, error) {
	var problem *ProblemError
	var invalid *InvalidError
	o.mu.Lock()
	defer o.mu.Unlock()
	if !errors.As(err, &problem) && !errors.As(err, &invalid) {
		o.asked = true
	}
	if err == nil {
		o.outcome = outcome
	}
	return outcome, err
}

func (o *OpenTransaction) register(ctx context.Context, waitFor string, body []byte) (*BranchView, error) {
	answer, err := o.send(ctx, waitFor, body)
	if err != nil {
		return nil, err
	}
	var view BranchView
	if err := answer.read(&view); err != nil {
		return nil, err
	}
	if view.ID == "" || view.Status == "" {
		return nil, &UnexpectedError{answer.status, excerpt(answer.body)}
	}
	return &view, nil
}

func (o *OpenTransaction) send(ctx context.Context, waitFor string, body []byte) (*reply, error) {
	if err := checkID(o.gid, gidMaxLen); err != nil {
		return nil, &InvalidError{"gid", err.Error()}
	}
	wait := o.client.wait
	path := fmt.Sprintf("/v1/transactions/%s/branches?wait=%s&wait_ms=%d", o.gid, waitFor, wait.Milliseconds())
	what := sent{json.RawMessage(body), traceparentOf(ctx, o.traceparent)}
	return o.client.http.ask(ctx, http.MethodPost, path, o.gid, what, wait)
}

// triedOrNot is nil if the Try of a branch was done, or it has none.
func triedOrNot(branch *BranchView) error {
	switch branch.Status {
	case BranchTried, BranchConfirmed:
		return nil
	case BranchRefused, BranchCancelled, BranchSkipped:
		return &BranchRefusedError{*branch}
	default:
		return &BranchPendingError{*branch}
	}
}

// OwnTry is a registered branch whose Try the initiator is to call.
type OwnTry struct {
	// URL is where it goes, if the branch was registered with an Endpoint or a Try.
	URL string
	// Call is what the call says: gid, branch, instance, attempt, deadline, trace.
	Call Call
}

// Headers are those of the call. The participant cannot tell it from one of the coordinator's.
func (t *OwnTry) Headers() http.Header { return t.Call.headers() }

// SignedHeaders are the same, signed for a participant that lets through what is signed alone (whsec_…). The body is the call's, to the
// byte; make the call within five minutes, and sign each attempt anew.
func (t *OwnTry) SignedHeaders(secret string, body []byte) (http.Header, error) {
	key, err := parseSecret(secret)
	if err != nil {
		return nil, err
	}
	header := t.Headers()
	sign(header, key, t.Call.Op, body, time.Now())
	return header, nil
}

// CallAgain has the next call be another attempt of the same Try. Its body must be the same.
func (t *OwnTry) CallAgain() { t.Call.Attempt++ }

// Verdict says what an answer means, as the coordinator would read it, and the least pause before another call. Status 0 is no answer at
// all: it may have been done, so call again. Only [Done] allows a confirm; after [Refused], or when you give up, ask for cancel.
func (t *OwnTry) Verdict(status int, header http.Header) (Verdict, time.Duration) {
	return VerdictOf(Try, status, header)
}
