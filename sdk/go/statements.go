package tercet

import (
	"fmt"
	"regexp"
	"strings"
)

// statement is SQL in the words of one database, and the names of its values in their order.
type statement struct {
	text  string
	names []string
}

var valueName = regexp.MustCompile(`:[a-z_]+`)

// compile turns text with names, as docs/guard-sql.md has it, into what drivers take.
func compile(dialect Dialect, text string) statement {
	var names []string
	text = valueName.ReplaceAllStringFunc(strings.TrimSuffix(strings.TrimSpace(text), ";"), func(name string) string {
		names = append(names, name[1:])
		if dialect == PostgreSQL {
			return fmt.Sprintf("$%d", len(names))
		}
		return "?"
	})
	return statement{text, names}
}

// values are those of a statement, by the names that stand in it.
type values struct {
	gid, branch, instance, legs string
	state, stateBefore          state
	result                      string
	now, before                 int64
	limit                       int
}

func (s statement) args(v *values) []any {
	args := make([]any, len(s.names))
	for i, name := range s.names {
		switch name {
		case "gid":
			args[i] = v.gid
		case "branch_id":
			args[i] = v.branch
		case "instance":
			args[i] = v.instance
		case "legs":
			args[i] = v.legs
		case "state":
			args[i] = string(v.state)
		case "state_before":
			args[i] = string(v.stateBefore)
		case "result":
			args[i] = v.result
		case "now":
			args[i] = v.now
		case "before":
			args[i] = v.before
		case "limit":
			args[i] = v.limit
		}
	}
	return args
}

// guardStatements are the guard's, in the words of one database.
type guardStatements struct {
	create                                        []string
	patience, patienceEnds                        string
	insert, find, replace, touch                  statement
	expired, delete, undecided, page, stands      statement
	keepTheResult, findTheResult, deleteTheResult statement
}

// What stands in docs/guard-sql.md nowhere: how many rows are kept since their transactions are not decided, the books, and what tells on
// MySQL whether a call is still in the transaction that it began.
const (
	undecidedSQL = `SELECT COUNT(*) FROM tercet_guard WHERE updated_at < :before
AND state = 'tried' AND legs = 'try,confirm,cancel'`
	pageSQL = `SELECT gid, branch_id, instance, state, updated_at FROM tercet_guard
WHERE gid >= :gid AND (gid > :gid OR branch_id > :branch_id) ORDER BY gid, branch_id LIMIT :limit`
	standsSQL = `SELECT 1 FROM tercet_guard WHERE gid = :gid AND branch_id = :branch_id
AND instance = :instance AND state = :state AND updated_at = :now`
	// andHold goes with "patience ends".
	andHold = ", @tercet_autocommit = @@SESSION.autocommit, SESSION autocommit = 0"
	letGo   = "SET SESSION autocommit = @tercet_autocommit"
)

var guardSQL = map[Dialect]map[string]string{SQLite: sqliteSQL, PostgreSQL: postgresSQL, MySQL: mysqlSQL}

var compiledGuard = map[Dialect]*guardStatements{
	SQLite: compileGuard(SQLite), PostgreSQL: compileGuard(PostgreSQL), MySQL: compileGuard(MySQL),
}

func compileGuard(dialect Dialect) *guardStatements {
	texts := guardSQL[dialect]
	of := func(name string) statement { return compile(dialect, texts[name]) }
	var create []string
	for _, name := range []string{"create", "create the index", "create the results"} {
		if text, has := texts[name]; has {
			create = append(create, strings.TrimSuffix(text, ";"))
		}
	}
	compiled := &guardStatements{
		create:   create,
		patience: strings.TrimSuffix(texts["patience"], ";"), patienceEnds: strings.TrimSuffix(texts["patience ends"], ";"),
		insert: of("insert"), find: of("find"), replace: of("replace"), touch: of("touch"),
		expired: of("expired"), delete: of("delete"),
		undecided: compile(dialect, undecidedSQL), page: compile(dialect, pageSQL),
		keepTheResult: of("keep the result"), findTheResult: of("find the result"), deleteTheResult: of("delete the result"),
	}
	if dialect == MySQL {
		compiled.stands = compile(dialect, standsSQL)
	}
	return compiled
}
