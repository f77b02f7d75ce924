//! Whoever asks how the node stands is answered, whatever others do.

use std::net::SocketAddr;

use tercet_testing::{Tercet, eventually};

use crate::raw::Raw;

const LIVEZ: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
const STATS: &str = "GET /v1/stats HTTP/1.1\r\nHost: localhost\r\n\r\n";

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut raw = Raw::connect(address).await;
    // It may be closed by then.
    let _ = raw.try_send(request).await;
    Box::pin(raw.answer()).await
}

/// Keeps P9.
#[tokio::test]
async fn a_probe_is_answered_where_one_client_has_all_connections() {
    let tercet = Tercet::start_with(&[("SERVER__MAX_CONNECTIONS", "2")]).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut raw = Raw::connect(tercet.address()).await;
        raw.send(STATS).await;
        assert!(raw.answer().await.starts_with("HTTP/1.1 200"));
        held.push(raw);
    }
    // And more connections than are kept for probes, which ask nothing.
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(Raw::connect(tercet.address()).await);
    }
    assert!(ask(tercet.address(), LIVEZ).await.starts_with("HTTP/1.1 200"));
    let refused = ask(tercet.address(), STATS).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after"), "{refused}");
    tercet.logged("event=\"admissions_refused\" cause=\"connections\"").await;
    let mut raw = Raw::connect(tercet.address()).await;
    raw.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    let metrics = raw.until_closed().await;
    for counted in [
        "tercet_admissions_refused_total{cause=\"connections\"} 1\n",
        "tercet_http_requests_total{route=\"unmatched\",status=\"503\"} 1\n",
    ] {
        assert!(metrics.contains(counted), "{counted} is not in {metrics}");
    }
    held.pop();
    let served =
        async || ask(tercet.address(), STATS).await.starts_with("HTTP/1.1 200").then_some(());
    eventually("a place that is free again is given", served).await;
}

#[tokio::test]
async fn probes_can_have_a_listener_of_their_own() {
    let settings = [("SERVER__ADMIN_LISTEN", "127.0.0.1:0"), ("SERVER__MAX_CONNECTIONS", "1")];
    let tercet = Tercet::start_with(&settings).await;
    let line = tercet.logged("probes are answered here").await;
    let address = line.rsplit("http://").next().unwrap_or_default();
    let end = address.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
    let address = address[..end.unwrap_or(address.len())].parse().expect("an address");
    let _holds = Raw::connect(tercet.address()).await;
    for path in ["/livez", "/readyz", "/metrics"] {
        let said = ask(address, &LIVEZ.replace("/livez", path)).await;
        assert!(said.starts_with("HTTP/1.1 200"), "{path}: {said}");
    }
    assert!(ask(address, STATS).await.starts_with("HTTP/1.1 404"));
}
