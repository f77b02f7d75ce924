package tercet

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
)

// comeAgain is when a call that met another one should come again.
const comeAgain = time.Second

// problem is what is told when something was not done: RFC 9457, with a code for programs.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// response is an answer, written at once.
type response struct {
	status     int
	mediaType  string
	body       []byte
	retryAfter time.Duration
}

func jsonResponse(status int, mediaType string, value any) response {
	body, err := encode(value)
	if err != nil {
		// What is answered here are texts and numbers.
		body = []byte("{}")
	}
	return response{status: status, mediaType: mediaType, body: body}
}

func problemResponse(status int, code, detail string) response {
	body := problem{"about:blank", http.StatusText(status), status, code, detail}
	return jsonResponse(status, mediaTypeProblem, body)
}

// again is the same with the least pause before the next call.
func (r response) again(pause time.Duration) response {
	r.retryAfter = pause
	return r
}

// write has it leave in one write: its length is known.
func (r response) write(w http.ResponseWriter) {
	header := w.Header()
	header.Set(headerContentType, r.mediaType)
	header.Set("Content-Length", strconv.Itoa(len(r.body)))
	if r.retryAfter > 0 {
		// Whole seconds; a pause is never shortened.
		header.Set(headerRetryAfter, strconv.FormatInt(int64((r.retryAfter+time.Second-1)/time.Second), 10))
	}
	w.WriteHeader(r.status)
	// That the caller has hung up changes nothing: it asks again.
	_, _ = w.Write(r.body)
}

// doneResponse: the call was done, now or before.
func doneResponse(done done) response {
	if done.result != nil {
		return response{status: http.StatusOK, mediaType: mediaTypeJSON, body: done.result}
	}
	return jsonResponse(http.StatusOK, mediaTypeJSON, struct {
		State    state `json:"state"`
		Repeated bool  `json:"repeated"`
	}{done.state, done.repeated})
}

func inProgressResponse() response {
	detail := "another call of this branch is being worked on"
	return problemResponse(http.StatusAccepted, "in-progress", detail).again(comeAgain)
}

// failedResponse: the cause stays here, since it may name tables, hosts or worse.
func failedResponse() response {
	return problemResponse(http.StatusServiceUnavailable, "failed", "the call failed here; call again")
}

// notDoneResponse: the call was not done. This is where its cause is logged.
func notDoneResponse(logger *slog.Logger, call *Call, err error) response {
	logger = logger.With("gid", call.Gid, "branch", call.Branch, "op", string(call.Op), "attempt", call.Attempt)
	var stopped *contradiction
	var unreadable *invalidPayload
	var refusal *Refusal
	var retry *Retry
	switch {
	case errors.As(err, &stopped):
		level := slog.LevelInfo
		if stopped.alarming {
			level = slog.LevelError
		}
		logger.Log(context.Background(), level, "the guard stopped a call", "why", stopped.detail)
		return problemResponse(stopped.status, stopped.code, stopped.detail)
	case errors.As(err, &unreadable):
		logger.Warn("the payload cannot be read", "error", unreadable.err)
		return problemResponse(http.StatusBadRequest, "invalid-payload", unreadable.Error())
	case errors.As(err, &refusal):
		logger.Info("refused", "code", refusal.Code, "detail", refusal.Detail)
		return problemResponse(http.StatusConflict, refusal.Code, refusal.Detail)
	case errors.As(err, &retry):
		logger.Warn("failed; to be called again", "error", retry.Err, "after", retry.After)
		return failedResponse().again(retry.After)
	case errors.Is(err, errInProgress), errors.Is(err, errBusy) && call.Op == Cancel:
		logger.Debug("a call is in progress", "why", err)
		return inProgressResponse()
	case errors.Is(err, errBusy):
		logger.Warn("a call found no connection", "why", err)
		return problemResponse(http.StatusServiceUnavailable, "busy", err.Error()).again(comeAgain)
	default:
		logger.Warn("failed; to be called again", "error", err)
		return failedResponse()
	}
}

// validationError is what a payload says of itself that is wrong with it.
type validationError struct{ err error }

func (e *validationError) Error() string { return e.err.Error() }

// readPayload reads a payload, and asks it whether it is right if it has a method Validate.
func readPayload[P any](text []byte) (P, error) {
	var payload P
	// JSON is UTF-8; encoding/json would put U+FFFD in the place of what is none.
	if !utf8.Valid(text) {
		return payload, &invalidPayload{&validationError{errors.New("it is no UTF-8")}}
	}
	// encoding/json reads null into a struct as if it were {}.
	if string(bytes.TrimSpace(text)) == "null" && reflect.TypeFor[P]().Kind() == reflect.Struct {
		return payload, &invalidPayload{&validationError{errors.New("it must not be null")}}
	}
	if err := decode(text, &payload); err != nil {
		return payload, &invalidPayload{err}
	}
	if validating, is := any(&payload).(interface{ Validate() error }); is {
		if err := validating.Validate(); err != nil {
			return payload, &invalidPayload{&validationError{err}}
		}
	}
	return payload, nil
}
