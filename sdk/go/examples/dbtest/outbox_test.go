package dbtest

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"tercet.dev/tercet-go"
)

// coordinator is a fake that begins what it is handed, and says that it is confirmed once it is asked.
type coordinator struct {
	*httptest.Server
	mu sync.Mutex
	// begun are the bodies by their gids, and how often each came.
	begun map[string]string
	came  map[string]int
	trace map[string]string
	// says answers in its place.
	says func(w http.ResponseWriter) bool
}

func newCoordinator(t *testing.T) *coordinator {
	c := &coordinator{begun: map[string]string{}, came: map[string]int{}, trace: map[string]string{}}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *coordinator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.says != nil && c.says(w) {
		return
	}
	if r.Method == http.MethodGet {
		gid := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		if c.begun[gid] == "" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"code":"transaction-not-found","detail":"d"}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"gid":%q,"status":"confirmed"}`, gid)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var begin struct{ Gid string }
	if err := json.Unmarshal(body, &begin); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.came[begin.Gid]++
	if before, is := c.begun[begin.Gid]; is && before != string(body) {
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"code":"gid-reused","detail":"d"}`)
		return
	}
	c.begun[begin.Gid], c.trace[begin.Gid] = string(body), r.Header.Get("Traceparent")
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, `{"gid":%q,"status":"confirming"}`, begin.Gid)
}

func message(gid string) tercet.Transaction {
	return tercet.Transaction{Gid: gid, Branches: []tercet.Branch{
		{ID: "mail", Confirm: "http://mail.internal/mail", Payload: json.RawMessage(`{ "to":"Zoë <&>", "n":12345678901234567890 }`)},
	}}
}

func newOutbox(t *testing.T, address string) (*tercet.Outbox, *sql.DB) {
	db := open(t, address)
	outbox := tercet.NewOutbox(db)
	if err := outbox.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return outbox, db
}

func client(t *testing.T, url string) *tercet.Client {
	client, err := tercet.NewClient(url)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func send(outbox *tercet.Outbox, db *sql.DB, gids ...string) error {
	ctx := tercet.ContextWithTraceparent(context.Background(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	return tercet.InTx(ctx, db, func(tx *sql.Tx) error {
		for _, gid := range gids {
			if err := outbox.Send(ctx, tx, message(gid)); err != nil {
				return err
			}
		}
		return nil
	})
}

// until runs rounds of a relay until a message is in this state.
func until(t *testing.T, relay *tercet.Relay, outbox *tercet.Outbox, gid string, state tercet.OutboxState) *tercet.OutboxEntry {
	t.Helper()
	for ctx := context.Background(); ; {
		if _, err := relay.Once(ctx); err != nil {
			t.Fatal(err)
		}
		entry, err := outbox.Entry(ctx, gid)
		if err != nil || entry == nil {
			t.Fatal(entry, err)
		}
		if entry.State == state {
			return entry
		}
	}
}

func TestAMessageIsSentExactlyIfItsTransactionCommits(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		ctx, fake := context.Background(), newCoordinator(t)
		outbox, db := newOutbox(t, address)
		no := errors.New("no")
		err := tercet.InTx(ctx, db, func(tx *sql.Tx) error { return errors.Join(outbox.Send(ctx, tx, message("rolled-back")), no) })
		if !errors.Is(err, no) {
			t.Fatal(err)
		}
		if err := send(outbox, db, "m-1", "m-2"); err != nil {
			t.Fatal(err)
		}
		if err := send(outbox, db, "m-3", "m-1"); !errors.Is(err, tercet.ErrSentBefore) {
			t.Fatal(err)
		}
		if pending, err := outbox.Pending(ctx); pending != 2 || err != nil {
			t.Error(pending, err)
		}
		relay := tercet.NewRelay(outbox, client(t, fake.URL))
		for _, gid := range []string{"m-1", "m-2"} {
			until(t, relay, outbox, gid, tercet.OutboxConfirmed)
			if want := `"payload":{ "to":"Zoë <&>", "n":12345678901234567890 }`; !strings.Contains(fake.begun[gid], want) {
				t.Error(fake.begun[gid])
			}
			if fake.came[gid] != 1 || !strings.HasPrefix(fake.trace[gid], "00-4bf9") {
				t.Error(gid, fake.came[gid], fake.trace[gid])
			}
		}
		if len(fake.begun) != 2 {
			t.Error(fake.begun)
		}
		if deleted, err := outbox.Purge(ctx, time.Hour); deleted != 0 || err != nil {
			t.Error(deleted, err)
		}
		if deleted, err := outbox.Purge(ctx, -time.Hour); deleted != 2 || err != nil {
			t.Error(deleted, err)
		}
	})
}

func TestARelayGoesByWhatTheCoordinatorSays(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		ctx, fake := context.Background(), newCoordinator(t)
		outbox, db := newOutbox(t, address)
		relay := tercet.NewRelay(outbox, client(t, fake.URL))
		if err := send(outbox, db, "m-1", "m-2", "m-3"); err != nil {
			t.Fatal(err)
		}
		asked := 0
		fake.says = func(w http.ResponseWriter) bool {
			asked++
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		if busy, err := relay.Once(ctx); !busy || err != nil {
			t.Fatal(busy, err)
		}
		if pending, err := outbox.Pending(ctx); pending != 3 || err != nil || asked > 3 {
			t.Error(pending, asked, err)
		}
		fake.says = func(w http.ResponseWriter) bool {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"code":"invalid-request","detail":"no \u0000"}`)
			return true
		}
		if entry := until(t, relay, outbox, "m-1", tercet.OutboxDead); entry.Reason != "invalid-request: no \ufffd" {
			t.Errorf("%+v", entry)
		}
		dead, err := outbox.Dead(ctx)
		if err != nil || len(dead) == 0 {
			t.Error(dead, err)
		}
		fake.says = nil
		if was, err := outbox.Again(ctx, "m-1"); !was || err != nil {
			t.Error(was, err)
		}
		if was, err := outbox.Again(ctx, "m-1"); was || err != nil {
			t.Error(was, err)
		}
		until(t, relay, outbox, "m-1", tercet.OutboxConfirmed)
	})
}

func TestRelaysAtOnceHandOverEachMessageOnce(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		fake := newCoordinator(t)
		outbox, db := newOutbox(t, address)
		var gids []string
		for n := range 150 {
			gids = append(gids, fmt.Sprint("m-", n))
		}
		if err := send(outbox, db, gids...); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		var relays sync.WaitGroup
		for range 3 {
			other, _ := newOutbox(t, address)
			relays.Add(1)
			go func() {
				defer relays.Done()
				tercet.NewRelay(other, client(t, fake.URL)).Run(ctx)
			}()
		}
		for pending := 1; pending > 0; {
			var err error
			if pending, err = outbox.Pending(ctx); err != nil {
				t.Fatal(err)
			}
		}
		stop()
		relays.Wait()
		for _, gid := range gids {
			if fake.came[gid] != 1 {
				t.Errorf("%s came %d times", gid, fake.came[gid])
			}
		}
	})
}

// dieInARelay hands over, and is killed before it has marked what it did.
func dieInARelay(rest string) {
	url, address, _ := strings.Cut(rest, " ")
	t := &testing.T{}
	outbox, _ := newOutbox(t, address)
	_, err := tercet.NewRelay(outbox, client(t, url)).Lease(time.Second).Once(context.Background())
	fmt.Println("relay:", err)
	time.Sleep(time.Hour)
}

func TestARelayThatIsKilledBeforeItMarksIsFollowedByAnother(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		fake := newCoordinator(t)
		outbox, db := newOutbox(t, address)
		if err := send(outbox, db, "m-1"); err != nil {
			t.Fatal(err)
		}
		// It has the message when the relay that handed it over is killed, and never answers that one.
		command := again(t, "relay "+fake.URL+" "+address)
		handed, killed := make(chan struct{}), make(chan struct{})
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fake.ServeHTTP(httptest.NewRecorder(), r)
			close(handed)
			<-killed
		}))
		defer proxy.Close()
		command.Env = append(command.Env, dieIn+"=relay "+proxy.URL+" "+address)
		command.Stdout = os.Stderr
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		<-handed
		_ = command.Process.Kill()
		_ = command.Wait()
		close(killed)
		relay := tercet.NewRelay(outbox, client(t, fake.URL))
		until(t, relay, outbox, "m-1", tercet.OutboxConfirmed)
		if fake.came["m-1"] != 2 || len(fake.begun) != 1 {
			t.Error(fake.came, fake.begun)
		}
	})
}

func TestWhoAsksFirstDecides(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		ctx, db := context.Background(), open(t, address)
		checked := tercet.NewChecked(db)
		if err := checked.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		asks := func(gid string) int {
			request := httptest.NewRequest(http.MethodPost, "/check", strings.NewReader("{}"))
			request.Header.Set("Tercet-Gid", gid)
			request.Header.Set("Tercet-Op", "check")
			recorder := httptest.NewRecorder()
			checked.ServeHTTP(recorder, request)
			return recorder.Code
		}
		does := func(gid string) error {
			return tercet.InTx(ctx, db, func(tx *sql.Tx) error { return checked.Record(ctx, tx, gid) })
		}
		if err := does("done"); err != nil {
			t.Fatal(err)
		}
		if err := does("done"); !errors.Is(err, tercet.ErrDoneBefore) {
			t.Error(err)
		}
		for range 2 {
			if asks("done") != http.StatusOK || asks("never") != http.StatusGone {
				t.Error("it is not told as it is")
			}
		}
		if err := does("never"); !errors.Is(err, tercet.ErrTooLate) {
			t.Error(err)
		}
		if asks("a/b") != http.StatusBadRequest {
			t.Error("a gid that is none")
		}
		// While its transaction is open nobody knows yet; then it is so.
		inside, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error)
		go func() {
			ended <- tercet.InTx(ctx, db, func(tx *sql.Tx) error {
				err := checked.Record(ctx, tx, "slow")
				close(inside)
				<-goOn
				return err
			})
		}()
		<-inside
		if got := asks("slow"); got != http.StatusAccepted {
			t.Error(got)
		}
		close(goOn)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for {
			if got := asks("slow"); got == http.StatusOK {
				break
			} else if got != http.StatusAccepted {
				t.Fatal(got)
			}
		}
		if deleted, err := checked.Purge(ctx, time.Hour); deleted != 0 || err != nil {
			t.Error(deleted, err)
		}
		// A question that was answered 202 may still be at it, and write its row once more.
		if deleted, err := checked.Purge(ctx, -time.Hour); deleted < 3 || err != nil {
			t.Error(deleted, err)
		}
	})
}
