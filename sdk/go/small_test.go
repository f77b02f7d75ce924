package tercet

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"
)

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestGidsAreMadeInTheOrderOfTime(t *testing.T) {
	before := NewGid()
	for range 1000 {
		gid := NewGid()
		if _, err := parseInstance(gid); err != nil || gid[14] != '7' || checkID(gid, gidMaxLen) != nil || gid[:8] < before[:8] {
			t.Fatal(gid, err)
		}
		before = gid
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Unix(784_111_777, 0) // Sun, 06 Nov 1994 08:49:37 GMT
	for text, want := range map[string]string{
		"0": "0s", "3": "3s", " 120 ": "2m0s", "Sun, 06 Nov 1994 08:49:40 GMT": "3s", "Sunday, 06-Nov-94 08:49:40 GMT": "3s",
		"Sun Nov  6 08:49:40 1994": "3s", "Sun, 06 Nov 1994 08:49:30 GMT": "0s", "99999999999999999999": "596523h14m7s",
		"": "none", "-1": "none", "+1": "none", "1.5": "none", "soon": "none", "1994-11-06T08:49:37Z": "none",
	} {
		pause, asked := parseRetryAfter(text, now)
		got := "none"
		if asked {
			got = pause.String()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestPausesGrowToACap(t *testing.T) {
	for failures := 1; failures < 100; failures++ {
		step := between.step(failures)
		if step < 100*time.Millisecond || step > 3*time.Second || failures > 1 && step < between.step(failures-1) {
			t.Errorf("%d: %s", failures, step)
		}
		if pause := between.pause(failures, time.Minute); pause != time.Minute {
			t.Errorf("%d: %s is less than was asked for", failures, pause)
		}
		if half := oddPause.atLeastHalf(failures); half < oddPause.step(failures)/2 || half > oddPause.step(failures) {
			t.Errorf("%d: %s", failures, half)
		}
	}
}

func TestTheClockIsDoubtedForADayAfterAJump(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	for jump, want := range map[time.Duration]bool{0: false, time.Second: false, 2 * time.Hour: true, -2 * time.Hour: true} {
		clock := &wallClock{wall: start}
		for _, hours := range []time.Duration{1, 23, 26} {
			passed := hours * time.Hour
			late, isDoubted := clock.look(start.Add(jump+passed), passed)
			if isDoubted != (want && hours < 25) {
				t.Errorf("a jump of %s, after %s: %t", jump, passed, isDoubted)
			}
			if late.Before(start.Add(jump + passed)) {
				t.Errorf("a jump of %s: %s is early", jump, late)
			}
		}
	}
}

func TestWritersTakeTurnsInTheOrderInWhichTheyCame(t *testing.T) {
	queue := &writeQueue{writer: make(chan struct{}, 1), places: make(chan struct{}, waitingAtMost)}
	ctx := context.Background()
	leave, err := queue.join(ctx)
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := queue.join(impatient); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for range waitingAtMost {
		queue.places <- struct{}{}
	}
	if _, err := queue.join(ctx); !errors.Is(err, errBusy) {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		leave, err := queue.joinSurely(ctx)
		if err == nil {
			leave()
		}
	}()
	leave()
	done.Wait()
}

func TestCallsOfOneBranchTakeTurnsAndLeaveNothingBehind(t *testing.T) {
	var turns turns
	ctx, a, b := context.Background(), branchKey{"g", "a"}, branchKey{"g", "b"}
	endA, _ := turns.take(ctx, a, time.Minute)
	endB, taken := turns.take(ctx, b, time.Minute)
	if !taken {
		t.Fatal("another branch waits")
	}
	if _, taken := turns.take(ctx, a, time.Millisecond); taken {
		t.Fatal("two at once")
	}
	second := make(chan func())
	go func() {
		end, _ := turns.take(ctx, a, time.Minute)
		second <- end
	}()
	endA()
	(<-second)()
	endB()
	if len(turns.lines) != 0 {
		t.Error(turns.lines)
	}
}

func TestBooksBeginBehindARowAGidOrNothing(t *testing.T) {
	for query, want := range map[string]string{
		"": `"" "" 50`, "after=o-1/pay&limit=500": `"o-1" "pay" 500`, "after=o-1/&limit=1": `"o-1" "" 1`, "after=o-1": `"o-1" "~" 50`,
		"limit=0": "limit: must be 1 to 500", "limit=501": "limit: must be 1 to 500", "limit=x": "limit: must be 1 to 500",
		"after=a+b/c": "after: must be {gid}/{branch}, as next_cursor gives it", "page=2": "page: is not known here",
		"limit=1&limit=2": "limit: is there more than once",
	} {
		parsed, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		v, why := bookRange(parsed)
		got := why
		if v != nil {
			got = fmt.Sprintf("%q %q %d", v.gid, v.branch, v.limit)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func TestWhatIsSaidOfAMessageIsOfItAloneOrOfAll(t *testing.T) {
	problem := func(code string) string { return fmt.Sprintf(`{"code":%q,"detail":"d"}`, code) }
	for _, c := range []struct {
		status int
		body   string
		kind   toldKind
	}{
		{201, `{"status":"confirming"}`, toldHas}, {200, "hello", toldOdd}, {200, "{}", toldOdd}, {400, problem("invalid-request"), toldRefused},
		{409, problem("gid-reused"), toldRefused}, {413, problem("payload-too-large"), toldRefused},
		{404, problem("transaction-not-found"), toldUnknown}, {401, problem("unauthorized"), toldAway}, {404, problem("not-found"), toldAway},
		{500, problem("internal"), toldOdd}, {400, "<html>", toldAway}, {302, "", toldAway},
	} {
		if got := toldBy(&reply{c.status, []byte(c.body)}, nil); got.kind != c.kind {
			t.Errorf("%d %s: %v", c.status, c.body, got)
		}
	}
	for _, c := range []struct {
		from    OutboxState
		was     told
		becomes OutboxState
	}{
		{OutboxPending, told{kind: toldHas, status: StatusConfirming}, OutboxSent}, {OutboxPending, told{kind: toldHas, status: "of tomorrow"}, OutboxSent},
		{OutboxPending, told{kind: toldHas, status: StatusConfirmed}, OutboxConfirmed}, {OutboxPending, told{kind: toldHas, status: StatusCancelled}, OutboxCancelled},
		{OutboxPending, told{kind: toldRefused}, OutboxDead}, {OutboxPending, told{kind: toldUnknown}, OutboxPending},
		{OutboxPending, told{kind: toldOdd}, OutboxPending}, {OutboxPending, told{kind: toldAway}, OutboxPending},
		{OutboxSent, told{kind: toldHas, status: StatusConfirming}, OutboxSent}, {OutboxSent, told{kind: toldHas, status: StatusConfirmed}, OutboxConfirmed},
		{OutboxSent, told{kind: toldUnknown}, OutboxDead}, {OutboxSent, told{kind: toldOdd}, OutboxSent}, {OutboxSent, told{kind: toldAway}, OutboxSent},
	} {
		if got := nextOf(c.from, 1, c.was); got.state != c.becomes {
			t.Errorf("%s %v: %v", c.from, c.was, got)
		}
	}
	if got := shortReason("a\x00\xff"); got != "a\ufffd\ufffd" {
		t.Errorf("%q", got)
	}
}

func TestMessagesThatNoCoordinatorWouldTakeAreRefused(t *testing.T) {
	message := func(branches ...Branch) Transaction { return Transaction{Gid: "m-1", Branches: branches} }
	a := Branch{ID: "a", Confirm: "http://a.internal/confirm"}
	for _, c := range []struct {
		transaction Transaction
		want        string
	}{
		{message(a), "<nil>"}, {message(), "branches: a message needs branches, and is not open"},
		{message(a, a), "branches[1].id: a is the id of an earlier branch"},
		{message(Branch{ID: "a"}), "branches[0]: a branch needs at least one URL: give Endpoint, Try, Confirm or Cancel"},
		{message(Branch{ID: "a", Confirm: "a.internal"}), "branches[0].confirm: must be an http or https URL without user and fragment"},
		{message(Branch{ID: "a", Endpoint: "http://a", Try: "http://a"}), "branches[0].endpoint: is there beside a leg of its own"},
		{Transaction{Branches: []Branch{a}}, "gid: must be 1 to 128 characters long, this has 0"},
	} {
		if _, err := c.transaction.message(); fmt.Sprint(err) != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

type validated struct{ Amount int }

func (v *validated) Validate() error {
	if v.Amount <= 0 {
		return errors.New("amount must be positive")
	}
	return nil
}

func TestPayloadsAreReadAsTheyAreMeant(t *testing.T) {
	for text, want := range map[string]string{
		`{"amount":1}`: "<nil>", `{"Amount":9007199254740993}`: "<nil>", `{"amount":0}`: "the payload cannot be read: amount must be positive",
		`{"amount":"1"}`: "the payload cannot be read: Amount must not be a string", `null`: "the payload cannot be read: it must not be null",
		`{"amount":1} {}`: "the payload cannot be read: it is not as expected", `{`: "the payload cannot be read: it is not as expected",
		"{\"amount\":1,\"\xff\":1}": "the payload cannot be read: it is no UTF-8", "": "the payload cannot be read: it is not as expected",
	} {
		if _, err := readPayload[validated]([]byte(text)); fmt.Sprint(err) != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	big, err := readPayload[map[string]any]([]byte(`{"amount":12345678901234567890.10}`))
	if err != nil || fmt.Sprint(big["amount"]) != "12345678901234567890.10" {
		t.Error(big, err)
	}
}

type pgError struct{ code string }

func (e *pgError) Error() string    { return e.code }
func (e *pgError) SQLState() string { return e.code }

type otherError struct{}

func (otherError) Error() string { return "not found" }
func (otherError) Code() int     { return 5 }

func TestOnlyWhatAnotherTransactionCausedIsContention(t *testing.T) {
	for code, want := range map[string]contention{"40001": lost, "40P01": lost, "55P03": waited, "23505": none, "57014": none, "": none} {
		wrapped := fmt.Errorf("a: %w", errors.Join(errors.New("b"), &pgError{code}))
		if got := contentionOf(PostgreSQL, wrapped); got != want {
			t.Errorf("%s: %d", code, got)
		}
		if got := contentionOf(MySQL, wrapped); got != none {
			t.Errorf("%s: %d", code, got)
		}
	}
	for number, want := range map[uint64]contention{1205: waited, 1213: lost, 1020: lost, 1062: none, 9007: lost} {
		if got := contentionOfNumber(number); got != want {
			t.Errorf("%d: %d", number, got)
		}
	}
	for code, want := range map[int64]contention{5: lost, 517: lost, 6: lost, 262: lost, 13: none, 2067: none} {
		if got := contentionOfCode(code); got != want {
			t.Errorf("%d: %d", code, got)
		}
	}
	if contentionOf(SQLite, otherError{}) != none || contentionOf(SQLite, nil) != none {
		t.Error("business code has codes of its own")
	}
}
