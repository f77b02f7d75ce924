// Bench sets a participant by the library beside the same written by hand, on one PostgreSQL in one process, turn and turn about: medians of what each did
// in a second, and the ratio.
package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tercet.dev/tercet-go"
	"tercet.dev/tercet-go/examples/database"
)

type debit struct {
	Account string `json:"account"`
	Amount  int64  `json:"amount"`
}

const (
	freeze = "UPDATE bench_account SET balance = balance - $1, frozen = frozen + $1 WHERE name = $2 AND balance >= $1"
	pay    = "UPDATE bench_account SET frozen = frozen - $1 WHERE name = $2"
	thaw   = "UPDATE bench_account SET balance = balance + $1, frozen = frozen - $1 WHERE name = $2"
)

func main() {
	address := flag.String("database", os.Getenv("TERCET_TEST_POSTGRES_URL"), "postgres://…")
	rounds := flag.Int("rounds", 31, "rounds of each")
	length := flag.Duration("length", 700*time.Millisecond, "of a round")
	callers := flag.Int("callers", 8, "at once")
	flag.Parse()
	if err := bench(*address, *rounds, *length, *callers); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(address string, rounds int, length time.Duration, callers int) error {
	slog.SetLogLoggerLevel(slog.LevelError)
	db, err := database.Open(address)
	if err != nil {
		return err
	}
	ctx := context.Background()
	guard, err := tercet.OpenGuard(ctx, db)
	if err != nil {
		return err
	}
	if err := prepare(db, callers); err != nil {
		return err
	}
	contestants := []struct {
		name    string
		handler http.Handler
		rates   []float64
		url     string
	}{{name: "by the library", handler: library(guard)}, {name: "by hand", handler: byHand{db}}}
	for i := range contestants {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		contestants[i].url = "http://" + listener.Addr().String()
		go func() { _ = http.Serve(listener, contestants[i].handler) }()
	}
	for round := -1; round < rounds; round++ {
		for turn := range contestants {
			// Who begins changes from round to round.
			i := (turn + round + 1) % len(contestants)
			rate, err := load(contestants[i].url, fmt.Sprint(round, "-", i), length, callers)
			if err != nil {
				return err
			}
			// The first warms both up.
			if round >= 0 {
				contestants[i].rates = append(contestants[i].rates, rate)
			}
		}
	}
	medians := make([]float64, len(contestants))
	for i, c := range contestants {
		sort.Float64s(c.rates)
		medians[i] = c.rates[len(c.rates)/2]
		fmt.Printf("%-15s %7.0f calls a second (median of %d; %.0f to %.0f)\n", c.name, medians[i], len(c.rates), c.rates[0], c.rates[len(c.rates)-1])
	}
	fmt.Printf("ratio           %7.2f\n", medians[0]/medians[1])
	if medians[0]/medians[1] < 0.9 {
		return errors.New("the library has less than nine tenths of what is written by hand")
	}
	return nil
}

func prepare(db *sql.DB, callers int) error {
	for _, text := range []string{
		"CREATE TABLE IF NOT EXISTS bench_account (name VARCHAR(64) PRIMARY KEY, balance BIGINT NOT NULL, frozen BIGINT NOT NULL)",
		"DELETE FROM bench_account", "DELETE FROM tercet_guard",
	} {
		if _, err := db.Exec(text); err != nil {
			return err
		}
	}
	for i := range callers {
		if _, err := db.Exec("INSERT INTO bench_account VALUES ($1, 1000000000, 0)", fmt.Sprint("a", i)); err != nil {
			return err
		}
	}
	return nil
}

func library(guard *tercet.Guard) http.Handler {
	change := func(text string) func(context.Context, *sql.Tx, *tercet.Call, debit) error {
		return func(ctx context.Context, tx *sql.Tx, _ *tercet.Call, d debit) error {
			changed, err := tercet.Changed(tx.ExecContext(ctx, text, d.Amount, d.Account))
			if err == nil && !changed {
				return tercet.Refuse("insufficient-funds", "there is not enough on the account")
			}
			return err
		}
	}
	return tercet.NewHandler(guard, tercet.Participant[debit]{Try: change(freeze), Confirm: change(pay), Cancel: change(thaw)})
}

// byHand is a participant as somebody writes it who goes by docs/guard-sql.md: no turns, no seats, no rounds.
type byHand struct{ db *sql.DB }

var errAnswered = errors.New("answered")

func (h byHand) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := path.Base(r.URL.Path)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	var d debit
	if err != nil || json.Unmarshal(body, &d) != nil || r.Header.Get("Tercet-Op") != op {
		http.Error(w, "this cannot be read", http.StatusBadRequest)
		return
	}
	status, err := h.guarded(context.WithoutCancel(r.Context()), op, r.Header, d)
	if err != nil && !errors.Is(err, errAnswered) {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"op":%q}`, op)
}

func (h byHand) guarded(ctx context.Context, op string, header http.Header, d debit) (int, error) {
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()
	gid, branch, instance, legs := header.Get("Tercet-Gid"), header.Get("Tercet-Branch"), header.Get("Tercet-Instance"), header.Get("Tercet-Legs")
	state := map[string]string{"try": "tried", "confirm": "confirmed", "cancel": "cancelled"}[op]
	now := time.Now().UnixMilli()
	if _, err := tx.ExecContext(ctx, "SET LOCAL lock_timeout = '500ms'"); err != nil {
		return 0, err
	}
	inserted, err := tercet.Changed(tx.ExecContext(ctx, `INSERT INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (gid, branch_id) DO NOTHING`, gid, branch, instance, legs, state, now))
	if err != nil {
		return 0, err
	}
	if inserted && op == "confirm" && strings.Contains(legs, "try") {
		return http.StatusGone, errAnswered
	}
	if inserted && op == "cancel" {
		return http.StatusOK, tx.Commit()
	}
	if !inserted {
		var of, before string
		var at int64
		err := tx.QueryRowContext(ctx, `SELECT instance, state, updated_at FROM tercet_guard
WHERE gid = $1 AND branch_id = $2 FOR UPDATE`, gid, branch).Scan(&of, &before, &at)
		switch {
		case err != nil:
			return 0, err
		case of != instance && op == "try", before == "cancelled" && op == "try", before == "confirmed" && op == "cancel":
			return http.StatusConflict, errAnswered
		case of != instance, before == "cancelled" && op == "confirm":
			return http.StatusGone, errAnswered
		case op == "try", before == state:
			return http.StatusOK, errAnswered
		}
	}
	changed, err := tercet.Changed(tx.ExecContext(ctx, map[string]string{"try": freeze, "confirm": pay, "cancel": thaw}[op], d.Amount, d.Account))
	if err != nil || !changed {
		return http.StatusConflict, errors.Join(err, errAnswered)
	}
	if !inserted {
		moved, err := tercet.Changed(tx.ExecContext(ctx, `UPDATE tercet_guard SET state = $1, updated_at = $2
WHERE gid = $3 AND branch_id = $4 AND state = $5`, state, now, gid, branch, "tried"))
		if err != nil || !moved {
			return http.StatusAccepted, errors.Join(err, errAnswered)
		}
	}
	return http.StatusOK, tx.Commit()
}

// load calls Try and Confirm of ever new branches, and gives the calls that were done in a second.
func load(url, name string, length time.Duration, callers int) (float64, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	defer client.CloseIdleConnections()
	var done atomic.Int64
	var failed atomic.Value
	var all sync.WaitGroup
	began := time.Now()
	for i := range callers {
		all.Add(1)
		go func() {
			defer all.Done()
			body := []byte(fmt.Sprintf(`{"account":"a%d","amount":1}`, i))
			for n := 0; time.Since(began) < length; n++ {
				for _, op := range []string{"try", "confirm"} {
					if err := one(client, url, op, fmt.Sprintf("bench-%d-%s-%d-%d", began.UnixNano(), name, i, n), body); err != nil {
						failed.Store(err)
						return
					}
					done.Add(1)
				}
			}
		}()
	}
	all.Wait()
	if err, is := failed.Load().(error); is {
		return 0, err
	}
	return float64(done.Load()) / time.Since(began).Seconds(), nil
}

func one(client *http.Client, url, op, gid string, body []byte) error {
	request, err := http.NewRequest(http.MethodPost, url+"/payment/"+op, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"Tercet-Gid": gid, "Tercet-Branch": "payment", "Tercet-Instance": "0193b6a0-0000-7000-8000-000000000001", "Tercet-Op": op,
		"Tercet-Legs": "try,confirm,cancel", "Tercet-Attempt": "1", "Content-Type": "application/json",
	} {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is answered %d", op, response.StatusCode)
	}
	return nil
}
