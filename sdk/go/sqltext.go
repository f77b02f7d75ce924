package tercet

import (
	"fmt"
	"strings"
)

// inWordsOf puts SQL in the words of a database: ? is a value, {now} the database's own time in UTC epoch milliseconds. What several
// processes compare is dated by the one clock that they share.
func inWordsOf(dialect Dialect, text string) string {
	text = strings.ReplaceAll(text, "{now}", nowIn(dialect))
	if dialect != PostgreSQL {
		return text
	}
	parts := strings.Split(text, "?")
	numbered := parts[0]
	for i, part := range parts[1:] {
		numbered += fmt.Sprintf("$%d", i+1) + part
	}
	return numbered
}

// nowIn is the moment of the statement, not of its transaction: that may have begun long before. On MySQL it is not asked in the
// session's time zone, where an hour may come twice.
func nowIn(dialect Dialect) string {
	switch dialect {
	case PostgreSQL:
		return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
	case MySQL:
		return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(3)) DIV 1000)"
	default:
		return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"
	}
}

// marks is "?, ?, ?": as many values as there are of these.
func marks(count int) string {
	return strings.TrimSuffix(strings.Repeat("?, ", count), ", ")
}

// outboxTable makes the outbox. due_at is when a relay is to see to the row next, and of what has ended, when that was; owner is a number
// that a relay draws for each claim. Relays in other languages share it.
func outboxTable(dialect Dialect) []string {
	const index = "CREATE INDEX IF NOT EXISTS tercet_outbox_due ON tercet_outbox (state, due_at)"
	switch dialect {
	case MySQL:
		return []string{`CREATE TABLE IF NOT EXISTS tercet_outbox (
  gid VARCHAR(128) NOT NULL PRIMARY KEY,
  request LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  traceparent VARCHAR(255),
  state VARCHAR(9) NOT NULL, owner BIGINT NOT NULL, due_at BIGINT NOT NULL,
  attempts INT NOT NULL, written_at BIGINT NOT NULL,
  reason TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  KEY tercet_outbox_due (state, due_at))
ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin`}
	case PostgreSQL:
		return []string{`CREATE TABLE IF NOT EXISTS tercet_outbox (
  gid VARCHAR(128) COLLATE "C" NOT NULL PRIMARY KEY,
  request TEXT NOT NULL, traceparent VARCHAR(255),
  state VARCHAR(9) COLLATE "C" NOT NULL, owner BIGINT NOT NULL,
  due_at BIGINT NOT NULL, attempts INT NOT NULL, written_at BIGINT NOT NULL,
  reason TEXT)`, index}
	default:
		return []string{`CREATE TABLE IF NOT EXISTS tercet_outbox (
  gid VARCHAR(128) NOT NULL PRIMARY KEY,
  request TEXT NOT NULL, traceparent VARCHAR(255),
  state VARCHAR(9) NOT NULL, owner BIGINT NOT NULL,
  due_at BIGINT NOT NULL, attempts INT NOT NULL, written_at BIGINT NOT NULL,
  reason TEXT)`, index}
	}
}

// checkedTable makes the table of checks.
func checkedTable(dialect Dialect) []string {
	const index = "CREATE INDEX IF NOT EXISTS tercet_checked_asked_at ON tercet_checked (asked_at)"
	switch dialect {
	case MySQL:
		return []string{`CREATE TABLE IF NOT EXISTS tercet_checked (
  gid VARCHAR(128) NOT NULL PRIMARY KEY, state VARCHAR(5) NOT NULL,
  asked_at BIGINT NOT NULL, KEY tercet_checked_asked_at (asked_at))
ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin`}
	case PostgreSQL:
		return []string{`CREATE TABLE IF NOT EXISTS tercet_checked (
  gid VARCHAR(128) COLLATE "C" NOT NULL PRIMARY KEY,
  state VARCHAR(5) COLLATE "C" NOT NULL, asked_at BIGINT NOT NULL)`, index}
	default:
		return []string{`CREATE TABLE IF NOT EXISTS tercet_checked (
  gid VARCHAR(128) NOT NULL PRIMARY KEY, state VARCHAR(5) NOT NULL,
  asked_at BIGINT NOT NULL)`, index}
	}
}
