package tercet

import "database/sql"

// Must gives the value, and panics if there is an error: for programs that cannot begin without it.
func Must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// Changed says whether a statement wrote any row, as an update with a condition does or does not:
//
//	reserved, err := tercet.Changed(tx.ExecContext(ctx, "UPDATE … WHERE balance >= ?", …))
func Changed(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	rows, err := result.RowsAffected()
	return rows > 0, err
}
