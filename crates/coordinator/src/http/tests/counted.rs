//! Whatever is answered is counted, also where no route is looked for.

use metrics_exporter_prometheus::PrometheusBuilder;

use super::connections::{GET, SETTINGS, all, sent, served, served_by};
use super::face::Face;
use crate::http::{Admits, Entrance, Readiness, ServerSettings};

const UNMATCHED: &str = "tercet_http_requests_total{route=\"unmatched\",status=";

/// Which of these lines are not there.
fn missing<'a>(text: &str, lines: &[&'a str]) -> Vec<&'a str> {
    lines.iter().copied().filter(|line| !text.lines().any(|shown| shown == *line)).collect()
}

#[tokio::test]
async fn what_is_no_request_of_http_is_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // Tests run on a thread each, and so do this test's runtime and its server.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let served = served(&Face::gone().await, SETTINGS).await;
    let many = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: 1\r\n".repeat(100));
    for (request, status) in [
        ("GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n", "400"),
        ("GET /livez HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n", "400"),
        ("G<T /livez HTTP/1.1\r\nhost: localhost\r\n\r\n", "400"),
        (&many, "431"),
    ] {
        let answer = all(sent(served.address, request).await).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
    let text = handle.render();
    let lines = [&format!("{UNMATCHED}\"400\"}} 3")[..], &format!("{UNMATCHED}\"431\"}} 1")];
    assert_eq!(missing(&text, &lines), [""; 0], "{text}");
}

#[tokio::test]
async fn what_is_answered_while_the_node_starts_is_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let served = served_by(Entrance::closed(&Readiness::default()), SETTINGS).await;
    for path in ["/v1/transactions/order-1", "/metrics", "/readyz", "/livez"] {
        all(sent(served.address, &GET.replace("/livez", path)).await).await;
    }
    let text = handle.render();
    let lines = [
        &format!("{UNMATCHED}\"503\"}} 2")[..],
        "tercet_http_requests_total{route=\"/readyz\",status=\"503\"} 1",
        "tercet_http_requests_total{route=\"/livez\",status=\"200\"} 1",
        "tercet_http_request_duration_seconds_count{route=\"unmatched\"} 2",
    ];
    assert_eq!(missing(&text, &lines), [""; 0], "{text}");
    assert!(!text.contains("order-1"), "{text}");
}

/// Keeps P9.
#[tokio::test]
async fn what_is_refused_for_want_of_a_place_is_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let settings =
        ServerSettings { admits: Admits::EverybodyAndProbes, max_connections: 1, ..SETTINGS };
    let served = served(&Face::gone().await, settings).await;
    let none = "tercet_admissions_refused_total{cause=\"connections\"} 0";
    assert_eq!(missing(&handle.render(), &[none]), [""; 0], "it is there before the first");
    let _place = sent(served.address, "").await;
    for _ in 0..2 {
        let stats = GET.replace("/livez", "/v1/stats");
        let answer = all(sent(served.address, &stats).await).await;
        assert!(answer.contains("not-accepted"), "{answer}");
    }
    all(sent(served.address, GET).await).await;
    let text = handle.render();
    let lines = [
        "tercet_admissions_refused_total{cause=\"connections\"} 2",
        &format!("{UNMATCHED}\"503\"}} 2"),
        "tercet_http_requests_total{route=\"/livez\",status=\"200\"} 1",
    ];
    assert_eq!(missing(&text, &lines), [""; 0], "{text}");
}
