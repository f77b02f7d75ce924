package tercet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// resultBytes is the most that a Try may be answered with.
const resultBytes = 16 * 1024

// readResults reads those that a call brings, as its headers say, and the payload in its body.
func readResults(header http.Header, body []byte) (map[string]json.RawMessage, []byte, error) {
	given, found, err := only(header, headerResults)
	if err != nil || !found {
		return nil, body, err
	}
	bad := func(what string) error { return &badHeader{headerResults, what} }
	if given != "true" {
		return nil, nil, bad("may be true alone")
	}
	// A map, not a struct: names are compared to the letter.
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(body, &parts); err != nil {
		return nil, nil, bad("the body has no payload with results: " + err.Error())
	}
	payload, results := parts["payload"], map[string]json.RawMessage(nil)
	if err := json.Unmarshal(parts["results"], &results); payload == nil || err != nil || results == nil {
		return nil, nil, bad("the body has no payload with results")
	}
	return results, payload, nil
}

// Results are all results that the call brings, by their branches, to the byte; nil where the branch is not
// registered with Results.
func (c *Call) Results() map[string]json.RawMessage { return c.results }

// Result reads what the Try of a branch was answered with into into. A call brings what the branches before its
// own were answered with, and in Confirm and Cancel its own, where the branch is registered with Results.
//
// The error, passed on by business code, refuses: called again it would be no other.
func (c *Call) Result(branch string, into any) error {
	text, found := c.results[branch]
	if !found {
		return Refuse("result-missing", "the call brings no result of "+branch)
	}
	if err := decode(text, into); err != nil {
		return Refuse("result-unreadable", fmt.Sprintf("the result of %s cannot be read: %s", branch, reason(err)))
	}
	return nil
}

// Result is [Call.Result] as a value.
func Result[T any](call *Call, branch string) (T, error) {
	var result T
	err := call.Result(branch, &result)
	return result, err
}

// Answer has a Try, once it is done, answered with this: the result of its branch, for the branches after it. The
// guard keeps it with its row, so that a Try that is repeated is answered with the same. Of several the last counts.
// Elsewhere than in a Try nobody reads it.
//
// A result that is no JSON, or takes more than 16 KiB, refuses the Try, whether or not the error is passed on.
func (c *Call) Answer(result any) error {
	text, err := encode(result)
	switch {
	case err != nil:
		c.answerErr = Refuse("result-unreadable", "the result cannot be written as JSON")
	case len(text) > resultBytes:
		detail := fmt.Sprintf("the result has %d bytes, and may have %d", len(text), resultBytes)
		c.answerErr = Refuse("result-too-large", detail)
	default:
		c.answer, c.answerErr = text, nil
	}
	return c.answerErr
}

// takeAnswer gives what business code wants the call to be answered with. A call that is run again begins without.
func (c *Call) takeAnswer() ([]byte, error) {
	answer, err := c.answer, c.answerErr
	c.answer, c.answerErr = nil, nil
	return answer, err
}

// encode writes JSON as it is meant: without making < of what HTML would mind, and what is JSON already to the byte.
func encode(value any) ([]byte, error) {
	if raw, isRaw := value.(json.RawMessage); isRaw {
		if !json.Valid(raw) {
			return nil, fmt.Errorf("it is no JSON")
		}
		return raw, nil
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// decode reads one JSON value and nothing behind it. A number that is read into an any stays the text that it was
// (json.Number), so that none is rounded.
func decode(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fmt.Errorf("there is more than one value")
	}
	return nil
}
