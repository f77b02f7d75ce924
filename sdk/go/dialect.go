package tercet

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"strings"
)

// Dialect is a kind of database.
type Dialect int

// The databases that there are statements for.
const (
	// SQLite lets one transaction write at a time.
	SQLite Dialect = iota + 1
	// PostgreSQL is also CockroachDB and YugabyteDB.
	PostgreSQL
	// MySQL is also MariaDB and TiDB.
	MySQL
)

// String is the name of the database.
func (d Dialect) String() string {
	switch d {
	case SQLite:
		return "SQLite"
	case PostgreSQL:
		return "PostgreSQL"
	case MySQL:
		return "MySQL"
	default:
		return "unknown"
	}
}

// dialectOfDriver goes by where the driver's type comes from: no driver is imported here.
func dialectOfDriver(driver any) (Dialect, bool) {
	kind := reflect.TypeOf(driver)
	for kind != nil && kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	if kind == nil {
		return 0, false
	}
	name := strings.ToLower(kind.PkgPath() + "." + kind.Name())
	switch {
	case strings.Contains(name, "sqlite"):
		return SQLite, true
	case strings.Contains(name, "pgx"), strings.Contains(name, "lib/pq"), strings.Contains(name, "postgres"):
		return PostgreSQL, true
	case strings.Contains(name, "mysql"):
		return MySQL, true
	default:
		return 0, false
	}
}

// askDialect asks the database itself, for drivers that others are wrapped in.
func askDialect(ctx context.Context, db *sql.DB) (Dialect, error) {
	var version string
	err := db.QueryRowContext(ctx, "SELECT version()").Scan(&version)
	switch {
	case err != nil:
		if err := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err == nil {
			return SQLite, nil
		}
		return 0, fmt.Errorf("which database this is cannot be told (name it by WithDialect): %w", err)
	case strings.Contains(version, "PostgreSQL"), strings.Contains(version, "Cockroach"):
		return PostgreSQL, nil
	default:
		return MySQL, nil
	}
}
