package dbtest

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tercet.dev/tercet-go"
)

const (
	triedNow     = `200 {"state":"tried","repeated":false}`
	triedBefore  = `200 {"state":"tried","repeated":true}`
	confirmedNow = `200 {"state":"confirmed","repeated":false}`
	cancelledNow = `200 {"state":"cancelled","repeated":false}`
)

func TestEachCallIsRunOnceAndAnsweredByTheTable(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		s := newService(t, address, nil)
		long := time.Now().Add(-2 * time.Hour).UTC().Format("2006-01-02T15:04:05.000Z")
		for i, step := range []struct {
			call     call
			answer   string
			balances string
		}{
			{call{op: "try", gid: "a"}, triedNow, "990 10 0"},
			{call{op: "try", gid: "a"}, triedBefore, "990 10 0"},
			{call{op: "try", gid: "A"}, triedNow, "980 20 0"},
			{call{op: "confirm", gid: "a"}, confirmedNow, "980 10 10"},
			{call{op: "confirm", gid: "a"}, `200 {"state":"confirmed","repeated":true}`, "980 10 10"},
			{call{op: "try", gid: "a", attempt: 9}, `200 {"state":"confirmed","repeated":true}`, "980 10 10"},
			{call{op: "cancel", gid: "a"}, "409 branch-confirmed", "980 10 10"},
			{call{op: "cancel", gid: "A"}, cancelledNow, "990 0 10"},
			{call{op: "cancel", gid: "A"}, `200 {"state":"cancelled","repeated":true}`, "990 0 10"},
			{call{op: "confirm", gid: "A"}, "410 branch-cancelled", "990 0 10"},
			{call{op: "cancel", gid: "empty"}, cancelledNow, "990 0 10"},
			{call{op: "try", gid: "empty"}, "409 branch-cancelled", "990 0 10"},
			{call{op: "confirm", gid: "never"}, "410 branch-not-tried", "990 0 10"},
			{call{op: "confirm", gid: "message", legs: "confirm"}, confirmedNow, "990 -10 20"},
			{call{op: "try", gid: "a", instance: another}, "409 another-instance", "990 -10 20"},
			{call{op: "cancel", gid: "a", instance: another}, "410 another-instance", "990 -10 20"},
			{call{op: "try", gid: "late", header: map[string]string{"Tercet-Deadline": long}}, "409 deadline-passed", "990 -10 20"},
			{call{op: "cancel", gid: "late"}, cancelledNow, "990 -10 20"},
			{call{op: "try", gid: "nobody", body: `{"account":"carol","amount":1}`}, "409 insufficient-funds", "990 -10 20"},
			{call{op: "cancel", gid: "nobody", body: `{"account":"carol","amount":1}`}, cancelledNow, "990 -10 20"},
			{call{op: "try", gid: "odd", body: `{"account":"alice","amount":"x"}`}, "400 invalid-payload", "990 -10 20"},
			{call{op: "cancel", gid: "odd", body: `{"account":"alice","amount":"x"}`}, cancelledNow, "990 -10 20"},
			{call{op: "try", gid: "b", header: map[string]string{"Tercet-Gid": ""}}, "400 invalid-call", "990 -10 20"},
		} {
			if got := s.call(step.call).String(); got != step.answer {
				t.Errorf("%d %s %s: %s, want %s", i, step.call.op, step.call.gid, got, step.answer)
			}
			if got := s.balances(); got != step.balances {
				t.Errorf("%d %s %s leaves %s, want %s", i, step.call.op, step.call.gid, got, step.balances)
			}
		}
	})
}

func TestRacingCallsOfTwoProcessesAreDoneOnce(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		one, two := newService(t, address, nil), newService(t, address, nil)
		const rounds = 15
		for round := range rounds {
			gid := fmt.Sprint("race-", round)
			// Two Tries and a Cancel, at once; whoever is told to comes again.
			atOnce(
				func() answer { return insisted(one, call{op: "try", gid: gid}) },
				func() answer { return insisted(two, call{op: "try", gid: gid}) },
				func() answer { return insisted(two, call{op: "cancel", gid: gid}) },
			)
			if got := insisted(one, call{op: "cancel", gid: gid, attempt: 2}).status; got != http.StatusOK {
				t.Fatalf("%s: the Cancel is answered %d", gid, got)
			}
			if got := one.balances(); got != "1000 0 0" {
				t.Fatalf("%s leaves %s", gid, got)
			}
		}
		for round := range rounds {
			gid := fmt.Sprint("confirm-", round)
			if got := insisted(one, call{op: "try", gid: gid}); got.status != http.StatusOK {
				t.Fatal(got)
			}
			atOnce(
				func() answer { return insisted(one, call{op: "confirm", gid: gid}) },
				func() answer { return insisted(two, call{op: "confirm", gid: gid}) },
			)
		}
		if got, want := one.balances(), fmt.Sprint(1000-10*rounds, 0, 10*rounds); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// atOnce makes calls at once, each until it is answered, and waits for all.
func atOnce(calls ...func() answer) {
	var all sync.WaitGroup
	for _, call := range calls {
		all.Add(1)
		go func() {
			defer all.Done()
			call()
		}()
	}
	all.Wait()
}

// insisted calls until the answer is not that it is in progress, or failed.
func insisted(s *service, c call) answer {
	for {
		got := s.call(c)
		if got.status != http.StatusAccepted && got.status != http.StatusServiceUnavailable {
			return got
		}
		c.attempt++
	}
}

func TestACallThatMeetsAnotherOneStillRunningIsToComeAgain(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		inside, goOn := make(chan struct{}), make(chan struct{})
		one := newService(t, address, func(context.Context, *sql.Tx, *tercet.Call, debit) error {
			inside <- struct{}{}
			<-goOn
			return nil
		})
		two := newService(t, address, nil)
		first := make(chan answer)
		go func() { first <- one.call(call{op: "try", gid: "a"}) }()
		<-inside
		for _, s := range []*service{one, two} {
			got := s.call(call{op: "cancel", gid: "a"})
			if got.String() != "202 in-progress" || got.header.Get("Retry-After") != "1" {
				t.Errorf("%s, Retry-After %s", got, got.header.Get("Retry-After"))
			}
		}
		close(goOn)
		if got := <-first; got.String() != triedNow {
			t.Error(got)
		}
		if got := insisted(two, call{op: "cancel", gid: "a"}); got.String() != cancelledNow {
			t.Error(got)
		}
		if got := two.balances(); got != "1000 0 0" {
			t.Error(got)
		}
		var timeout int
		if strings.HasPrefix(address, "mysql") {
			// The session got back what it had.
			for range 5 {
				if err := two.db.QueryRow("SELECT @@SESSION.innodb_lock_wait_timeout").Scan(&timeout); err != nil || timeout != 50 {
					t.Error(timeout, err)
				}
			}
		}
	})
}

func TestDeadlocksAreRunAgain(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		if isSQLite(address) {
			t.Skip("one transaction writes at a time")
		}
		var both sync.WaitGroup
		both.Add(2)
		var once sync.Map
		s := newService(t, address, func(ctx context.Context, tx *sql.Tx, c *tercet.Call, d debit) error {
			// Each has locked its own account. The first time they meet before they ask for the other one's.
			if _, again := once.LoadOrStore(c.Gid, true); !again {
				both.Done()
				both.Wait()
			}
			other := map[string]string{"alice": "bob", "bob": "alice"}[d.Account]
			text := "UPDATE account SET taken = taken + 1 WHERE name = ?"
			if strings.HasPrefix(address, "postgres") {
				text = "UPDATE account SET taken = taken + 1 WHERE name = $1"
			}
			_, err := tx.ExecContext(ctx, text, other)
			return err
		})
		answers := make(chan answer)
		for _, name := range []string{"alice", "bob"} {
			go func() {
				answers <- s.call(call{op: "try", gid: name, body: `{"account":"` + name + `","amount":10}`})
			}()
		}
		for range 2 {
			if got := <-answers; got.String() != triedNow {
				t.Error(got)
			}
		}
		if got := s.balances(); got != "990 10 1" {
			t.Error(got)
		}
	})
}

func TestATryThatIsRepeatedIsAnsweredWithTheSame(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		n := 0
		s := newService(t, address, func(_ context.Context, _ *sql.Tx, c *tercet.Call, d debit) error {
			n++
			_ = c.Answer("overwritten")
			if d.Amount == 99 {
				_ = c.Answer(strings.Repeat("x", 16*1024))
				return nil
			}
			return c.Answer(json.RawMessage(fmt.Sprintf(`{ "n":%d, "seat":"12Ä\u0000<&>", "fare":1.10 }`, n)))
		})
		want := `200 { "n":1, "seat":"12Ä\u0000<&>", "fare":1.10 }`
		for range 3 {
			if got := s.call(call{op: "try", gid: "a"}); got.String() != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		if got := s.call(call{op: "confirm", gid: "a"}); got.String() != confirmedNow {
			t.Error(got)
		}
		if got := s.call(call{op: "try", gid: "a"}); got.String() != want {
			t.Errorf("after its confirm: %s", got)
		}
		if got := s.call(call{op: "try", gid: "b", body: `{"account":"alice","amount":99}`}); got.String() != "409 result-too-large" {
			t.Error(got)
		}
	})
}

func TestWhatBusinessCodeSaysIsAnswered(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		var says error
		s := newService(t, address, func(context.Context, *sql.Tx, *tercet.Call, debit) error {
			if says == nil {
				panic("s3cret")
			}
			return says
		})
		for _, step := range []struct {
			says         error
			answer       string
			retryAfterIs string
		}{
			{tercet.Refuse("sold-out", "none left"), "409 sold-out", ""},
			{fmt.Errorf("a: %w", tercet.Refuse("sold-out", "none left")), "409 sold-out", ""},
			{tercet.RetryAfter(5*time.Second, errors.New("s3cret")), "503 failed", "5"},
			{errors.New("s3cret"), "503 failed", ""},
			{nil, "503 failed", ""},
		} {
			says = step.says
			got := s.call(call{op: "try", gid: "a"})
			if got.String() != step.answer || got.header.Get("Retry-After") != step.retryAfterIs || strings.Contains(got.body, "s3cret") {
				t.Errorf("%v: %s %s", says, got, got.body)
			}
			if got := s.balances(); got != "1000 0 0" {
				t.Errorf("%v leaves %s", says, got)
			}
		}
	})
}

func TestAnEmptyCancelIsRunForWhoeverAsks(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		s := newService(t, address, nil)
		var seen []bool
		s.Handler = tercet.NewHandler(s.guard, tercet.Participant[debit]{CancelsEmpty: true,
			Cancel: func(_ context.Context, _ *sql.Tx, c *tercet.Call, _ debit) error {
				seen = append(seen, c.Empty)
				return nil
			}})
		for _, step := range []call{{op: "cancel", gid: "a"}, {op: "cancel", gid: "a"}, {op: "try", gid: "b"}, {op: "cancel", gid: "b"}, {op: "cancel", gid: "c", body: "1"}} {
			if got := s.call(step); got.status != http.StatusOK {
				t.Error(step, got)
			}
		}
		if fmt.Sprint(seen) != "[true false]" {
			t.Error(seen)
		}
	})
}

func TestACallerWhoHangsUpLeavesNoHalfCallBehind(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		inside, goOn := make(chan struct{}), make(chan struct{})
		s := newService(t, address, func(ctx context.Context, _ *sql.Tx, _ *tercet.Call, _ debit) error {
			close(inside)
			<-goOn
			return ctx.Err()
		})
		server := httptest.NewServer(s)
		defer server.Close()
		ctx, hangUp := context.WithCancel(context.Background())
		request := call{op: "try", gid: "a"}.request().Clone(ctx)
		request.RequestURI = ""
		request.URL.Scheme, request.URL.Host = "http", strings.TrimPrefix(server.URL, "http://")
		failed := make(chan error)
		go func() {
			_, err := http.DefaultClient.Do(request)
			failed <- err
		}()
		<-inside
		hangUp()
		if err := <-failed; err == nil {
			t.Error("it did not hang up")
		}
		close(goOn)
		if got := insisted(s, call{op: "try", gid: "a"}); got.String() != triedBefore {
			t.Error(got)
		}
		if got := s.balances(); got != "990 10 0" {
			t.Error(got)
		}
	})
}

func TestAPoolThatIsUsedUpIsBusyNotBroken(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		s := newService(t, address, nil)
		s.db.SetMaxOpenConns(1)
		held, err := s.db.Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		got := s.call(call{op: "cancel", gid: "a"})
		if got.String() != "202 in-progress" || got.header.Get("Retry-After") != "1" {
			t.Error(got)
		}
		got = s.call(call{op: "try", gid: "b"})
		if isSQLite(address) {
			// It keeps its place in the queue.
			if got.String() != "202 in-progress" {
				t.Error(got)
			}
		} else if got.String() != "503 busy" || got.header.Get("Retry-After") != "1" {
			t.Error(got)
		}
		_ = held.Close()
		if got := insisted(s, call{op: "try", gid: "c"}); got.String() != triedNow {
			t.Error(got)
		}
	})
}

func TestRowsThatNobodyAsksForGoAndReservationsStay(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		s := newService(t, address, func(_ context.Context, _ *sql.Tx, c *tercet.Call, _ debit) error { return c.Answer(c.Gid) })
		for _, step := range []call{
			{op: "try", gid: "reserved"}, {op: "try", gid: "gone"}, {op: "confirm", gid: "gone"}, {op: "cancel", gid: "empty"},
			{op: "try", gid: "called"}, {op: "confirm", gid: "called"}, {op: "try", gid: "try-only", legs: "try"},
		} {
			if got := s.call(step); got.status != http.StatusOK {
				t.Fatal(step, got)
			}
		}
		month := int64(40 * 24 * 60 * 60 * 1000)
		exec(t, s.db, s.words("UPDATE tercet_guard SET updated_at = updated_at - ?"), month)
		// It is called after all, by a repeat and by one that is refused.
		for _, step := range []call{{op: "confirm", gid: "called"}, {op: "try", gid: "empty"}} {
			s.call(step)
		}
		purged, err := s.guard.Purge(context.Background(), tercet.PurgeAfter)
		if err != nil || purged.Deleted != 2 || purged.Undecided != 1 {
			t.Errorf("%+v %v", purged, err)
		}
		var left []string
		rows, err := s.db.Query("SELECT gid FROM tercet_guard ORDER BY gid")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var gid string
			if err := rows.Scan(&gid); err != nil {
				t.Fatal(err)
			}
			left = append(left, gid)
		}
		if fmt.Sprint(left) != "[called empty reserved]" {
			t.Error(left)
		}
		var results int
		if err := s.db.QueryRow("SELECT COUNT(*) FROM tercet_guard_results").Scan(&results); err != nil || results != 2 {
			t.Error(results, err)
		}
	})
}

func TestBooksAreShownPageByPage(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		s := newService(t, address, nil)
		for _, gid := range []string{"b", "B", "a", "a-1", "c"} {
			s.call(call{op: "try", gid: gid})
		}
		var seen []string
		cursor := ""
		for {
			recorder := httptest.NewRecorder()
			s.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/payment/branches?limit=2&after="+cursor, nil))
			var page struct {
				Items []struct {
					Gid, Branch, Instance, State string
					At                           time.Time
				}
				NextCursor *string `json:"next_cursor"`
			}
			if err := json.Unmarshal(recorder.Body.Bytes(), &page); err != nil || recorder.Code != http.StatusOK {
				t.Fatal(recorder.Code, recorder.Body, err)
			}
			for _, item := range page.Items {
				seen = append(seen, item.Gid)
				if item.State != "tried" || item.Instance != instance || item.Branch != "payment" || time.Since(item.At) > time.Hour {
					t.Errorf("%+v", item)
				}
			}
			if page.NextCursor == nil {
				break
			}
			cursor = *page.NextCursor
		}
		if fmt.Sprint(seen) != "[B a a-1 b c]" {
			t.Error(seen)
		}
	})
}

func TestTablesAreMadeBySeveralAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		made := make(chan error)
		for range 6 {
			go func() {
				db := open(t, address)
				made <- errors.Join(tercet.NewGuard(db).Migrate(context.Background()), tercet.NewOutbox(db).Migrate(context.Background()),
					tercet.NewChecked(db).Migrate(context.Background()))
			}()
		}
		for range 6 {
			if err := <-made; err != nil {
				t.Error(err)
			}
		}
	})
}
