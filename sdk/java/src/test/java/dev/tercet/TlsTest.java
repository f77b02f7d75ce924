package dev.tercet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.time.Duration;
import java.util.List;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A coordinator by https, whose authority nobody but the caller knows. */
@Tag("client")
class TlsTest {
    private static final String PASSWORD = "changeit";

    @Test
    void authoritiesThatAreGivenAreTrustedAndNoOthers(@TempDir Path folder) throws Exception {
        Path keys = folder.resolve("keys.p12");
        Path pem = folder.resolve("ca.pem");
        keytool(folder, keys, "-genkeypair", "-alias", "a", "-keyalg", "EC", "-dname", "CN=t", "-ext", "SAN=IP:127.0.0.1");
        keytool(folder, keys, "-exportcert", "-rfc", "-alias", "a", "-file", pem.toString());
        HttpsServer server = HttpsServer.create(new InetSocketAddress("127.0.0.1", 0), 10);
        server.setHttpsConfigurator(new HttpsConfigurator(serving(keys)));
        server.createContext("/", exchange -> {
            try (exchange) {
                byte[] body = FakeCoordinator.shown("order-1", "confirmed").getBytes(StandardCharsets.UTF_8);
                exchange.sendResponseHeaders(200, body.length);
                exchange.getResponseBody().write(body);
            }
        });
        server.start();
        try {
            String url = "https://127.0.0.1:" + server.getAddress().getPort();
            Client knowing = Client.builder(url).ca(Files.readAllBytes(pem)).build();
            assertTrue(knowing.outcome("order-1").isConfirmed());
            Http stranger = Client.of(url).http();
            var error = assertThrows(
                    SSLException.class, () -> stranger.once(Http.Sent.get("/v1/transactions/order-1"), Duration.ofMinutes(1)));
            assertTrue(error.getMessage().contains("PKIX"), error.getMessage());
        } finally {
            server.stop(0);
        }
        Client.Builder builder = Client.builder("https://127.0.0.1:1");
        assertThrows(IllegalArgumentException.class, () -> builder.ca("no certificate".getBytes(StandardCharsets.UTF_8)));
    }

    private static SSLContext serving(Path keys) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(keys)) {
            store.load(in, PASSWORD.toCharArray());
        }
        KeyManagerFactory managers = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        managers.init(store, PASSWORD.toCharArray());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(managers.getKeyManagers(), null, null);
        return context;
    }

    private static void keytool(Path folder, Path keys, String... what) throws Exception {
        List<String> command = new java.util.ArrayList<>();
        command.add(System.getProperty("java.home") + "/bin/keytool");
        command.addAll(List.of(what));
        command.addAll(List.of("-keystore", keys.toString(), "-storetype", "PKCS12", "-storepass", PASSWORD));
        String told = Programs.run(command);
        assertEquals('0', told.charAt(0), told);
    }
}
