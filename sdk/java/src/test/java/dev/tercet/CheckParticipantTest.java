package dev.tercet;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import com.zaxxer.hikari.HikariDataSource;
import dev.tercet.examples.PaymentController;
import dev.tercet.servlet.TercetServlet;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.web.context.support.AnnotationConfigWebApplicationContext;
import org.springframework.web.servlet.DispatcherServlet;
import org.springframework.web.servlet.config.annotation.EnableWebMvc;

/** The participant under {@code check-participant}: the JDK's server on each database, the others on SQLite. */
@Tag("check")
@Execution(ExecutionMode.CONCURRENT)
class CheckParticipantTest {
    private static final String SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /** Each database, by one driver. */
    static Stream<String> kinds() {
        return Databases.kinds().filter(kind -> !kind.equals("mysql-connector"));
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void jdkHttpServerKeepsEveryRule(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(8)) {
            HttpServer server = jdk(pool, endpoint(pool));
            check(server.getAddress().getPort(), List.of());
            server.stop(0);
        }
    }

    @Test
    void signedCallsKeepEveryRule() throws Exception {
        try (Databases database = Databases.fresh("sqlite");
                HikariDataSource pool = database.pool(4)) {
            HttpServer server = jdk(pool, endpoint(pool).signedBy(SECRET));
            check(server.getAddress().getPort(), List.of("--secret", SECRET, "--rounds", "3"));
            server.stop(0);
        }
    }

    private static HttpServer jdk(HikariDataSource pool, Endpoint endpoint) throws Exception {
        HttpServer server = HttpServers.create(0);
        server.createContext("/payment", HttpServers.handler(endpoint));
        server.createContext("/accounts", exchange -> {
            try (exchange) {
                byte[] body = balances(pool);
                exchange.sendResponseHeaders(200, body.length);
                exchange.getResponseBody().write(body);
            }
        });
        server.start();
        return server;
    }

    @Test
    void servletKeepsEveryRule() throws Exception {
        try (Databases database = Databases.fresh("sqlite");
                HikariDataSource pool = database.pool(4)) {
            Endpoint endpoint = endpoint(pool);
            tomcat(context -> {
                Tomcat.addServlet(context, "payment", new TercetServlet(endpoint));
                context.addServletMappingDecoded("/payment/*", "payment");
                probe(context, pool);
            });
        }
    }

    @Test
    void springMvcKeepsEveryRule() throws Exception {
        try (Databases database = Databases.fresh("sqlite");
                HikariDataSource pool = database.pool(4)) {
            Endpoint endpoint = endpoint(pool);
            tomcat(context -> {
                AnnotationConfigWebApplicationContext spring = new AnnotationConfigWebApplicationContext();
                spring.register(Mvc.class);
                spring.addBeanFactoryPostProcessor(beans -> beans.registerSingleton("endpoint", endpoint));
                spring.register(PaymentController.class);
                Tomcat.addServlet(context, "spring", new DispatcherServlet(spring));
                context.addServletMappingDecoded("/", "spring");
                probe(context, pool);
            });
        }
    }

    @EnableWebMvc
    static class Mvc {}

    private static void probe(Context context, HikariDataSource pool) {
        Tomcat.addServlet(context, "accounts", new jakarta.servlet.http.HttpServlet() {
            private static final long serialVersionUID = 1;

            @Override
            protected void doGet(
                    jakarta.servlet.http.HttpServletRequest request, jakarta.servlet.http.HttpServletResponse response)
                    throws java.io.IOException {
                response.getOutputStream().write(balances(pool));
            }
        });
        context.addServletMappingDecoded("/accounts", "accounts");
    }

    private static void tomcat(java.util.function.Consumer<Context> mount) throws Exception {
        Path folder = Files.createTempDirectory("tercet-sdk-java");
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(folder.toString());
        tomcat.setPort(0);
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        mount.accept(tomcat.addContext("", folder.toString()));
        tomcat.start();
        try {
            check(tomcat.getConnector().getLocalPort(), List.of("--rounds", "3"));
        } finally {
            tomcat.stop();
            tomcat.destroy();
        }
    }

    private static Endpoint endpoint(HikariDataSource pool) throws SQLException {
        Accounts.create(pool, 1_000_000, "alice");
        return Endpoint.of(new Accounts(), Guard.on(pool).migrate());
    }

    private static byte[] balances(HikariDataSource pool) {
        try {
            return Accounts.balances(pool).getBytes(StandardCharsets.UTF_8);
        } catch (SQLException error) {
            throw new IllegalStateException(error);
        }
    }

    private static void check(int port, List<String> more) throws Exception {
        String url = "http://127.0.0.1:" + port;
        List<String> command = new ArrayList<>(List.of(
                Programs.program("check-participant").toString(),
                url + "/payment",
                "--payload",
                "{\"account\":\"alice\",\"amount\":1}",
                "--refused",
                "{\"account\":\"alice\",\"amount\":100000000}",
                "--probe",
                url + "/accounts",
                // A machine that is busy with other things is no broken rule.
                "--seconds",
                "600",
                "--reserved",
                "alice.frozen",
                "--conserved",
                "alice.balance+alice.frozen+alice.paid"));
        command.addAll(more);
        String told = Programs.run(command);
        System.out.println(told.lines().skip(1).findFirst().orElse(""));
        assertTrue(told.startsWith("0\n"), told);
    }
}
