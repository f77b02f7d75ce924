// Package dbtest runs the library on real databases: SQLite by two drivers always, PostgreSQL and MySQL or MariaDB where
// TERCET_TEST_POSTGRES_URL and TERCET_TEST_MYSQL_URL lead to servers.
package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tercet.dev/tercet-go"
	"tercet.dev/tercet-go/examples/database"
)

const (
	instance = "0193b6a0-0000-7000-8000-000000000001"
	another  = "0193b6a0-0000-7000-8000-000000000002"
	allLegs  = "try,confirm,cancel"
)

// onEach runs a test on each database that there is, on a new one each time.
func onEach(t *testing.T, test func(t *testing.T, address string)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, "sqlite:"+filepath.Join(t.TempDir(), "a.db"))
	})
	t.Run("sqlite3", func(t *testing.T) {
		if !slices.Contains(sql.Drivers(), "sqlite3") {
			t.Skip("left out by the tag nocgosqlite")
		}
		t.Parallel()
		test(t, "sqlite3:"+filepath.Join(t.TempDir(), "a.db"))
	})
	for _, variable := range []string{"TERCET_TEST_POSTGRES_URL", "TERCET_TEST_MYSQL_URL"} {
		name := strings.ToLower(strings.Split(variable, "_")[2])
		t.Run(name, func(t *testing.T) {
			server := os.Getenv(variable)
			if server == "" {
				if os.Getenv("CI") != "" || os.Getenv("TERCET_TEST_ALL") == "1" {
					t.Fatalf("%s is not set", variable)
				}
				t.Skipf("%s is not set", variable)
			}
			t.Parallel()
			test(t, newDatabase(t, server))
		})
	}
}

// newDatabase makes one on a server, and drops it afterwards.
func newDatabase(t *testing.T, server string) string {
	db := open(t, server)
	name := "tercet_go_" + random()
	exec(t, db, "CREATE DATABASE "+name)
	t.Cleanup(func() {
		force := ""
		if strings.HasPrefix(server, "postgres") {
			force = " WITH (FORCE)"
		}
		_, _ = db.Exec("DROP DATABASE " + name + force)
	})
	parsed, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	parsed.Path = "/" + name
	return parsed.String()
}

func random() string {
	var bytes [6]byte
	_, _ = rand.Read(bytes[:])
	return hex.EncodeToString(bytes[:])
}

func open(t *testing.T, address string) *sql.DB {
	t.Helper()
	db, err := database.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec(t *testing.T, db *sql.DB, text string, args ...any) {
	t.Helper()
	if _, err := db.Exec(text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func isSQLite(address string) bool { return strings.HasPrefix(address, "sqlite") }

// debit is the payload.
type debit struct {
	Account string `json:"account"`
	Amount  int64  `json:"amount"`
}

// service keeps accounts.
type service struct {
	t       *testing.T
	address string
	db      *sql.DB
	guard   *tercet.Guard
	http.Handler
}

// newService is one process of a service, on a database that may be shared with others. What happens in Try beside the business is
// told by inTry, if there is one.
func newService(t *testing.T, address string, inTry func(ctx context.Context, tx *sql.Tx, call *tercet.Call, d debit) error) *service {
	t.Helper()
	db := open(t, address)
	guard, err := tercet.OpenGuard(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	exec(t, db, "CREATE TABLE IF NOT EXISTS account (name VARCHAR(64) PRIMARY KEY, balance BIGINT NOT NULL, frozen BIGINT NOT NULL, taken BIGINT NOT NULL)")
	s := &service{t: t, address: address, db: db, guard: guard}
	for _, name := range []string{"alice", "bob"} {
		_, _ = db.Exec(s.words("INSERT INTO account VALUES (?, 1000, 0, 0)"), name)
	}
	does := func(text string) func(context.Context, *sql.Tx, *tercet.Call, debit) error {
		return func(ctx context.Context, tx *sql.Tx, _ *tercet.Call, d debit) error {
			changed, err := tercet.Changed(tx.ExecContext(ctx, s.words(text), d.Amount, d.Amount, d.Account))
			if err == nil && !changed {
				return tercet.Refuse("insufficient-funds", "there is not enough")
			}
			return err
		}
	}
	reserve := does("UPDATE account SET balance = balance - ?, frozen = frozen + ? WHERE name = ? AND balance > 0")
	s.Handler = tercet.NewHandler(guard, tercet.Participant[debit]{
		Try: func(ctx context.Context, tx *sql.Tx, call *tercet.Call, d debit) error {
			if err := reserve(ctx, tx, call, d); err != nil || inTry == nil {
				return err
			}
			return inTry(ctx, tx, call, d)
		},
		Confirm: does("UPDATE account SET frozen = frozen - ?, taken = taken + ? WHERE name = ?"),
		Cancel:  does("UPDATE account SET frozen = frozen - ?, balance = balance + ? WHERE name = ?"),
	})
	return s
}

func (s *service) words(text string) string { return database.Words(s.address, text) }

// balances are those of alice.
func (s *service) balances() string {
	s.t.Helper()
	var balance, frozen, taken int64
	if err := s.db.QueryRow("SELECT balance, frozen, taken FROM account WHERE name = 'alice'").Scan(&balance, &frozen, &taken); err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprint(balance, frozen, taken)
}

// call is one of a coordinator's.
type call struct {
	op, gid, instance, legs, body string
	attempt                       int
	header                        map[string]string
}

func (c call) request() *http.Request {
	if c.instance == "" {
		c.instance = instance
	}
	if c.legs == "" {
		c.legs = allLegs
	}
	if c.body == "" {
		c.body = `{"account":"alice","amount":10}`
	}
	request := httptest.NewRequest(http.MethodPost, "/payment/"+c.op, strings.NewReader(c.body))
	for name, value := range map[string]string{
		"Tercet-Gid": c.gid, "Tercet-Branch": "payment", "Tercet-Instance": c.instance, "Tercet-Op": c.op, "Tercet-Legs": c.legs,
		"Tercet-Attempt": fmt.Sprint(max(c.attempt, 1)),
	} {
		request.Header.Set(name, value)
	}
	for name, value := range c.header {
		request.Header.Set(name, value)
	}
	return request
}

// answer is what came of a call.
type answer struct {
	status int
	body   string
	header http.Header
}

func (s *service) call(c call) answer {
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, c.request())
	return answer{recorder.Code, recorder.Body.String(), recorder.Header()}
}

// code is a problem's, or what was answered.
func (a answer) String() string {
	var problem struct{ Code string }
	if json.Unmarshal([]byte(a.body), &problem) == nil && problem.Code != "" {
		return fmt.Sprint(a.status, " ", problem.Code)
	}
	return fmt.Sprint(a.status, " ", a.body)
}
