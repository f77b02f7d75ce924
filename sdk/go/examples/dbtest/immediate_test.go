package dbtest

import (
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tercet.dev/tercet-go"
)

// TestWritersHaveTheRightToWriteAtOnce: whatever the name of the data source says, by either driver, InTx has what BEGIN IMMEDIATE
// gives before fn reads anything, waits for another process, and leaves the connection as it was.
func TestWritersHaveTheRightToWriteAtOnce(t *testing.T) {
	for _, c := range []struct{ driver, query, timeout string }{
		{"sqlite", "", "0"}, {"sqlite", "?_txlock=deferred", "0"}, {"sqlite", "?_txlock=immediate&_pragma=busy_timeout(7)", "7"},
		{"sqlite", "?_txlock=exclusive", "0"}, {"sqlite", "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(500)", "500"},
		{"sqlite3", "", "5000"}, {"sqlite3", "?_txlock=deferred&_busy_timeout=0", "0"}, {"sqlite3", "?_txlock=immediate", "5000"},
		{"sqlite3", "?_txlock=exclusive&_journal_mode=WAL", "5000"},
	} {
		t.Run(c.driver+c.query, func(t *testing.T) {
			if !slices.Contains(sql.Drivers(), c.driver) {
				t.Skip("left out by the tag nocgosqlite")
			}
			source := "file:" + filepath.Join(t.TempDir(), "a.db") + c.query
			open := func() *sql.DB {
				db, err := sql.Open(c.driver, source)
				if err != nil {
					t.Fatal(err)
				}
				db.SetMaxOpenConns(1)
				t.Cleanup(func() { _ = db.Close() })
				return db
			}
			one, two := open(), open()
			exec(t, one, "CREATE TABLE a (n INTEGER)")
			ctx := context.Background()
			err := tercet.InTx(ctx, one, func(tx *sql.Tx) error {
				// Nothing was read or written yet. Another connection must not get the right to write.
				conn, err := two.Conn(ctx)
				if err != nil {
					return err
				}
				defer conn.Close()
				if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
					return err
				}
				if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err == nil {
					_, _ = conn.ExecContext(ctx, "ROLLBACK")
					t.Error("two have the right to write")
				}
				_, err = tx.ExecContext(ctx, "INSERT INTO a VALUES (1)")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			// Who waits for another process waits for what it has done.
			holding, held := make(chan struct{}), make(chan error)
			go func() {
				held <- tercet.InTx(ctx, two, func(tx *sql.Tx) error {
					close(holding)
					_, err := tx.ExecContext(ctx, "INSERT INTO a VALUES (2)")
					return err
				})
			}()
			<-holding
			err = tercet.InTx(ctx, one, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, "INSERT INTO a SELECT COUNT(*) FROM a")
				return err
			})
			if err != nil || <-held != nil {
				t.Fatal(err)
			}
			var sum int
			if err := one.QueryRow("SELECT SUM(n) FROM a").Scan(&sum); err != nil || sum != 5 {
				t.Error(sum, err)
			}
			var timeout string
			if err := one.QueryRow("PRAGMA busy_timeout").Scan(&timeout); err != nil || timeout != c.timeout {
				t.Errorf("busy_timeout is %s (%v), was %s", timeout, err, c.timeout)
			}
			// A connection on which something failed is good for the next one.
			if err := tercet.InTx(ctx, one, func(*sql.Tx) error { return sql.ErrNoRows }); err != sql.ErrNoRows {
				t.Error(err)
			}
			exec(t, one, "INSERT INTO a VALUES (3)")
		})
	}
}

// TestAWriterThatHoldsSQLiteTooLongIsWaitedForABoundedTime: another process writes for longer than a call may wait.
func TestAWriterThatHoldsSQLiteTooLongIsWaitedForABoundedTime(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		if !isSQLite(address) {
			t.Skip("others let many write")
		}
		s := newService(t, address, nil)
		other := open(t, address)
		conn, err := other.Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(context.Background(), "BEGIN IMMEDIATE"); err != nil {
			t.Fatal(err)
		}
		got := s.call(call{op: "try", gid: "a"})
		if got.String() != "202 in-progress" || got.header.Get("Retry-After") != "1" {
			t.Error(got)
		}
		if _, err := conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if got := insisted(s, call{op: "try", gid: "a"}); got.status != http.StatusOK {
			t.Error(got)
		}
		if got := s.balances(); got != "990 10 0" {
			t.Error(got)
		}
	})
}

// TestACallThatBeginsAnotherTransactionIsToldSo: on SQLite it would wait for itself.
func TestACallThatBeginsAnotherTransactionIsToldSo(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		var db *sql.DB
		var within error
		s := newService(t, address, func(ctx context.Context, _ *sql.Tx, _ *tercet.Call, _ debit) error {
			within = tercet.InTx(ctx, db, func(*sql.Tx) error { return nil })
			return nil
		})
		db = s.db
		if got := s.call(call{op: "try", gid: "a"}); got.String() != triedNow || (within != nil) != isSQLite(address) {
			t.Error(got, within)
		}
	})
}

const dieIn = "TERCET_TEST_DIE_IN"

// TestMain lets the test be a process of its own that dies when it is told to.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	address := os.Getenv(dieIn)
	if address == "" {
		os.Exit(m.Run())
	}
	if rest, is := strings.CutPrefix(address, "relay "); is {
		dieInARelay(rest)
	}
	dieInATry(address)
}

// dieInATry makes a call whose business code never comes back.
func dieInATry(address string) {
	t := &testing.T{}
	s := newService(t, address, func(context.Context, *sql.Tx, *tercet.Call, debit) error {
		_, _ = os.Stdout.WriteString("inside\n")
		time.Sleep(time.Hour)
		return nil
	})
	s.call(call{op: "try", gid: "a"})
	time.Sleep(time.Hour)
}

// dying starts this program again, to die when it has said a line.
func dying(t *testing.T, what string) (kill func()) {
	t.Helper()
	self := again(t, what)
	out, err := self.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = self.Process.Kill() })
	var line [7]byte
	if _, err := out.Read(line[:]); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = self.Process.Kill()
		_ = self.Wait()
	}
}

func again(t *testing.T, what string) *osexec.Cmd {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := osexec.Command(self)
	command.Env = append(os.Environ(), dieIn+"="+what)
	command.Stderr = os.Stderr
	return command
}

func TestAProcessThatIsKilledBetweenInsertAndCommitHasDoneNothing(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		s := newService(t, address, nil)
		kill := dying(t, address)
		if got := s.call(call{op: "try", gid: "a"}); got.String() != "202 in-progress" {
			t.Errorf("while the other is at it: %s", got)
		}
		kill()
		if got := insisted(s, call{op: "try", gid: "a"}); got.String() != triedNow && got.String() != triedBefore {
			t.Error(got)
		}
		if got := s.balances(); got != "990 10 0" {
			t.Error(got)
		}
		if got := insisted(s, call{op: "cancel", gid: "a"}); got.String() != cancelledNow {
			t.Error(got)
		}
		if got := s.balances(); got != "1000 0 0" {
			t.Error(got)
		}
	})
}
