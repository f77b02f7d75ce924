package tercet

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// vectors reads a file of sdk/vectors, which every library runs.
func vectors[T any](t *testing.T, name string) []T {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []T `json:"cases"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) == 0 {
		t.Fatal("no cases")
	}
	return file.Cases
}

func headerOf(values map[string]string) http.Header {
	header := http.Header{}
	for name, value := range values {
		header.Set(name, value)
	}
	return header
}

func sameJSON(t *testing.T, got, want []byte) bool {
	t.Helper()
	var a, b any
	if err := decode(got, &a); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if err := decode(want, &b); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	return reflect.DeepEqual(a, b)
}

func TestGuardVectors(t *testing.T) {
	type row struct{ Instance, State string }
	type vector struct {
		Op, Legs, Instance string
		Deadline           *time.Time
		Now                time.Time
		Recorded           *row
		Then               struct {
			Do     string
			Status int
			Code   string
		}
		Leaves *row
	}
	for i, v := range vectors[vector](t, "guard.json") {
		op, err := parseOp(v.Op)
		if err != nil {
			t.Fatal(err)
		}
		legs, err := parseLegs(v.Legs)
		if err != nil {
			t.Fatal(err)
		}
		var found *recorded
		if v.Recorded != nil {
			found = &recorded{v.Recorded.Instance, state(v.Recorded.State)}
		}
		var deadline time.Time
		if v.Deadline != nil {
			deadline = *v.Deadline
		}
		todo, why := decide(found, arrival{op, legs, v.Instance, op == Try && isLongPast(deadline, v.Now)})
		names := map[action]string{run: "run", record: "record", repeat: "repeat", refuse: "refuse"}
		if names[todo] != v.Then.Do {
			t.Errorf("%d: %s, want %s", i, names[todo], v.Then.Do)
		}
		status, code := http.StatusOK, ""
		if why != nil {
			status, code = why.status, why.code
		}
		if status != v.Then.Status || code != v.Then.Code {
			t.Errorf("%d: %d %s, want %d %s", i, status, code, v.Then.Status, v.Then.Code)
		}
		leaves := v.Recorded
		if todo == run || todo == record {
			leaves = &row{v.Instance, string(stateAfter(op))}
		}
		if !reflect.DeepEqual(leaves, v.Leaves) {
			t.Errorf("%d leaves %v, want %v", i, leaves, v.Leaves)
		}
	}
}

func TestHeaderVectors(t *testing.T) {
	type vector struct {
		URL       string
		Headers   map[string]string
		Body      string
		BadHeader string `json:"bad_header"`
		Context   *struct {
			Gid, Branch, Instance, Op string
			Legs                      []string
			Attempt                   int
			Deadline                  *time.Time
			Traceparent               *string
			Payload                   string
			Results                   map[string]json.RawMessage
		}
	}
	for i, v := range vectors[vector](t, "headers.json") {
		op, err := parseOp(v.URL)
		if err != nil {
			t.Fatal(err)
		}
		call, payload, err := readCall(op, headerOf(v.Headers), []byte(v.Body))
		if v.Context == nil {
			if err == nil || !strings.HasPrefix(err.Error(), "header "+v.BadHeader) {
				t.Errorf("%d: %v, want header %s", i, err, v.BadHeader)
			}
			continue
		}
		if err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		want := v.Context
		var deadline time.Time
		if want.Deadline != nil {
			deadline = want.Deadline.UTC()
		}
		traceparent := ""
		if want.Traceparent != nil {
			traceparent = *want.Traceparent
		}
		got := []any{call.Gid, call.Branch, call.Instance, string(call.Op), call.Legs.String(), call.Attempt,
			call.Deadline, call.Traceparent, string(payload)}
		wanted := []any{want.Gid, want.Branch, want.Instance, want.Op, strings.Join(want.Legs, ","), want.Attempt,
			deadline, traceparent, want.Payload}
		if !reflect.DeepEqual(got, wanted) {
			t.Errorf("%d: %v, want %v", i, got, wanted)
		}
		gotResults, _ := json.Marshal(call.Results())
		wantResults, _ := json.Marshal(want.Results)
		if !sameJSON(t, gotResults, wantResults) {
			t.Errorf("%d: %s, want %s", i, gotResults, wantResults)
		}
	}
}

func TestSignatureVectors(t *testing.T) {
	type vector struct {
		Why     string
		Secrets []string
		Now     int64
		URL     string
		Headers map[string]string
		Body    string
		Valid   bool
	}
	for _, v := range vectors[vector](t, "signatures.json") {
		verifier := &verifier{now: func() time.Time { return time.Unix(v.Now, 0) }}
		for _, secret := range v.Secrets {
			key, err := parseSecret(secret)
			if err != nil {
				t.Fatal(err)
			}
			verifier.keys = append(verifier.keys, key)
		}
		seen := ""
		inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, refusal := readBody(w, r, bodyLimit)
			if refusal != nil {
				t.Error("the body is gone")
			}
			seen = "seen " + string(body)
		})
		request := httptest.NewRequest(http.MethodPost, "/payment/"+v.URL, strings.NewReader(v.Body))
		request.Header = headerOf(v.Headers)
		answer := httptest.NewRecorder()
		verifier.around(inner).ServeHTTP(answer, request)
		if v.Valid {
			if seen != "seen "+v.Body {
				t.Errorf("%s: %d %s", v.Why, answer.Code, answer.Body)
			}
			continue
		}
		if seen != "" || answer.Code != http.StatusUnauthorized || !strings.Contains(answer.Body.String(), `"unsigned"`) {
			t.Errorf("%s: %d %s", v.Why, answer.Code, answer.Body)
		}
	}
}

func TestVerdictVectors(t *testing.T) {
	type vector struct {
		Op         Op
		Status     *int
		RetryAfter *string `json:"retry_after"`
		Verdict    Verdict
		PauseMS    *int64 `json:"pause_ms"`
	}
	for i, v := range vectors[vector](t, "verdicts.json") {
		header, status := http.Header{}, 0
		if v.RetryAfter != nil {
			header.Set("Retry-After", *v.RetryAfter)
		}
		if v.Status != nil {
			status = *v.Status
		}
		verdict, pause := VerdictOf(v.Op, status, header)
		want := time.Duration(0)
		if v.PauseMS != nil {
			want = time.Duration(*v.PauseMS) * time.Millisecond
		}
		if verdict != v.Verdict || pause != want {
			t.Errorf("%d: %s %s, want %s %s", i, verdict, pause, v.Verdict, want)
		}
	}
}

// givenTransaction is one in the words of the wire.
type givenTransaction struct {
	Gid       string
	Saga      bool
	Check     string
	TimeoutMS int64 `json:"timeout_ms"`
	Metadata  json.RawMessage
	Branches  []struct {
		ID, Endpoint, Try, Confirm, Cancel string
		Payload                            json.RawMessage
		Headers                            map[string]string
		TimeoutMS                          int64 `json:"timeout_ms"`
		TryAttempts                        *int  `json:"try_attempts"`
		After                              []string
		Results                            bool
		ConfirmAfterMS                     int64 `json:"confirm_after_ms"`
	}
}

func (g *givenTransaction) transaction() Transaction {
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	transaction := Transaction{Gid: g.Gid, Saga: g.Saga, Check: g.Check, Timeout: ms(g.TimeoutMS)}
	if g.Metadata != nil {
		transaction.Metadata = g.Metadata
	}
	for _, b := range g.Branches {
		branch := Branch{ID: b.ID, Endpoint: b.Endpoint, Try: b.Try, Confirm: b.Confirm, Cancel: b.Cancel,
			Headers: b.Headers, Timeout: ms(b.TimeoutMS), TryAttempts: b.TryAttempts, After: b.After, Results: b.Results,
			ConfirmAfter: ms(b.ConfirmAfterMS)}
		if b.Payload != nil {
			branch.Payload = b.Payload
		}
		transaction.Branches = append(transaction.Branches, branch)
	}
	return transaction
}

func TestBeginVectors(t *testing.T) {
	type vector struct {
		Given givenTransaction
		Open  bool
		Body  json.RawMessage
		Error string
	}
	for i, v := range vectors[vector](t, "begins.json") {
		transaction := v.Given.transaction()
		body, err := transaction.body(v.Open)
		if v.Error != "" {
			var invalid *InvalidError
			if !errors.As(err, &invalid) || invalid.Field != v.Error {
				t.Errorf("%d: %v, want an error of %s", i, err, v.Error)
			}
			continue
		}
		if err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		if !sameJSON(t, body, v.Body) {
			t.Errorf("%d: %s, want %s", i, body, v.Body)
		}
		again, err := transaction.body(v.Open)
		if err != nil || string(again) != string(body) {
			t.Errorf("%d: a repeat is another: %s", i, again)
		}
	}
}

func TestAnswerVectors(t *testing.T) {
	type vector struct {
		Request      string
		Status       int
		Headers      map[string]string
		Body         string
		Outcome      string
		Why          string
		Reason, Code string
		PauseMS      int64 `json:"pause_ms"`
	}
	for i, v := range vectors[vector](t, "answers.json") {
		// Asked again, or read, it is told what can be mistaken for nothing else.
		const afterwards = `{"gid":"order-1","instance":"x","status":"confirming","created_at":"2026-11-20T12:00:00.000Z","deadline_at":"2026-11-20T12:00:00.000Z"}`
		asked := []string{}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.Method)
			if len(asked) > 1 {
				_, _ = w.Write([]byte(afterwards))
				return
			}
			for name, value := range v.Headers {
				w.Header().Set(name, value)
			}
			w.WriteHeader(v.Status)
			_, _ = w.Write([]byte(v.Body))
		}))
		client, err := NewClient(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		var paused time.Duration
		client.http.sleep = func(_ context.Context, pause time.Duration) error {
			paused = pause
			return nil
		}
		ctx := context.Background()
		var outcome Outcome
		switch v.Request {
		case "begin":
			outcome, err = client.Begin(ctx, Transaction{Gid: "order-1"})
		case "confirm":
			outcome, err = client.Confirm(ctx, "order-1")
		case "cancel":
			outcome, err = client.Cancel(ctx, "order-1", "")
		default:
			t.Fatalf("%d: %s is unknown", i, v.Request)
		}
		server.Close()
		if got := said(outcome, err, asked); got != v.Outcome {
			t.Errorf("%d: %s (%v), want %s", i, got, err, v.Outcome)
			continue
		}
		if v.PauseMS > 0 && paused < time.Duration(v.PauseMS)*time.Millisecond || paused > longestRetryAfter {
			t.Errorf("%d: a pause of %s, want %d ms", i, paused, v.PauseMS)
		}
		var problem *ProblemError
		if errors.As(err, &problem) && problem.Code != v.Code {
			t.Errorf("%d: %s, want %s", i, problem.Code, v.Code)
		}
		if was, is := outcome.(*Cancelled); is && (was.Why() != v.Why || was.Reason != v.Reason) {
			t.Errorf("%d: %s %s, want %s %s", i, was.Reason, was.Why(), v.Reason, v.Why)
		}
		if _, err := Success(outcome, err); (err == nil) != (v.Outcome == "confirmed") {
			t.Errorf("%d: only confirmed is success: %v", i, err)
		}
	}
}

// said puts in the words of the vectors what came of a request.
func said(outcome Outcome, err error, asked []string) string {
	var problem *ProblemError
	var unexpected *UnexpectedError
	switch {
	case len(asked) == 2 && asked[1] == http.MethodPost:
		return "again"
	case len(asked) == 2:
		return "ask"
	case errors.As(err, &problem):
		return "refused"
	case errors.As(err, &unexpected):
		return "unexpected"
	case err != nil:
		return err.Error()
	}
	switch outcome.(type) {
	case Confirmed:
		return "confirmed"
	case *Cancelled:
		return "cancelled"
	default:
		return "pending"
	}
}

func TestParticipantAnswerVectors(t *testing.T) {
	type vector struct {
		Op           Op
		When         string
		Result       json.RawMessage
		Code, Detail string
		AfterMS      int64 `json:"after_ms"`
		Status       int
		RetryAfter   string `json:"retry_after"`
		Body         map[string]json.RawMessage
	}
	for _, v := range vectors[vector](t, "participant-answers.json") {
		call := &Call{Gid: "g", Branch: "b", Op: v.Op, Attempt: 1}
		failed := func(err error) response { return notDoneResponse((&database{}).log(), call, err) }
		var answer response
		switch {
		case v.When == "done":
			answer = doneResponse(done{state: stateAfter(v.Op)})
		case v.When == "empty":
			answer = doneResponse(done{state: cancelled})
		case v.When == "repeated":
			answer = doneResponse(done{state: tried, repeated: true})
		case v.When == "repeated after its confirm":
			answer = doneResponse(done{state: confirmed, repeated: true})
		case v.When == "done with a result":
			answer = doneResponse(done{state: tried, result: v.Result})
		case v.When == "repeated with a result":
			answer = doneResponse(done{state: tried, repeated: true, result: v.Result})
		case v.When == "refused":
			answer = failed(Refuse(v.Code, v.Detail))
		case strings.HasPrefix(v.When, "asks to be called again"):
			answer = failed(RetryAfter(time.Duration(v.AfterMS)*time.Millisecond, errors.New("s3cret")))
		case v.When == "throws":
			answer = failed(errors.New("s3cret"))
		case v.When == "the payload cannot be read":
			_, err := readPayload[struct{ Amount int }]([]byte(`{"amount":"one"}`))
			answer = failed(err)
		case v.When == "another call of the branch is under way":
			answer = failed(errInProgress)
		case v.When == "no connection is to be had":
			answer = failed(errBusy)
		case v.When == "a result larger than 16 KiB":
			answer = failed(call.Answer(strings.Repeat("x", resultBytes)))
		default:
			t.Errorf("%s is unknown", v.When)
			continue
		}
		recorder := httptest.NewRecorder()
		answer.write(recorder)
		if recorder.Code != v.Status || recorder.Header().Get("Retry-After") != v.RetryAfter {
			t.Errorf("%s: %d, Retry-After %q", v.When, recorder.Code, recorder.Header().Get("Retry-After"))
		}
		var body map[string]json.RawMessage
		if err := json.Unmarshal(recorder.Body.Bytes(), &body); err != nil {
			t.Errorf("%s: %s", v.When, recorder.Body)
		}
		for name, want := range v.Body {
			if !sameJSON(t, body[name], want) {
				t.Errorf("%s: %s is %s, want %s", v.When, name, body[name], want)
			}
		}
		if strings.Contains(recorder.Body.String(), "s3cret") {
			t.Errorf("%s: %s tells what went wrong", v.When, recorder.Body)
		}
		if recorder.Header().Get("Content-Length") != strconv.Itoa(recorder.Body.Len()) {
			t.Errorf("%s: its length is not told", v.When)
		}
		if isProblem := body["code"] != nil; isProblem {
			for _, name := range []string{"type", "title", "status", "code", "detail"} {
				if body[name] == nil || recorder.Header().Get("Content-Type") != mediaTypeProblem {
					t.Errorf("%s: no problem with %s: %s", v.When, name, recorder.Body)
				}
			}
		}
	}
}
