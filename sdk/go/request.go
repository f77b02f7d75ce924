package tercet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"time"
)

// Transaction is one to be begun. A field that is not set is not sent: the coordinator's default counts.
type Transaction struct {
	// Gid names it: 1 to 128 of [A-Za-z0-9._:-], beginning with a letter or digit. Take one that belongs to the business
	// deed ("order-1001"), and a repeat of the deed is the same transaction even after this process has died. Where there is
	// none, [NewGid] makes one; an empty gid is refused, since it would be another transaction each time.
	Gid string
	// Branches are its participants' parts in it.
	Branches []Branch
	// Saga makes branches steps, each tried once those before it are, and cancelled once those after it are.
	Saga bool
	// Check is, for an open transaction, the URL at which the initiator is asked at the deadline what became of it, instead of
	// being cancelled.
	Check string
	// Timeout is how long it may stay undecided: 100 ms to 24 h, by default 30 s; a saga to 30 days, by default an hour; with a
	// check to 30 days.
	Timeout time.Duration
	// Metadata is your own data, shown with the transaction: an object, at most 4 KiB.
	Metadata any
	// Traceparent is the W3C trace context that the transaction continues; else that of [ContextWithTraceparent].
	Traceparent string
}

// Branch is one participant's part in a transaction. A field that is not set is not sent.
type Branch struct {
	// ID is unique in its transaction: 1 to 64 of [A-Za-z0-9._:-].
	ID string
	// Endpoint is short for all three legs: {Endpoint}/try, /confirm and /cancel.
	Endpoint string
	// Try, Confirm and Cancel are the URLs of one leg each. A saga's action and compensate are its Try and Cancel.
	Try, Confirm, Cancel string
	// Payload is the body of each of its calls, the same to the byte for all of them; by default {}. A json.RawMessage is sent
	// to the byte, anything else as encoding/json writes it.
	Payload any
	// Headers go with each of its calls. The coordinator treats their values as secrets.
	Headers map[string]string
	// Timeout is how long one call may take: 10 ms to 10 min, by default 3 s.
	Timeout time.Duration
	// After, in a saga, are the branches that come before it; none (a list of length 0): it is called at once. Nil: it comes after
	// the branch before it.
	After []string
	// TryAttempts is how often its Try may fail before the transaction is cancelled, 0 to 1000; 0: until the deadline. See
	// [Attempts].
	TryAttempts *int
	// Results has its calls bring what the Tries before it were answered with, and in Confirm and Cancel its own: see
	// [Call.Result].
	Results bool
	// ConfirmAfter makes it a delayed message: its Confirm is not called before this long after the decision; at most 30 days.
	ConfirmAfter time.Duration

	tryByInitiator bool
}

// Attempts is a number for [Branch].TryAttempts.
func Attempts(n int) *int { return &n }

// object writes a JSON object field by field, so that what is JSON already stays the same to the byte.
type object struct {
	text bytes.Buffer
	err  error
}

func (o *object) raw(name string, value []byte) {
	before := byte('{')
	if o.text.Len() > 0 {
		before = ','
	}
	o.text.WriteByte(before)
	// The names are ours.
	fmt.Fprintf(&o.text, "%q:", name)
	o.text.Write(value)
}

func (o *object) field(name string, value any) {
	text, err := encode(value)
	if err != nil {
		if o.err == nil {
			o.err = &InvalidError{name, "cannot be written as JSON: " + err.Error()}
		}
		return
	}
	o.raw(name, text)
}

func (o *object) textField(name, value string) {
	if value != "" {
		o.field(name, value)
	}
}

func (o *object) millis(name string, time time.Duration) {
	if time != 0 {
		o.field(name, time.Milliseconds())
	}
}

func (o *object) end() ([]byte, error) {
	if o.text.Len() == 0 {
		return []byte("{}"), o.err
	}
	o.text.WriteByte('}')
	return o.text.Bytes(), o.err
}

func (t *Transaction) body(open bool) ([]byte, error) {
	if err := checkID(t.Gid, gidMaxLen); err != nil {
		return nil, &InvalidError{"gid", err.Error()}
	}
	var o object
	o.field("gid", t.Gid)
	if t.Saga {
		o.field("pattern", "saga")
	}
	if open {
		o.field("open", true)
	}
	o.textField("check", t.Check)
	o.millis("timeout_ms", t.Timeout)
	if t.Metadata != nil {
		o.field("metadata", t.Metadata)
	}
	if len(t.Branches) > 0 {
		branches, err := branchesBody(t.Branches)
		if err != nil {
			return nil, err
		}
		o.raw("branches", branches)
	}
	return o.end()
}

func branchesBody(branches []Branch) ([]byte, error) {
	text := []byte{'['}
	for i := range branches {
		one, err := branches[i].body()
		if err != nil {
			return nil, err
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, one...)
	}
	return append(text, ']'), nil
}

func (b *Branch) body() ([]byte, error) {
	var o object
	o.textField("id", b.ID)
	o.textField("endpoint", b.Endpoint)
	o.textField("try", b.Try)
	o.textField("confirm", b.Confirm)
	o.textField("cancel", b.Cancel)
	if b.Payload != nil {
		o.field("payload", b.Payload)
	}
	if len(b.Headers) > 0 {
		o.raw("headers", headersBody(b.Headers))
	}
	o.millis("timeout_ms", b.Timeout)
	if b.tryByInitiator {
		o.field("try_by", "initiator")
	}
	if b.After != nil {
		o.field("after", b.After)
	}
	if b.TryAttempts != nil {
		o.field("try_attempts", *b.TryAttempts)
	}
	if b.Results {
		o.field("results", true)
	}
	o.millis("confirm_after_ms", b.ConfirmAfter)
	text, err := o.end()
	if err != nil {
		return nil, fmt.Errorf("branch %s: %w", b.ID, err)
	}
	return text, nil
}

// headersBody writes them in the order of their names, so that repeats are the same to the byte.
func headersBody(headers map[string]string) []byte {
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	sort.Strings(names)
	text := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			text = append(text, ',')
		}
		key, _ := json.Marshal(name)
		value, _ := json.Marshal(headers[name])
		text = append(append(append(text, key...), ':'), value...)
	}
	return append(text, '}')
}

// legs are those that it has, as the coordinator counts them: also a Try that the initiator calls.
func (b *Branch) legs() Legs {
	all := b.Endpoint != ""
	return Legs{all || b.Try != "" || b.tryByInitiator, all || b.Confirm != "", all || b.Cancel != ""}
}
