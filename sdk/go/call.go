package tercet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Call is what the business code and the guard know of the call they answer.
type Call struct {
	// Gid is the global transaction.
	Gid string
	// Branch is this participant's part of it.
	Branch string
	// Instance says which life of the gid it is. A gid that is used again after its retention is another
	// transaction.
	Instance string
	// Op is Try, Confirm or Cancel.
	Op Op
	// Legs are the calls that this branch has.
	Legs Legs
	// Attempt is 1, 2, …: a hint for people, since it may repeat after the coordinator restarts.
	Attempt int
	// Deadline is when an unanswered Try is given up, UTC. Zero on Confirm and Cancel.
	Deadline time.Time
	// Traceparent is the W3C trace context, to be passed on to whatever is called from here. The context that
	// business code is given carries it into transactions that a Client begins with it.
	Traceparent string
	// Empty says that this is a Cancel of whose branch no Try was recorded here. It is run only for a participant
	// that asks for it ([Participant].CancelsEmpty).
	Empty bool

	results   map[string]json.RawMessage
	answer    []byte
	answerErr error
}

// badHeader is a header that every call carries and that is missing or cannot be read.
type badHeader struct{ name, what string }

func (e *badHeader) Error() string { return "header " + strings.ToLower(e.name) + ": " + e.what }

// readCall reads a call to op's URL: its headers, and what is in its body. The payload is a part of the body,
// to the byte, where the call brings results; else it is the body.
func readCall(op Op, header http.Header, body []byte) (*Call, []byte, error) {
	call, err := readHeaders(op, header)
	if err != nil {
		return nil, nil, err
	}
	results, payload, err := readResults(header, body)
	if err != nil {
		return nil, nil, err
	}
	call.results = results
	return call, payload, nil
}

func readHeaders(op Op, header http.Header) (*Call, error) {
	call := &Call{Attempt: 1}
	required := []struct {
		name string
		read func(string) error
	}{
		{headerGid, func(text string) error { call.Gid = text; return checkID(text, gidMaxLen) }},
		{headerBranch, func(text string) error { call.Branch = text; return checkID(text, branchMaxLen) }},
		{headerInstance, func(text string) (err error) { call.Instance, err = parseInstance(text); return err }},
		{headerOp, func(text string) (err error) { call.Op, err = parseOp(text); return err }},
		{headerLegs, func(text string) (err error) { call.Legs, err = parseLegs(text); return err }},
	}
	for _, each := range required {
		text, found, err := only(header, each.name)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, &badHeader{each.name, "is missing"}
		}
		if err := each.read(text); err != nil {
			return nil, &badHeader{each.name, err.Error()}
		}
	}
	if call.Op != op {
		return nil, &badHeader{headerOp, fmt.Sprintf("says %s, but this is the URL of %s", call.Op, op)}
	}
	return call, readHints(call, header)
}

// readHints reads what a call may do without.
func readHints(call *Call, header http.Header) error {
	if text := header.Get(headerAttempt); text != "" {
		attempt, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return &badHeader{headerAttempt, "must be a number"}
		}
		call.Attempt = int(attempt)
	}
	if text := header.Get(headerDeadline); text != "" {
		deadline, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return &badHeader{headerDeadline, "must be an RFC 3339 time such as 2026-11-20T12:00:00.000Z"}
		}
		call.Deadline = deadline.UTC()
	}
	call.Traceparent = header.Get(headerTraceparent)
	return nil
}

// only gives a header's value. One that is there twice says nothing: others might read the other one.
func only(header http.Header, name string) (string, bool, error) {
	switch values := header.Values(name); len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	default:
		return "", false, &badHeader{name, "is there more than once"}
	}
}

// headers are those of this call, for whoever makes it.
func (c *Call) headers() http.Header {
	header := http.Header{}
	header.Set(headerContentType, mediaTypeJSON)
	header.Set(headerGid, c.Gid)
	header.Set(headerBranch, c.Branch)
	header.Set(headerInstance, c.Instance)
	header.Set(headerOp, string(c.Op))
	header.Set(headerLegs, c.Legs.String())
	header.Set(headerAttempt, strconv.Itoa(c.Attempt))
	if !c.Deadline.IsZero() {
		header.Set(headerDeadline, c.Deadline.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	// A structured string (RFC 9651, 3.3.3); ids hold neither quotes nor backslashes.
	header.Set(headerIdempotency, `"`+c.Gid+"/"+c.Branch+"/"+string(c.Op)+`"`)
	if c.Traceparent != "" && isHeaderValue(c.Traceparent) {
		header.Set(headerTraceparent, c.Traceparent)
	}
	return header
}

// isHeaderValue says whether a text can be sent as a header: printable ASCII.
func isHeaderValue(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
