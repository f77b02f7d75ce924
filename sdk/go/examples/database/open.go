// Package database opens the databases that examples and tests are run on, each with a driver that people use.
package database

import (
	"database/sql"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
	_ "modernc.org/sqlite"
)

// Open opens what a URL names: sqlite:FILE (modernc.org/sqlite), sqlite3:FILE (mattn/go-sqlite3), postgres://… (pgx), pq:postgres://…
// (lib/pq), mysql://… (go-sql-driver).
func Open(address string) (*sql.DB, error) {
	scheme, rest, _ := strings.Cut(address, ":")
	switch scheme {
	case "sqlite":
		return bounded(sql.Open("sqlite", "file:"+rest+"?_pragma=journal_mode(WAL)"))
	case "sqlite3":
		return bounded(sql.Open("sqlite3", "file:"+rest+"?_journal_mode=WAL"))
	case "postgres", "postgresql":
		return bounded(sql.Open("pgx", address))
	case "pq":
		return bounded(sql.Open("postgres", rest+"?sslmode=disable"))
	case "mysql", "mariadb":
		parsed, err := url.Parse(address)
		if err != nil {
			return nil, err
		}
		config := mysql.NewConfig()
		config.Net, config.Addr, config.DBName = "tcp", parsed.Host, strings.TrimPrefix(parsed.Path, "/")
		config.User = parsed.User.Username()
		config.Passwd, _ = parsed.User.Password()
		return bounded(sql.Open("mysql", config.FormatDSN()))
	default:
		return nil, fmt.Errorf("%s: there are sqlite, sqlite3, postgres and mysql here", scheme)
	}
}

func bounded(db *sql.DB, err error) (*sql.DB, error) {
	if err == nil {
		db.SetMaxOpenConns(16)
		db.SetMaxIdleConns(16)
	}
	return db, err
}

// Words puts a statement in the words of the database behind a URL: ? is a value.
func Words(address, text string) string {
	if !strings.HasPrefix(strings.TrimPrefix(address, "pq:"), "postgres") {
		return text
	}
	for n := 1; strings.Contains(text, "?"); n++ {
		text = strings.Replace(text, "?", fmt.Sprintf("$%d", n), 1)
	}
	return text
}
