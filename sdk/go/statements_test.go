package tercet

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestStatementsAreThoseOfTheDocument: services in several languages share a table, so each runs the same statements.
func TestStatementsAreThoseOfTheDocument(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "guard-sql.md"))
	if err != nil {
		t.Fatal(err)
	}
	headings := map[string]Dialect{"SQLite": SQLite, "PostgreSQL": PostgreSQL, "MySQL and MariaDB": MySQL}
	seen := 0
	for _, section := range strings.Split(string(text), "\n## ") {
		heading, rest, _ := strings.Cut(section, "\n")
		dialect, known := headings[heading]
		if !known {
			continue
		}
		seen++
		block := regexp.MustCompile("(?s)```sql\n(.*?)```").FindStringSubmatch(rest)[1]
		documented := map[string]string{}
		for _, part := range strings.Split("\n"+block, "\n-- ")[1:] {
			name, statement, _ := strings.Cut(part, "\n")
			documented[name] = strings.TrimSpace(statement)
		}
		ours := guardSQL[dialect]
		for name, statement := range documented {
			if ours[name] != statement {
				t.Errorf("%s, %s: %q, the document has %q", dialect, name, ours[name], statement)
			}
		}
		for name := range ours {
			if _, has := documented[name]; !has {
				t.Errorf("%s: the document has no %s", dialect, name)
			}
		}
	}
	if seen != len(headings) {
		t.Errorf("%d of %d databases are in the document", seen, len(headings))
	}
}

func TestStatementsAreCompiledForTheirDatabase(t *testing.T) {
	text := "UPDATE t SET a = :state, b = :now\nWHERE c = :gid AND d = :gid;"
	for dialect, want := range map[Dialect]string{
		SQLite:     "UPDATE t SET a = ?, b = ?\nWHERE c = ? AND d = ?",
		MySQL:      "UPDATE t SET a = ?, b = ?\nWHERE c = ? AND d = ?",
		PostgreSQL: "UPDATE t SET a = $1, b = $2\nWHERE c = $3 AND d = $4",
	} {
		compiled := compile(dialect, text)
		if compiled.text != want {
			t.Errorf("%s: %q", dialect, compiled.text)
		}
		args := compiled.args(&values{state: tried, now: 7, gid: "g"})
		if len(args) != 4 || args[0] != "tried" || args[1] != int64(7) || args[2] != "g" || args[3] != "g" {
			t.Errorf("%s: %v", dialect, args)
		}
	}
	if got := inWordsOf(PostgreSQL, "a = ? AND b IN ("+marks(2)+")"); got != "a = $1 AND b IN ($2, $3)" {
		t.Error(got)
	}
}
