// Package clienttest runs the client against a coordinator: the program tercet of BIN_DIR.
package clienttest

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tercet.dev/tercet-go"
	"tercet.dev/tercet-go/examples/database"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func program(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(os.Getenv("BIN_DIR"), name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("BIN_DIR must lead to %s: %v", name, err)
	}
	return path
}

// coordinator is one that can be killed and started again.
type coordinator struct {
	t       *testing.T
	url     string
	listen  string
	data    string
	process *exec.Cmd
}

func newCoordinator(t *testing.T) *coordinator {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &coordinator{t: t, listen: listener.Addr().String(), data: filepath.Join(t.TempDir(), "tercet.db")}
	_ = listener.Close()
	c.url = "http://" + c.listen
	c.start()
	t.Cleanup(c.kill)
	return c
}

// start starts it, and waits until it is ready.
func (c *coordinator) start() {
	c.t.Helper()
	c.process = exec.Command(program(c.t, "tercet"), "serve", "--listen", c.listen, "--database-url", "sqlite://"+c.data)
	logged, err := c.process.StderrPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.process.Start(); err != nil {
		c.t.Fatal(err)
	}
	var log strings.Builder
	lines := bufio.NewScanner(io.TeeReader(logged, &log))
	for lines.Scan() {
		if strings.Contains(lines.Text(), "ready") {
			go func() { _, _ = io.Copy(io.Discard, logged) }()
			return
		}
	}
	c.t.Fatalf("it is not ready: %s", log.String())
}

func (c *coordinator) kill() {
	_ = c.process.Process.Signal(syscall.SIGKILL)
	_ = c.process.Wait()
}

func (c *coordinator) client(options ...tercet.ClientOption) *tercet.Client {
	client, err := tercet.NewClient(c.url, options...)
	if err != nil {
		c.t.Fatal(err)
	}
	return client
}

// service is a participant that notes what it is called with.
type service struct {
	*httptest.Server
	db    *sql.DB
	guard *tercet.Guard

	mu    sync.Mutex
	calls []string
	trace string
}

// newService refuses the payload "no", and answers others with what it was told by those before it.
func newService(t *testing.T, signed bool) *service {
	t.Helper()
	db, err := database.Open("sqlite:" + filepath.Join(t.TempDir(), "service.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	guard, err := tercet.OpenGuard(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{db: db, guard: guard}
	note := func(call *tercet.Call, payload json.RawMessage) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, fmt.Sprintf("%s %s %s", call.Branch, call.Op, payload))
		s.trace = call.Traceparent
	}
	does := func(_ context.Context, _ *sql.Tx, call *tercet.Call, payload json.RawMessage) error {
		note(call, payload)
		return nil
	}
	handler := tercet.NewHandler(guard, tercet.Participant[json.RawMessage]{
		Try: func(_ context.Context, _ *sql.Tx, call *tercet.Call, payload json.RawMessage) error {
			note(call, payload)
			if string(payload) == `"no"` {
				return tercet.Refuse("sold-out", "there is nothing left of Zoë's")
			}
			seat := "1A"
			if before, err := tercet.Result[string](call, "flight"); err == nil {
				seat = "beside " + before
			}
			return call.Answer(seat)
		},
		Confirm: does, Cancel: does,
	})
	if signed {
		around, err := tercet.SignedCalls(secret)
		if err != nil {
			t.Fatal(err)
		}
		handler = around(handler)
	}
	mux := http.NewServeMux()
	mux.Handle("/a/", handler)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *service) branch(id string, payload any) tercet.Branch {
	return tercet.Branch{ID: id, Endpoint: s.URL + "/a", Payload: payload}
}

func (s *service) said() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

func TestATransactionIsConfirmedOrSaysWhyNot(t *testing.T) {
	ctx, c, s := context.Background(), newCoordinator(t), newService(t, false)
	client := c.client()
	payload := json.RawMessage(`{ "n": 12345678901234567890.10, "who":"Zoë <&> \u0000" }`)
	ctx = tercet.ContextWithTraceparent(ctx, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	order := tercet.Transaction{Gid: "order-1", Metadata: map[string]any{"channel": "web"}, Branches: []tercet.Branch{s.branch("a", payload)}}
	for range 2 {
		view, err := tercet.Success(client.Begin(ctx, order))
		if err != nil || view.Branches[0].Status != tercet.BranchConfirmed || string(view.Metadata) != `{"channel":"web"}` {
			t.Fatalf("%+v %v", view, err)
		}
	}
	if got := fmt.Sprint(s.said()); got != fmt.Sprintf("[a try %s a confirm %s]", payload, payload) {
		t.Error(got)
	}
	if !strings.HasPrefix(s.trace, "00-4bf92f3577b34da6a3ce929d0e0e4736-") {
		t.Error(s.trace)
	}
	_, err := client.Begin(ctx, tercet.Transaction{Gid: "order-1", Branches: []tercet.Branch{s.branch("a", 2)}})
	var problem *tercet.ProblemError
	if !errors.As(err, &problem) || problem.Code != "gid-reused" {
		t.Error(err)
	}
	_, err = tercet.Success(client.Begin(ctx, tercet.Transaction{Gid: "order-2", Branches: []tercet.Branch{s.branch("a", 1), s.branch("b", "no")}}))
	var was *tercet.Cancelled
	if !errors.As(err, &was) || was.Reason != "try-refused" || was.Why() != "b: there is nothing left of Zoë's" || len(was.Refusals()) != 1 {
		t.Error(err)
	}
	_, err = client.Get(ctx, "nobody")
	if !errors.As(err, &problem) || problem.Code != "transaction-not-found" {
		t.Error(err)
	}
	outcome, err := client.Outcome(ctx, "order-2")
	if _, is := outcome.(*tercet.Cancelled); !is || err != nil {
		t.Error(outcome, err)
	}
}

func TestAnOpenTransactionIsDecidedByItsInitiator(t *testing.T) {
	ctx, c, s := context.Background(), newCoordinator(t), newService(t, false)
	client := c.client()
	view, err := tercet.Success(client.Run(ctx, tercet.Transaction{Gid: "ride-1"}, func(ctx context.Context, open *tercet.OpenTransaction) error {
		if _, err := open.Register(ctx, s.branch("a", 1)); err != nil {
			return err
		}
		if all, err := open.RegisterAll(ctx, s.branch("b", 1), s.branch("c", 1)); err != nil || len(all) != 2 {
			return errors.Join(err, fmt.Errorf("%d branches", len(all)))
		}
		_, err := open.Confirm(ctx)
		return err
	}))
	if err != nil || len(view.Branches) != 3 {
		t.Fatal(view, err)
	}
	// A refusal leaves, and says why.
	outcome, err := client.Run(ctx, tercet.Transaction{Gid: "ride-2"}, func(ctx context.Context, open *tercet.OpenTransaction) error {
		_, err := open.RegisterAll(ctx, s.branch("a", 1), s.branch("b", "no"))
		return err
	})
	var refused *tercet.BranchRefusedError
	if _, is := outcome.(*tercet.Cancelled); !is || !errors.As(err, &refused) || refused.Branch.ID != "b" {
		t.Error(outcome, err)
	}
	// Whoever forgets to decide cancels.
	open, err := client.Open(ctx, tercet.Transaction{Gid: "ride-3"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open.Register(ctx, s.branch("a", 1)); err != nil {
		t.Fatal(err)
	}
	if err := open.Close(ctx); err != nil {
		t.Fatal(err)
	}
	outcome, err = client.Resume("ride-3").Confirm(ctx)
	if was, is := outcome.(*tercet.Cancelled); !is || err != nil || was.Why() != "left without a decision" {
		t.Error(outcome, err)
	}
}

func TestATryIsCalledByTheInitiatorItself(t *testing.T) {
	ctx, c, s := context.Background(), newCoordinator(t), newService(t, true)
	client := c.client()
	open, err := client.Open(ctx, tercet.Transaction{Gid: "ride-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Close(ctx) }()
	own, err := open.RegisterOwnTry(ctx, s.branch("seat", json.RawMessage(`"7A"`)))
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, own.URL, strings.NewReader(`"7A"`))
	if err != nil {
		t.Fatal(err)
	}
	if request.Header, err = own.SignedHeaders(secret, []byte(`"7A"`)); err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if verdict, _ := own.Verdict(answer.StatusCode, answer.Header); verdict != tercet.Done {
		t.Fatal(verdict, answer.StatusCode)
	}
	if fmt.Sprint(s.said()) != `[seat try "7A"]` {
		t.Error(s.said())
	}
	// The coordinator has no secret here, so its calls are not let through: the decision stands, and goes on.
	outcome, err := client.Waiting(tercet.Decided, 5*time.Second).Confirm(ctx, "ride-1")
	if pending, is := outcome.(*tercet.Pending); !is || err != nil || pending.Transaction.Status != tercet.StatusConfirming {
		t.Error(outcome, err)
	}
}

func TestSagasTellTheirResults(t *testing.T) {
	ctx, c, s := context.Background(), newCoordinator(t), newService(t, false)
	client := c.client()
	hotel := s.branch("hotel", 2)
	hotel.Results, hotel.After = true, []string{"flight"}
	view, err := tercet.Success(client.Begin(ctx, tercet.Transaction{Gid: "trip-1", Saga: true, Branches: []tercet.Branch{s.branch("flight", 1), hotel}}))
	if err != nil || string(view.Branches[1].Result) != `"beside 1A"` {
		t.Fatalf("%+v %v", view, err)
	}
	definition := fmt.Sprintf(`{"steps":[{"id":"flight","endpoint":"%s/a"},{"id":"hotel","endpoint":"%s/a"}]}`, s.URL, s.URL)
	request, _ := http.NewRequest(http.MethodPut, c.url+"/v1/sagas/trip", strings.NewReader(definition))
	request.Header.Set("Content-Type", "application/json")
	put, err := http.DefaultClient.Do(request)
	if err != nil || put.StatusCode != http.StatusCreated {
		t.Fatal(put, err)
	}
	_ = put.Body.Close()
	for range 2 {
		view, err = tercet.Success(client.RunSaga(ctx, "trip", tercet.SagaRun{Gid: "trip-2", Input: map[string]int{"seats": 2}}))
		if err != nil || string(view.Branches[1].Result) != `"beside 1A"` {
			t.Fatalf("%+v %v", view, err)
		}
	}
	_, err = client.RunSaga(ctx, "nowhere", tercet.SagaRun{Gid: "trip-3"})
	var problem *tercet.ProblemError
	if !errors.As(err, &problem) || problem.Code != "saga-not-found" {
		t.Error(err)
	}
}

func TestAnInitiatorThatDiedIsAsked(t *testing.T) {
	ctx, c, s := context.Background(), newCoordinator(t), newService(t, false)
	checked := tercet.NewChecked(s.db)
	if err := checked.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	asked := httptest.NewServer(checked)
	defer asked.Close()
	client := c.client()
	for _, gid := range []string{"done-1", "never-1"} {
		open, err := client.Open(ctx, tercet.Transaction{Gid: gid, Check: asked.URL, Timeout: 500 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := open.Register(ctx, s.branch("a", 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tercet.InTx(ctx, s.db, func(tx *sql.Tx) error { return checked.Record(ctx, tx, "done-1") }); err != nil {
		t.Fatal(err)
	}
	if _, err := tercet.Success(client.Outcome(ctx, "done-1")); err != nil {
		t.Error(err)
	}
	outcome, err := client.Outcome(ctx, "never-1")
	if was, is := outcome.(*tercet.Cancelled); !is || err != nil || was.Reason != "check" {
		t.Error(outcome, err)
	}
}

// TestACoordinatorThatIsKilledAnswersTheSameRequest: the client asks on until it is back.
func TestACoordinatorThatIsKilledAnswersTheSameRequest(t *testing.T) {
	ctx, c, s := context.Background(), newCoordinator(t), newService(t, false)
	client := c.client()
	if _, err := tercet.Success(client.Begin(ctx, tercet.Transaction{Gid: "order-0", Branches: []tercet.Branch{s.branch("a", 0)}})); err != nil {
		t.Fatal(err)
	}
	c.kill()
	answered := make(chan error)
	go func() {
		_, err := tercet.Success(client.Begin(ctx, tercet.Transaction{Gid: "order-1", Branches: []tercet.Branch{s.branch("a", 1)}}))
		answered <- err
	}()
	c.start()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// TestMessagesReachACoordinator: by this relay, and by the program tercet-relay, from the same table.
func TestMessagesReachACoordinator(t *testing.T) {
	ctx, c, s := context.Background(), newCoordinator(t), newService(t, false)
	outbox := tercet.NewOutbox(s.db)
	if err := outbox.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	send := func(gid string) {
		err := tercet.InTx(ctx, s.db, func(tx *sql.Tx) error {
			return outbox.Send(ctx, tx, tercet.Transaction{Gid: gid, Branches: []tercet.Branch{{ID: "mail", Confirm: s.URL + "/a/confirm", Payload: gid}}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	confirmed := func(gid string) {
		for {
			entry, err := outbox.Entry(ctx, gid)
			if err != nil || entry == nil || entry.State == tercet.OutboxDead || entry.State == tercet.OutboxCancelled {
				t.Fatal(entry, err)
			}
			if entry.State == tercet.OutboxConfirmed {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	send("m-1")
	working, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		tercet.NewRelay(outbox, c.client()).Run(working)
		close(stopped)
	}()
	confirmed("m-1")
	stop()
	<-stopped
	send("m-2")
	var file string
	if err := s.db.QueryRow("SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&file); err != nil {
		t.Fatal(err)
	}
	relay := exec.Command(program(t, "tercet-relay"), "--database-url", "sqlite://"+file, "--coordinator", c.url)
	relay.Stderr = os.Stderr
	if err := relay.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = relay.Process.Kill()
		_ = relay.Wait()
	}()
	confirmed("m-2")
	if got := fmt.Sprint(s.said()); got != `[mail confirm "m-1" mail confirm "m-2"]` {
		t.Error(got)
	}
}
