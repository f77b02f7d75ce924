//! Whoever asks how the node stands is answered, whatever others do.

use std::sync::Arc;
use std::time::Duration;

use axum::{Router, routing};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use super::connections::{GET, SETTINGS, Served, all, sent, served, served_by};
use super::face::Face;
use crate::http::{Admits, Entrance, Readiness, ServerSettings};

fn get(path: &str) -> String {
    GET.replace("/livez", path)
}

/// Keeps P9.
#[tokio::test]
async fn a_probe_is_answered_where_all_connections_are_taken() {
    let (face, mut lanes) = Face::unattended().await;
    let settings =
        ServerSettings { admits: Admits::EverybodyAndProbes, max_connections: 1, ..SETTINGS };
    let served = served(&face, settings).await;
    let first = sent(served.address, &get("/v1/transactions/order-1")).await;
    let waits = tokio::time::timeout(Duration::from_secs(30), lanes.requests.recv()).await;
    let _waits = waits.expect("in time").expect("it was asked");
    let answer = all(sent(served.address, GET).await).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let answer = all(sent(served.address, &get("/v1/stats")).await).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("not-accepted"), "{answer}");
    // Nor do they take the places that are kept for probes by saying nothing.
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(sent(served.address, "").await);
    }
    let answer = all(sent(served.address, GET).await).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    // Whoever asks when a place is free again gets it.
    drop(first);
    let gone = tokio::time::timeout(Duration::from_secs(30), lanes.hung_up.recv()).await;
    gone.expect("in time").expect("the first is gone");
    let asked = loop {
        let client = sent(served.address, &get("/v1/transactions/order-2")).await;
        tokio::select! {
            asked = lanes.requests.recv() => break asked,
            answer = all(client) => assert!(answer.contains("not-accepted"), "{answer}"),
        }
    };
    assert_eq!(asked.expect("it was asked").gid.as_str(), "order-2");
}

/// A server all of whose places are taken, and whose scrapes take as long as the test likes: each
/// says that it is under way, and waits for a permit to end.
struct Scraped {
    served: Served,
    under_way: mpsc::UnboundedReceiver<()>,
    end: Arc<Semaphore>,
    _place: TcpStream,
}

impl Scraped {
    async fn start() -> Self {
        let (tell, under_way) = mpsc::unbounded_channel();
        let end = Arc::new(Semaphore::new(0));
        let until = Arc::clone(&end);
        let scrape = async move || {
            let _ = tell.send(());
            until.acquire().await.map(SemaphorePermit::forget).expect("it stays open");
            "all\n"
        };
        let entrance = Entrance::closed(&Readiness::default());
        entrance.open(Router::new().route("/metrics", routing::get(scrape)));
        let settings = ServerSettings {
            admits: Admits::EverybodyAndProbes,
            max_connections: 1,
            header_read_timeout: Duration::from_secs(600),
            ..SETTINGS
        };
        let served = served_by(entrance, settings).await;
        // Connections are accepted in their order: whoever comes after this one is a guest.
        let _place = sent(served.address, "").await;
        Self { served, under_way, end, _place }
    }

    /// One more scrape, under way.
    async fn ask(&mut self) -> TcpStream {
        let client = sent(self.served.address, &get("/metrics")).await;
        let told = tokio::time::timeout(Duration::from_secs(60), self.under_way.recv()).await;
        told.expect("in time").expect("it was asked");
        client
    }
}

/// Keeps P9.
#[tokio::test]
async fn a_scrape_that_is_being_answered_makes_room_for_nobody() {
    let mut scraped = Scraped::start().await;
    let scrape = scraped.ask().await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(sent(scraped.served.address, "").await);
    }
    // It came after all the silent ones, so those have been dealt with.
    drop(scraped.ask().await);
    scraped.end.add_permits(2);
    let answer = all(scrape).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("all\n"), "{answer}");
}

/// Keeps P9.
#[tokio::test]
async fn where_all_guests_are_being_answered_the_next_is_sent_away() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // Tests run on a thread each, and so do this test's runtime and its server.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let mut scraped = Scraped::start().await;
    let mut scrapes = Vec::new();
    for _ in 0..16 {
        scrapes.push(scraped.ask().await);
    }
    assert_eq!(all(sent(scraped.served.address, GET).await).await, "");
    let counted = "tercet_admissions_refused_total{cause=\"connections\"} 1\n";
    assert!(handle.render().contains(counted), "{}", handle.render());
    scraped.end.add_permits(16);
    for scrape in scrapes {
        let answer = all(scrape).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    // And there is room again as soon as they are gone.
    while all(sent(scraped.served.address, GET).await).await.is_empty() {}
}

#[tokio::test]
async fn where_probes_have_a_listener_nothing_else_is_answered_there() {
    let face = Face::gone().await;
    let settings = ServerSettings { admits: Admits::ProbesAlone, ..SETTINGS };
    let served = served(&face, settings).await;
    for (path, status) in [
        ("/livez", "200 OK"),
        ("/readyz", "200 OK"),
        ("/metrics", "200 OK"),
        ("/v1/stats", "404 Not Found"),
        ("/docs", "404 Not Found"),
    ] {
        let answer = all(sent(served.address, &get(path)).await).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{path}: {answer}");
    }
}

#[tokio::test]
async fn before_a_node_has_recovered_it_lives_and_is_not_ready() {
    let face = Face::gone().await;
    let readiness = Readiness::default();
    let entrance = Entrance::closed(&readiness);
    let served = served_by(entrance.clone(), SETTINGS).await;
    let ask = async |request: String| all(sent(served.address, &request).await).await;
    assert!(ask(get("/livez")).await.starts_with("HTTP/1.1 200 OK"));
    for request in [get("/readyz"), get("/v1/stats"), get("/"), GET.replace("GET", "POST")] {
        let answer = ask(request).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("retry-after: 1"), "{answer}");
        assert!(answer.contains("\"code\":\"not-ready\""), "{answer}");
    }
    entrance.open(face.router.clone());
    assert!(ask(get("/docs")).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_loop_that_stands_still_is_told_by_both_probes() {
    for (age, status) in [(Some(0), 200), (Some(4_999), 200), (None, 200), (Some(5_000), 503)] {
        let face = Face::gone().await;
        face.readiness.watch(move || age.map(Duration::from_millis));
        for path in ["/livez", "/readyz"] {
            let answer = face.get(path).await;
            assert_eq!(answer.status.as_u16(), status, "{path} {age:?}");
            if status == 503 {
                assert_eq!(answer.problem().0, "not-live");
            }
        }
    }
}

#[tokio::test]
async fn a_connection_for_a_probe_ends_with_its_answer() {
    let face = Face::gone().await;
    let settings = ServerSettings { admits: Admits::ProbesAlone, ..SETTINGS };
    let served = served(&face, settings).await;
    let kept = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut text = String::new();
    let mut probe = sent(served.address, kept).await;
    let read = tokio::time::timeout(Duration::from_secs(60), probe.read_to_string(&mut text)).await;
    read.expect("it is closed").expect("UTF-8");
    assert!(text.contains("connection: close"), "{text}");
}
