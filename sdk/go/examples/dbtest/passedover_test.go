package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"tercet.dev/tercet-go"
)

func TestAnErrorThatWasPassedOverIsNotAnsweredDone(t *testing.T) {
	server := os.Getenv("TERCET_TEST_POSTGRES_URL")
	if server == "" {
		t.Skip("TERCET_TEST_POSTGRES_URL is not set")
	}
	for _, driver := range []string{"", "pq:"} {
		t.Run("by "+map[string]string{"": "pgx", "pq:": "lib/pq"}[driver], func(t *testing.T) {
			t.Parallel()
			passesOver := true
			s := newService(t, driver+newDatabase(t, server), nil)
			does := func(ctx context.Context, tx *sql.Tx, _ *tercet.Call, _ debit) error {
				if _, err := tx.ExecContext(ctx, "UPDATE account SET taken = taken + 1 WHERE name = 'alice'"); err != nil {
					return err
				}
				if passesOver {
					if _, err := tx.ExecContext(ctx, "SELECT 1 / 0"); err == nil {
						return errors.New("there is no error to pass over")
					}
				}
				return nil
			}
			s.Handler = tercet.NewHandler(s.guard, tercet.Participant[debit]{Try: does, Confirm: does, Cancel: does, CancelsEmpty: true})
			for taken, c := range []call{{op: "try", gid: "a"}, {op: "confirm", gid: "a"}, {op: "cancel", gid: "empty"}} {
				passesOver = true
				if got := s.call(c); got.String() != "503 failed" {
					t.Error(c.op, got)
				}
				if got, want := s.balances(), fmt.Sprint(1000, 0, taken); got != want {
					t.Errorf("%s leaves %s, want %s", c.op, got, want)
				}
				passesOver = false
				if got := s.call(c); got.status != http.StatusOK || !strings.Contains(got.body, `"repeated":false`) {
					t.Error(c.op, got)
				}
			}
		})
	}
}

func TestADeadlockThatWasPassedOverIsNotAnsweredDone(t *testing.T) {
	server := os.Getenv("TERCET_TEST_MYSQL_URL")
	if server == "" {
		t.Skip("TERCET_TEST_MYSQL_URL is not set")
	}
	t.Parallel()
	passesOver := true
	s := newService(t, newDatabase(t, server), nil)
	// So that the session that was called on is seen afterwards.
	s.db.SetMaxOpenConns(1)
	another := open(t, s.address)
	exec(t, s.db, "CREATE TABLE other (id INT PRIMARY KEY, n INT NOT NULL)")
	exec(t, s.db, "INSERT INTO other VALUES (0, 0), (1, 0), (2, 0)")
	does := func(ctx context.Context, tx *sql.Tx, _ *tercet.Call, _ debit) error {
		if passesOver {
			if err := loseDeadlock(ctx, tx, another); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "UPDATE other SET n = n + 1 WHERE id = 1")
		return err
	}
	s.Handler = tercet.NewHandler(s.guard, tercet.Participant[debit]{Try: does, Confirm: does, Cancel: does, CancelsEmpty: true})
	written := func() string {
		var n, autocommit int
		err := errors.Join(s.db.QueryRow("SELECT SUM(n) FROM other").Scan(&n), s.db.QueryRow("SELECT @@SESSION.autocommit").Scan(&autocommit))
		return fmt.Sprint(n, autocommit, err)
	}
	for sum, c := range []call{{op: "try", gid: "a"}, {op: "confirm", gid: "a"}, {op: "cancel", gid: "empty"}} {
		passesOver = true
		if got := s.call(c); got.String() != "503 failed" {
			t.Error(c.op, got)
		}
		if got, want := written(), fmt.Sprint(sum, 1, error(nil)); got != want {
			t.Errorf("%s leaves %s, want %s", c.op, got, want)
		}
		passesOver = false
		if got := s.call(c); got.status != http.StatusOK || !strings.Contains(got.body, `"repeated":false`) {
			t.Error(c.op, got)
		}
	}
}

// loseDeadlock has the transaction of a call be the victim of a deadlock, and passes over the error.
func loseDeadlock(ctx context.Context, tx *sql.Tx, another *sql.DB) error {
	opponent, err := another.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = opponent.Rollback() }()
	// Who has written more is spared.
	var rows []string
	for id := range 50 {
		rows = append(rows, fmt.Sprintf("(%d, 0)", 100+id))
	}
	_, wrote := opponent.ExecContext(ctx, "INSERT INTO other VALUES "+strings.Join(rows, ", "))
	_, has := opponent.ExecContext(ctx, "UPDATE other SET n = n + 1 WHERE id = 2")
	_, we := tx.ExecContext(ctx, "UPDATE other SET n = n + 1 WHERE id = 0")
	if err := errors.Join(wrote, has, we); err != nil {
		return err
	}
	theirs := make(chan error)
	go func() {
		_, err := opponent.ExecContext(ctx, "UPDATE other SET n = n + 1 WHERE id = 0")
		theirs <- err
	}()
	_, ours := tx.ExecContext(ctx, "UPDATE other SET n = n + 1 WHERE id = 2")
	if err := <-theirs; err != nil {
		return err
	}
	var deadlock *mysql.MySQLError
	if !errors.As(ours, &deadlock) || deadlock.Number != 1213 {
		return fmt.Errorf("this is no deadlock: %w", ours)
	}
	return nil
}
