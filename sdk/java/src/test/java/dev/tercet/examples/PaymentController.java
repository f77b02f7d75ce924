package dev.tercet.examples;

import dev.tercet.Endpoint;
import dev.tercet.servlet.TercetServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import org.springframework.stereotype.Controller;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;

/** A participant under Spring MVC: branches name {@code http://…/payment} as their endpoint. */
@Controller
public class PaymentController {
    private final Endpoint payment;

    /**
     * The controller of an endpoint.
     *
     * @param payment what answers
     */
    public PaymentController(Endpoint payment) {
        this.payment = payment;
    }

    @RequestMapping("/payment/{leg}")
    void call(@PathVariable("leg") String leg, HttpServletRequest request, HttpServletResponse response)
            throws IOException {
        TercetServlet.serve(payment, leg, request, response);
    }
}
