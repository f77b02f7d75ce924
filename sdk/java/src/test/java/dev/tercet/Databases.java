package dev.tercet;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.UUID;
import java.util.stream.Stream;
import javax.sql.DataSource;

/** Databases to test on: SQLite always, servers where their URLs are given. Each is new, and goes away. */
record Databases(String name, String url, String user, String password, AutoCloseable drop) implements AutoCloseable {
    static final String POSTGRES = System.getenv("TERCET_TEST_POSTGRES_URL");
    static final String MYSQL = System.getenv("TERCET_TEST_MYSQL_URL");

    /** The kinds that there are here. */
    static Stream<String> kinds() {
        return Stream.of("sqlite", "postgres", "mariadb", "mysql-connector").filter(Databases::isThere);
    }

    private static boolean isThere(String kind) {
        String given = System.getenv("TERCET_SDK_DATABASES");
        if (given != null && !java.util.List.of(given.split(",")).contains(kind)) {
            return false;
        }
        return switch (kind) {
            case "sqlite" -> true;
            case "postgres" -> POSTGRES != null;
            default -> MYSQL != null;
        };
    }

    static Databases fresh(String kind) {
        try {
            String name = "sdk_java_" + UUID.randomUUID().toString().replace("-", "");
            return switch (kind) {
                case "sqlite" -> sqlite();
                case "postgres" -> server(kind, POSTGRES, "jdbc:postgresql", name, "");
                case "mariadb" -> server(kind, MYSQL, "jdbc:mariadb", name, "");
                default -> server(kind, MYSQL, "jdbc:mysql", name, "?useSSL=false&allowPublicKeyRetrieval=true");
            };
        } catch (IOException | SQLException error) {
            throw new IllegalStateException(kind, error);
        }
    }

    private static Databases sqlite() throws IOException {
        Path folder = Files.createTempDirectory("tercet-sdk-java");
        String url = "jdbc:sqlite:" + folder.resolve("test.db") + "?journal_mode=WAL";
        return new Databases("sqlite", url, null, null, () -> {
            try (Stream<Path> files = Files.list(folder)) {
                for (Path file : files.toList()) {
                    Files.delete(file);
                }
            }
            Files.delete(folder);
        });
    }

    private static Databases server(String kind, String given, String scheme, String name, String options)
            throws SQLException {
        URI uri = URI.create(given);
        String[] who = uri.getUserInfo().split(":", 2);
        String host = scheme + "://" + uri.getHost() + ":" + uri.getPort();
        Databases outer = new Databases(kind, host + uri.getPath() + options, who[0], who[1], () -> {});
        try (HikariDataSource admin = outer.pool(1);
                Connection db = admin.getConnection()) {
            Sql.execute(db, "CREATE DATABASE " + name);
        }
        return new Databases(kind, host + "/" + name + options, who[0], who[1], () -> {
            try (HikariDataSource admin = outer.pool(1);
                    Connection db = admin.getConnection()) {
                Sql.execute(db, "DROP DATABASE " + name + (kind.equals("postgres") ? " WITH (FORCE)" : ""));
            }
        });
    }

    /** Connections to it. */
    HikariDataSource pool(int size) {
        return pool(size, config -> {});
    }

    HikariDataSource pool(int size, java.util.function.Consumer<HikariConfig> more) {
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl(url);
        config.setUsername(user);
        config.setPassword(password);
        config.setMaximumPoolSize(size);
        config.setMinimumIdle(0);
        // Drivers take it as the time to log in, for which a busy machine may need long.
        config.setConnectionTimeout(60_000);
        more.accept(config);
        return new HikariDataSource(config);
    }

    /** A DataSource that leads nowhere. */
    static DataSource nowhere() {
        return source(null, () -> {
            throw new SQLException("there is none");
        });
    }

    /** What happens before a connection is given. */
    interface Before {
        void happens() throws SQLException;
    }

    /** Connections of another DataSource. */
    static DataSource source(DataSource inner, Before before) {
        return (DataSource) java.lang.reflect.Proxy.newProxyInstance(
                Databases.class.getClassLoader(), new Class<?>[] {DataSource.class}, (proxy, method, arguments) -> {
                    switch (method.getName()) {
                        case "hashCode":
                            return System.identityHashCode(proxy);
                        case "equals":
                            return proxy == arguments[0];
                        default:
                            before.happens();
                            return inner.getConnection();
                    }
                });
    }

    @Override
    public void close() {
        try {
            drop.close();
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }
}
