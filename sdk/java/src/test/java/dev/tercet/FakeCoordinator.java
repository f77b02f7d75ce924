package dev.tercet;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;

/** Answers requests as it is told, also wrongly: what it is to say next is queued, the last of it for ever. */
final class FakeCoordinator implements AutoCloseable {
    /** Says nothing, and hangs up. */
    static final String HANG_UP = "";
    /** Says nothing, for as long as the client waits. */
    static final String SILENCE = "silence";

    private final ServerSocket socket = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    private final Deque<String> answers = new ArrayDeque<>();
    private final List<String> requests = Collections.synchronizedList(new ArrayList<>());

    FakeCoordinator(String... answers) throws IOException {
        this.answers.addAll(List.of(answers));
        Thread thread = new Thread(this::accept);
        thread.setDaemon(true);
        thread.start();
    }

    static String answer(int status, String more, String body) {
        int length = body.getBytes(StandardCharsets.UTF_8).length;
        return "HTTP/1.1 " + status + " x\r\ncontent-length: " + length + "\r\n" + more + "\r\n" + body;
    }

    static String transaction(String gid, String status) {
        return answer(200, "", shown(gid, status));
    }

    static String shown(String gid, String status) {
        return "{\"gid\":\"" + gid + "\",\"instance\":\"" + TestCalls.INSTANCE + "\",\"status\":\"" + status
                + "\",\"deadline_at\":\"2026-11-20T12:00:30.000Z\",\"branches\":[],\"of_tomorrow\":{\"a\":[1]}}";
    }

    static String problem(int status, String code) {
        return answer(status, "", "{\"code\":\"" + code + "\",\"detail\":\"d\",\"status\":" + status + "}");
    }

    String url() {
        return "http://127.0.0.1:" + socket.getLocalPort();
    }

    /** What was asked, to the byte. */
    List<String> requests() {
        return List.copyOf(requests);
    }

    private void accept() {
        while (!socket.isClosed()) {
            try {
                Socket client = socket.accept();
                Thread thread = new Thread(() -> serve(client));
                thread.setDaemon(true);
                thread.start();
            } catch (IOException error) {
                return;
            }
        }
    }

    private void serve(Socket client) {
        try (client) {
            String request = read(client.getInputStream());
            while (request != null) {
                requests.add(request);
                String answer;
                synchronized (answers) {
                    answer = answers.size() > 1 ? answers.poll() : answers.peek();
                }
                if (answer.equals(HANG_UP)) {
                    return;
                }
                if (answer.equals(SILENCE)) {
                    client.getInputStream().read();
                    return;
                }
                client.getOutputStream().write(answer.getBytes(StandardCharsets.UTF_8));
                if (answer.endsWith("broken")) {
                    return;
                }
                request = read(client.getInputStream());
            }
        } catch (IOException error) {
            // The client has hung up.
            return;
        }
    }

    private static String read(InputStream in) throws IOException {
        ByteArrayOutputStream head = new ByteArrayOutputStream();
        while (!head.toString(StandardCharsets.UTF_8).endsWith("\r\n\r\n")) {
            int next = in.read();
            if (next < 0) {
                return null;
            }
            head.write(next);
        }
        String text = head.toString(StandardCharsets.UTF_8);
        int length = text.lines()
                .filter(line -> line.toLowerCase(java.util.Locale.ROOT).startsWith("content-length:"))
                .mapToInt(line -> Integer.parseInt(line.substring(15).strip()))
                .findFirst()
                .orElse(0);
        return text + new String(in.readNBytes(length), StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        try {
            socket.close();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
