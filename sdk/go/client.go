package tercet

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// WaitFor is what a request waits for before it is answered.
type WaitFor string

// What a request may wait for.
const (
	// Finished: every branch has acknowledged the decision.
	Finished WaitFor = "finished"
	// Decided: the decision is durable; what it says will happen, whatever fails.
	Decided WaitFor = "decided"
	// Accepted: the transaction is logged.
	Accepted WaitFor = "accepted"
)

// defaultWait is the coordinator's own.
const defaultWait = 10 * time.Second

// Client speaks to a coordinator. It may be used by many goroutines at once.
//
// Every request can be repeated without harm, and is: a lost connection, a 429, 502, 503 or 504 is met with the same request again,
// up to ten times with growing pauses, for as long as the context lets it. A transaction always has a gid before it is first sent,
// so that a repeat is the same transaction.
//
// An error means that nobody knows, or that the request was refused: being cancelled is no error but an [Outcome].
type Client struct {
	http    *transport
	waitFor WaitFor
	wait    time.Duration
}

type clientSettings struct {
	// Functions, since fmt prints fields.
	token       func() string
	identity    func() []byte
	authorities [][]byte
	waitFor     WaitFor
	wait        time.Duration
}

// ClientOption says more about a [Client] than its URL does.
type ClientOption func(*clientSettings)

// WithToken gives the token by which the coordinator knows this client. It is in no error and no print. Take it from a file or a
// variable (TERCET_TOKEN is the usual one), not from a command line.
func WithToken(token string) ClientOption {
	return func(s *clientSettings) { s.token = func() string { return token } }
}

// WithCA trusts the certificates (PEM) of these authorities beside those whom the system trusts.
func WithCA(pem []byte) ClientOption {
	return func(s *clientSettings) { s.authorities = append(s.authorities, pem) }
}

// WithIdentity gives the certificate that is shown to a coordinator that asks for one, those between it and its authority, and its
// key: all PEM, in one.
func WithIdentity(pem []byte) ClientOption {
	return func(s *clientSettings) { s.identity = func() []byte { return pem } }
}

// WithWait says what begin, confirm and cancel wait for, by default that everyone has acknowledged, and how long at most (up to 60 s, by
// default 10 s). The transaction goes on when the wait runs out: the outcome is [*Pending].
func WithWait(waitFor WaitFor, atMost time.Duration) ClientOption {
	return func(s *clientSettings) { s.waitFor, s.wait = waitFor, atMost }
}

// NewClient is a client of the coordinator at this URL, such as http://127.0.0.1:7200.
func NewClient(url string, options ...ClientOption) (*Client, error) {
	settings := &clientSettings{waitFor: Finished, wait: defaultWait}
	for _, option := range options {
		option(settings)
	}
	http, err := newTransport(url, settings)
	if err != nil {
		return nil, err
	}
	return &Client{http, settings.waitFor, settings.wait}, nil
}

// Waiting is the same client with another wait; see [WithWait]. They share their connections.
func (c *Client) Waiting(waitFor WaitFor, atMost time.Duration) *Client {
	return &Client{c.http, waitFor, atMost}
}

// String says whose client it is, and nothing of the token.
func (c *Client) String() string { return "tercet.Client(" + c.http.base + ")" }

// Begin runs a transaction in one call: Tercet tries every branch, decides and finishes.
func (c *Client) Begin(ctx context.Context, transaction Transaction) (Outcome, error) {
	body, err := transaction.body(false)
	if err != nil {
		return nil, err
	}
	return c.postForOutcome(ctx, "/v1/transactions?"+c.waitQuery(), transaction.Gid, sent{body, traceparentOf(ctx, transaction.Traceparent)})
}

// SagaRun is a run of a saga that the coordinator has a definition of.
type SagaRun struct {
	// Gid names it, as it names any transaction.
	Gid string
	// Input is what it is about: the payload of each of its steps. It must fit the definition's schema. By default {}.
	Input any
	// Metadata is your own data, shown with the transaction: an object, at most 4 KiB.
	Metadata any
	// Version of the definition; 0: the newest, or of a repeat that which its gid runs with.
	Version int
	// Traceparent is the W3C trace context that the run continues; else that of [ContextWithTraceparent].
	Traceparent string
}

// RunSaga runs the saga that the coordinator knows by this name, and waits as the client waits.
func (c *Client) RunSaga(ctx context.Context, name string, run SagaRun) (Outcome, error) {
	if err := checkID(name, branchMaxLen); err != nil {
		return nil, &InvalidError{"name", err.Error()}
	}
	if err := checkID(run.Gid, gidMaxLen); err != nil {
		return nil, &InvalidError{"gid", err.Error()}
	}
	var o object
	o.field("gid", run.Gid)
	if run.Input != nil {
		o.field("input", run.Input)
	}
	if run.Metadata != nil {
		o.field("metadata", run.Metadata)
	}
	if run.Version != 0 {
		o.field("version", run.Version)
	}
	body, err := o.end()
	if err != nil {
		return nil, err
	}
	return c.postForOutcome(ctx, "/v1/sagas/"+name+"/runs?"+c.waitQuery(), run.Gid, sent{body, traceparentOf(ctx, run.Traceparent)})
}

// Get gives a transaction as it is now. No such transaction is a [*ProblemError] with the code transaction-not-found.
func (c *Client) Get(ctx context.Context, gid string) (*TransactionView, error) {
	return c.get(ctx, gid, "", 0)
}

// Outcome waits for the end of a transaction, as long as this client waits.
func (c *Client) Outcome(ctx context.Context, gid string) (Outcome, error) {
	// A read waits for a decision or an end; that the transaction is logged, it shows at once.
	query := ""
	if c.waitFor != Accepted {
		query = "?" + c.waitQuery()
	}
	view, err := c.get(ctx, gid, query, c.wait)
	if err != nil {
		return nil, err
	}
	return outcomeOf(view), nil
}

// Confirm asks for confirm of an open transaction. That it was cancelled before is no error but an outcome.
func (c *Client) Confirm(ctx context.Context, gid string) (Outcome, error) {
	return c.decide(ctx, gid, "confirm", nil)
}

// Cancel asks for cancel, saying why (at most 1 KiB). That it was confirmed before is no error but an outcome.
func (c *Client) Cancel(ctx context.Context, gid, reason string) (Outcome, error) {
	var o object
	o.textField("reason", shortened(reason, 1024))
	body, err := o.end()
	if err != nil {
		return nil, err
	}
	return c.decide(ctx, gid, "cancel", body)
}

// decide asks for a decision. Where the other one had won the transaction is asked for, and is the outcome.
func (c *Client) decide(ctx context.Context, gid, decision string, body []byte) (Outcome, error) {
	if err := checkID(gid, gidMaxLen); err != nil {
		return nil, &InvalidError{"gid", err.Error()}
	}
	outcome, err := c.postForOutcome(ctx, fmt.Sprintf("/v1/transactions/%s/%s?%s", gid, decision, c.waitQuery()), gid, sent{body, traceparentOf(ctx, "")})
	if problem, is := err.(*ProblemError); is && problem.isDecidedOtherwise() {
		return c.Outcome(ctx, gid)
	}
	return outcome, err
}

func (c *Client) get(ctx context.Context, gid, query string, wait time.Duration) (*TransactionView, error) {
	if err := checkID(gid, gidMaxLen); err != nil {
		return nil, &InvalidError{"gid", err.Error()}
	}
	answer, err := c.http.ask(ctx, http.MethodGet, "/v1/transactions/"+gid+query, gid, sent{traceparent: traceparentOf(ctx, "")}, wait)
	if err != nil {
		return nil, err
	}
	return answer.transaction(gid)
}

func (c *Client) postForOutcome(ctx context.Context, path, gid string, what sent) (Outcome, error) {
	answer, err := c.http.ask(ctx, http.MethodPost, path, gid, what, c.wait)
	if err != nil {
		return nil, err
	}
	view, err := answer.transaction(gid)
	if err != nil {
		return nil, err
	}
	return outcomeOf(view), nil
}

func (c *Client) waitQuery() string {
	return url.Values{"wait": {string(c.waitFor)}, "wait_ms": {fmt.Sprint(c.wait.Milliseconds())}}.Encode()
}

// shortened cuts a text between its letters.
func shortened(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	end := 0
	for at := range text {
		if at > bytes {
			break
		}
		end = at
	}
	return text[:end]
}
