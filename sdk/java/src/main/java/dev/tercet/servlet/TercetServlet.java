package dev.tercet.servlet;

import dev.tercet.Answer;
import dev.tercet.Endpoint;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.io.InputStream;
import java.util.Collections;

/**
 * Mounts an endpoint as a servlet, at {@code /payment/*} say. Branches then name {@code http://…/payment} as their endpoint.
 * Under Spring MVC a controller calls {@link #serve}.
 */
public class TercetServlet extends HttpServlet {
    private static final long serialVersionUID = 1;

    /** What answers. Servlets are not written down, whatever the base class says. */
    private final transient Endpoint endpoint;

    /**
     * A servlet for an endpoint.
     *
     * @param endpoint what answers
     */
    public TercetServlet(Endpoint endpoint) {
        this.endpoint = endpoint;
    }

    @Override
    protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
        String path = request.getPathInfo();
        serve(endpoint, path == null ? "" : path.replaceFirst("^/", ""), request, response);
    }

    /**
     * Answers a request, for whoever has a mapping of their own.
     *
     * @param endpoint what answers
     * @param leg the last part of the path: {@code try}, {@code confirm}, {@code cancel} or {@code branches}
     * @param request the request, whose body nobody has read
     * @param response the response, to which nobody has written
     * @throws IOException the request cannot be read, or the response not be written
     */
    public static void serve(Endpoint endpoint, String leg, HttpServletRequest request, HttpServletResponse response)
            throws IOException {
        Answer answer;
        try (InputStream body = request.getInputStream()) {
            answer = endpoint.serve(
                    request.getMethod(),
                    leg,
                    request.getQueryString(),
                    name -> Collections.list(request.getHeaders(name)),
                    body);
        }
        byte[] body = answer.body();
        response.setStatus(answer.status());
        response.setContentType(answer.contentType());
        answer.retryAfterSeconds().ifPresent(pause -> response.setHeader("Retry-After", pause.toString()));
        response.setContentLength(body.length);
        response.getOutputStream().write(body);
    }
}
