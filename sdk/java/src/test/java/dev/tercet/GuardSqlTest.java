package dev.tercet;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The library's SQL is that of docs/guard-sql.md, word for word. */
@Tag("unit")
class GuardSqlTest {
    @ParameterizedTest
    @EnumSource(Dialect.class)
    void sqlIsThatOfThePage(Dialect dialect) throws IOException {
        String title = switch (dialect) {
            case SQLITE -> "SQLite";
            case POSTGRES -> "PostgreSQL";
            case MYSQL -> "MySQL and MariaDB";
        };
        GuardSql sql = GuardSql.of(dialect);
        Map<String, String> ours = new LinkedHashMap<>();
        List<String> makes = new ArrayList<>(List.of("create", "create the index", "create the results"));
        if (dialect == Dialect.MYSQL) {
            makes.remove("create the index");
        }
        for (int at = 0; at < makes.size(); at++) {
            ours.put(makes.get(at), sql.create.get(at));
        }
        dialect.patience().forEach(text -> ours.put("patience", text));
        ours.put("insert", sql.insert.text());
        ours.put("find", sql.find.text());
        dialect.patienceEnds().forEach(text -> ours.put("patience ends", text));
        ours.put("replace", sql.replace.text());
        ours.put("touch", sql.touch.text());
        ours.put("expired", sql.expired.text());
        ours.put("delete", sql.delete.text());
        ours.put("keep the result", sql.keepResult.text());
        ours.put("find the result", sql.findResult.text());
        ours.put("delete the result", sql.deleteResult.text());
        ours.replaceAll((name, text) -> text.replaceAll("\\s+", " ").strip());
        assertEquals(page(title), ours);
    }

    private static Map<String, String> page(String title) throws IOException {
        String page = Files.readString(Vectors.root().resolve("docs/guard-sql.md"));
        Matcher section = Pattern.compile("## " + title + "\n.*?```sql\n(.*?)```", Pattern.DOTALL).matcher(page);
        if (!section.find()) {
            throw new IllegalStateException("no section " + title);
        }
        Map<String, String> statements = new LinkedHashMap<>();
        for (String part : section.group(1).split("(?m)^-- ")) {
            int end = part.indexOf('\n');
            if (end > 0) {
                String text = part.substring(end).replaceAll("\\s+", " ").strip();
                statements.put(part.substring(0, end).strip(), text.replaceFirst(";$", ""));
            }
        }
        return statements;
    }
}
