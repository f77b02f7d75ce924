package tercet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// mischief is a coordinator that answers as it is told, one after another, and keeps what it was asked.
type mischief struct {
	*httptest.Server
	mu      sync.Mutex
	bodies  []string
	headers []http.Header
	paths   []string
}

func newMischief(t *testing.T, answers ...http.HandlerFunc) *mischief {
	m := &mischief{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m.mu.Lock()
		at := len(m.bodies)
		m.bodies = append(m.bodies, string(body))
		m.headers = append(m.headers, r.Header)
		m.paths = append(m.paths, r.Method+" "+r.URL.RequestURI())
		m.mu.Unlock()
		answers[min(at, len(answers)-1)](w, r)
	}))
	t.Cleanup(m.Close)
	return m
}

// asked gives the requests so far, and their bodies.
func (m *mischief) asked() (paths, bodies []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.paths...), append([]string(nil), m.bodies...)
}

func (m *mischief) client(t *testing.T, options ...ClientOption) *Client {
	client, err := NewClient(m.URL, options...)
	if err != nil {
		t.Fatal(err)
	}
	client.http.sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return client
}

func shows(status Status) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, view("order-1", status)) }
}

func view(gid string, status Status) string {
	return fmt.Sprintf(`{"gid":%q,"instance":"0193b6a0-0000-7000-8000-000000000001","status":%q,"of_tomorrow":[1],
		"created_at":"2026-11-20T12:00:00.000Z","deadline_at":"2026-11-20T12:00:30.000Z"}`, gid, status)
}

func tells(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaTypeProblem)
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"type":"/problems/x","code":%q,"title":"t","status":%d,"detail":"d"}`, code, status)
	}
}

// hangsUp loses the answer.
func hangsUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, _ := w.(http.Hijacker).Hijack()
	_ = conn.Close()
}

// breaksOff loses the end of the answer.
func breaksOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, view("order-1", StatusConfirmed)[:40])
	hangsUp(w, nil)
}

func TestRequestsAreTheSameToTheByteUntilAnswered(t *testing.T) {
	m := newMischief(t, hangsUp, tells(503, "not-accepted"), breaksOff, tells(429, "too-many-requests"), shows(StatusConfirmed))
	payload := json.RawMessage(`{ "amount" : 12345678901234567890.10, "who":"Zoë <&>" }`)
	ctx := ContextWithTraceparent(context.Background(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	outcome, err := m.client(t, WithToken("k3y")).Begin(ctx, Transaction{Gid: "order-1", Branches: []Branch{
		{ID: "a", Endpoint: "http://a.internal/a", Payload: payload, Headers: map[string]string{"x-b": "1", "x-a": "2", "x-c": "3"}},
	}})
	if _, err := Success(outcome, err); err != nil {
		t.Fatal(err)
	}
	if paths, _ := m.asked(); len(paths) != 5 {
		t.Fatalf("asked %d times", len(paths))
	}
	for i, body := range m.bodies {
		if body != m.bodies[0] || m.paths[i] != m.paths[0] {
			t.Errorf("%d: %s %s", i, m.paths[i], body)
		}
		if m.headers[i].Get("Authorization") != "Bearer k3y" || !strings.HasPrefix(m.headers[i].Get("Traceparent"), "00-4bf9") {
			t.Errorf("%d: %v", i, m.headers[i])
		}
	}
	if !strings.Contains(m.bodies[0], string(payload)) {
		t.Errorf("the payload is another: %s", m.bodies[0])
	}
}

func TestRequestsEndSometime(t *testing.T) {
	m := newMischief(t, tells(503, "shutting-down"))
	_, err := m.client(t).Begin(context.Background(), Transaction{Gid: "order-1"})
	var unanswered *UnansweredError
	if !errors.As(err, &unanswered) || unanswered.Attempts != attempts || unanswered.Gid != "order-1" {
		t.Fatal(err)
	}
	if paths, _ := m.asked(); len(paths) != attempts {
		t.Fatal(paths)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m = newMischief(t, func(http.ResponseWriter, *http.Request) { cancel() })
	_, err = m.client(t).Begin(ctx, Transaction{Gid: "order-1"})
	if !errors.As(err, &unanswered) || !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
}

func TestClientFollowsNobodyElsewhere(t *testing.T) {
	elsewhere := newMischief(t, shows(StatusConfirmed))
	m := newMischief(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	// A proxy that the environment names is not asked either.
	t.Setenv("HTTP_PROXY", elsewhere.URL)
	_, err := m.client(t, WithToken("k3y")).Begin(context.Background(), Transaction{Gid: "order-1"})
	var unexpected *UnexpectedError
	if !errors.As(err, &unexpected) || unexpected.Status != http.StatusTemporaryRedirect || len(elsewhere.bodies) != 0 {
		t.Fatal(err)
	}
}

func TestAnAnswerAboutAnotherTransactionIsNone(t *testing.T) {
	for _, body := range []string{view("order-2", StatusConfirmed), "{}", "[]", `"confirmed"`} {
		m := newMischief(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		_, err := m.client(t).Begin(context.Background(), Transaction{Gid: "order-1"})
		var unexpected *UnexpectedError
		if !errors.As(err, &unexpected) {
			t.Errorf("%s: %v", body, err)
		}
	}
	// A status that is not known here is no success.
	m := newMischief(t, shows("settled"))
	outcome, err := m.client(t).Begin(context.Background(), Transaction{Gid: "order-1"})
	if _, is := outcome.(*Pending); !is || err != nil {
		t.Errorf("%v %v", outcome, err)
	}
}

func TestTokensAndKeysAreInNoPrintAndNoError(t *testing.T) {
	client, err := NewClient("http://127.0.0.1:1", WithToken("k3y"))
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		client *Client
		plain  Client
	}
	held := holder{client, *client} //nolint:govet // printed by value on purpose
	client.http.sleep = func(context.Context, time.Duration) error { return nil }
	_, failed := client.Get(context.Background(), "order-1")
	for _, said := range []string{fmt.Sprintf("%v %+v %#v", client, client, client), fmt.Sprintf("%v %+v %#v", held, held, held), failed.Error()} {
		if strings.Contains(said, "k3y") {
			t.Error(said)
		}
	}
	for _, token := range []string{"", " ", "k3y k3y", "k3y\x7f", "k3y\nk3y", "k3yä"} {
		if _, err := NewClient("http://127.0.0.1:1", WithToken(token)); err == nil || strings.Contains(err.Error(), "k3y") {
			t.Errorf("%q: %v", token, err)
		}
	}
	for _, address := range []string{"ftp://a", "a:b", "http://", "http://u:k3y@a", "http://a?k3y", "http://a#k3y", "http://a:k3y"} {
		if _, err := NewClient(address); err == nil || strings.Contains(err.Error(), "k3y") {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, pem := range []string{"", "k3y", "-----BEGIN CERTIFICATE-----\nk3y"} {
		for _, option := range []ClientOption{WithCA([]byte(pem)), WithIdentity([]byte(pem))} {
			if _, err := NewClient("https://127.0.0.1:1", option); err == nil || strings.Contains(err.Error(), "k3y") {
				t.Errorf("%q: %v", pem, err)
			}
		}
	}
	if _, err := SignedCalls("whsec_s3cret"); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Error(err)
	}
}

func TestRunCancelsWhoeverLeaves(t *testing.T) {
	boom := errors.New("no seat")
	for name, c := range map[string]struct {
		fn     func(context.Context, *OpenTransaction) error
		reason string
		err    error
	}{
		"an error":    {func(context.Context, *OpenTransaction) error { return boom }, `{"reason":"no seat"}`, boom},
		"no decision": {func(context.Context, *OpenTransaction) error { return nil }, `{"reason":"left without a decision"}`, nil},
	} {
		m := newMischief(t, shows(StatusTrying), shows(StatusCancelled))
		ctx, cancel := context.WithCancel(context.Background())
		outcome, err := m.client(t).Run(ctx, Transaction{Gid: "order-1"}, func(ctx context.Context, open *OpenTransaction) error {
			// Whoever's own time is over cancels all the same.
			cancel()
			return c.fn(ctx, open)
		})
		if _, is := outcome.(*Cancelled); !is || !errors.Is(err, c.err) {
			t.Errorf("%s: %v %v", name, outcome, err)
		}
		paths, bodies := m.asked()
		if len(paths) != 2 || !strings.Contains(paths[1], "/order-1/cancel?") || bodies[1] != c.reason {
			t.Errorf("%s: %v %v", name, paths, bodies)
		}
	}
	m := newMischief(t, shows(StatusTrying), shows(StatusCancelled))
	func() {
		defer func() { _ = recover() }()
		_, _ = m.client(t).Run(context.Background(), Transaction{Gid: "order-1"}, func(context.Context, *OpenTransaction) error { panic("boom") })
	}()
	if paths, _ := m.asked(); len(paths) != 2 || !strings.Contains(paths[1], "/cancel?") {
		t.Errorf("a panic: %v", paths)
	}
}

func TestWhoAskedForConfirmDoesNotCancel(t *testing.T) {
	confirms := func(ctx context.Context, open *OpenTransaction) error {
		_, err := open.Confirm(ctx)
		return err
	}
	m := newMischief(t, shows(StatusTrying), shows(StatusConfirmed))
	_, err := Success(m.client(t).Run(context.Background(), Transaction{Gid: "order-1"}, confirms))
	if paths, _ := m.asked(); err != nil || len(paths) != 2 {
		t.Errorf("%v %v", err, paths)
	}
	// It may have been taken: nobody knows.
	m = newMischief(t, shows(StatusTrying), hangsUp)
	_, err = m.client(t).Run(context.Background(), Transaction{Gid: "order-1"}, confirms)
	var unanswered *UnansweredError
	if paths, _ := m.asked(); !errors.As(err, &unanswered) || len(paths) != 1+attempts || strings.Contains(paths[len(paths)-1], "/cancel") {
		t.Errorf("%v %v", err, paths)
	}
	// It was clearly not taken.
	m = newMischief(t, shows(StatusTrying), tells(409, "tries-outstanding"), shows(StatusCancelled))
	_, err = m.client(t).Run(context.Background(), Transaction{Gid: "order-1"}, confirms)
	if paths, _ := m.asked(); err == nil || len(paths) != 3 || !strings.Contains(paths[2], "/cancel?") {
		t.Errorf("%v %v", err, paths)
	}
}

func TestRegisteringTellsTriedFromRefused(t *testing.T) {
	branch := func(status string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"id":"seat","participant":"a:1","status":%q,"answer":{"status":409,"body":"{\"detail\":\"taken\"}"}}`, status)
		}
	}
	for status, want := range map[string]string{
		"tried": "<nil>", "confirmed": "<nil>", "refused": "seat: taken", "cancelled": "seat: taken", "skipped": "seat: taken",
		"registered": "seat: its Try is not answered yet", "of tomorrow": "seat: its Try is not answered yet",
	} {
		m := newMischief(t, branch(status))
		_, err := m.client(t).Resume("order-1").Register(context.Background(), Branch{ID: "seat"})
		if fmt.Sprint(err) != want {
			t.Errorf("%s: %v, want %s", status, err, want)
		}
	}
}

func TestOwnTryIsOneOfTheCoordinators(t *testing.T) {
	m := newMischief(t, shows(StatusTrying), func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"id":"seat","participant":"a:1","status":"registered"}`)
	})
	open, err := m.client(t).Open(context.Background(), Transaction{Gid: "order-1"})
	if err != nil {
		t.Fatal(err)
	}
	own, err := open.RegisterOwnTry(context.Background(), Branch{ID: "seat", Endpoint: "http://a.internal/seat/"})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"seat","confirm":"http://a.internal/seat/confirm","cancel":"http://a.internal/seat/cancel","try_by":"initiator"}`
	if own.URL != "http://a.internal/seat/try" || m.bodies[1] != want {
		t.Errorf("%s %s", own.URL, m.bodies[1])
	}
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	header, err := own.SignedHeaders(secret, []byte("7A"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := SignedCalls(secret)
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodPost, "/seat/try", strings.NewReader("7A"))
	request.Header = header
	answer := httptest.NewRecorder()
	signed(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(answer, request)
	call, _, err := readCall(Try, header, nil)
	if answer.Code != http.StatusOK || err != nil || call.Legs.String() != "try,confirm,cancel" || call.Deadline.IsZero() {
		t.Errorf("%d %v %v", answer.Code, call, err)
	}
	own.CallAgain()
	if got := own.Headers().Get("Tercet-Attempt"); got != "2" {
		t.Error(got)
	}
}

func TestClientTrustsTheAuthorityThatItIsGiven(t *testing.T) {
	server := httptest.NewUnstartedServer(shows(StatusConfirmed))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	stranger, err := NewClient(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	stranger.http.sleep = func(context.Context, time.Duration) error { return nil }
	if _, err := stranger.Begin(context.Background(), Transaction{Gid: "order-1"}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
	client, err := NewClient(server.URL, WithCA(pemOf(server.Certificate().Raw)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Success(client.Begin(context.Background(), Transaction{Gid: "order-1"})); err != nil {
		t.Error(err)
	}
}
