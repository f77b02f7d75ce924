package tercet

import (
	"errors"
	"reflect"
	"strings"
)

// contention is what another transaction did to this one. The same again may go through.
type contention int

const (
	// none: the failure has nothing to do with others.
	none contention = iota
	// lost: this one was sacrificed, at once: a deadlock, a serialization failure, a file that is locked.
	lost
	// waited: it waited for a lock for as long as it may.
	waited
)

// contentionOf tells "somebody else was there first" from every other failure of a database, whichever driver says it
// and whatever wraps it.
func contentionOf(dialect Dialect, err error) contention {
	found := none
	eachCause(err, func(cause error) bool {
		switch dialect {
		case PostgreSQL:
			found = contentionOfState(sqlState(cause))
		case MySQL:
			found = contentionOfNumber(mysqlNumber(cause))
		case SQLite:
			found = contentionOfCode(sqliteCode(cause))
		}
		return found == none
	})
	return found
}

func contentionOfState(state string) contention {
	switch state {
	case "40001", "40P01": // serialization_failure, deadlock_detected
		return lost
	case "55P03": // lock_not_available
		return waited
	default:
		return none
	}
}

// contentionOfNumber: MySQL's SQLSTATE says too little, so its number is asked.
func contentionOfNumber(number uint64) contention {
	switch number {
	case 1213, // a deadlock
		1020, // MariaDB with innodb_snapshot_isolation: the row changed since the snapshot
		3572, // NOWAIT, if business code uses it
		9007: // TiDB: another transaction wrote first
		return lost
	case 1205: // a lock wait that ran out
		return waited
	default:
		return none
	}
}

// contentionOfCode reads SQLite's result code, whose low byte is the primary one.
func contentionOfCode(code int64) contention {
	switch code & 0xff {
	case 5, 6: // SQLITE_BUSY, SQLITE_LOCKED
		return lost
	default:
		return none
	}
}

// isMadeMeanwhile says whether a table or index could not be made because another session has just made it.
func isMadeMeanwhile(dialect Dialect, err error) bool {
	found := false
	eachCause(err, func(cause error) bool {
		if dialect == PostgreSQL {
			switch sqlState(cause) {
			case "23505", "42P07", "42710": // unique_violation, duplicate_table, duplicate_object
				found = true
			}
		}
		return !found
	})
	return found
}

// doesNotKnowSkipLocked: MySQL before 8, and MariaDB before 10.6, take SKIP LOCKED for an error of syntax.
func doesNotKnowSkipLocked(dialect Dialect, err error) bool {
	found := false
	eachCause(err, func(cause error) bool {
		found = dialect == MySQL && mysqlNumber(cause) == 1064
		return !found
	})
	return found
}

// eachCause goes down what is wrapped, for as long as look says true.
func eachCause(err error, look func(error) bool) bool {
	if err == nil {
		return true
	}
	if !look(err) {
		return false
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() []error }:
		for _, cause := range wrapper.Unwrap() {
			if !eachCause(cause, look) {
				return false
			}
		}
		return true
	default:
		return eachCause(errors.Unwrap(err), look)
	}
}

// sqlState is PostgreSQL's, which pgx and lib/pq give by this method.
func sqlState(err error) string {
	if stated, is := err.(interface{ SQLState() string }); is {
		return stated.SQLState()
	}
	return ""
}

// mysqlNumber reads the field Number of an error of a MySQL driver.
func mysqlNumber(err error) uint64 {
	value := fieldsOf(err, "mysql")
	if !value.IsValid() {
		return 0
	}
	if number := value.FieldByName("Number"); number.IsValid() && number.CanUint() {
		return number.Uint()
	}
	return 0
}

// sqliteCode is the result code that SQLite drivers give by a method or in a field.
func sqliteCode(err error) int64 {
	if coded, is := err.(interface{ Code() int }); is && isOf(reflect.TypeOf(err), "sqlite") {
		return int64(coded.Code())
	}
	value := fieldsOf(err, "sqlite")
	if !value.IsValid() {
		return 0
	}
	if code := value.FieldByName("Code"); code.IsValid() && code.CanInt() {
		return code.Int()
	}
	if method := reflect.ValueOf(err).MethodByName("Code"); method.IsValid() && method.Type().NumIn() == 0 && method.Type().NumOut() == 1 {
		switch code := method.Call(nil)[0]; {
		case code.CanInt():
			return code.Int()
		case code.CanUint():
			return int64(code.Uint() & 0xffff)
		}
	}
	return 0
}

// fieldsOf gives the struct behind an error whose type comes from such a package.
func fieldsOf(err error, of string) reflect.Value {
	value := reflect.ValueOf(err)
	if !isOf(value.Type(), of) {
		return reflect.Value{}
	}
	for value.Kind() == reflect.Pointer {
		if value.IsNil() {
			return reflect.Value{}
		}
		value = value.Elem()
	}
	if value.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return value
}

// isOf says whether a type comes from a package with this in its path. An error of business code with a method of the
// same name is not taken for one of the database.
func isOf(kind reflect.Type, of string) bool {
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	return strings.Contains(strings.ToLower(kind.PkgPath()), of)
}
