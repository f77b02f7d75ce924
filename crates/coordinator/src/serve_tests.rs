//! The daemon stops, asked or not.

use std::error::Error;
use std::future::pending;
use std::path::Path;

use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;
use crate::config::{Flags, Layers};
use crate::servers::{ADMIN_LISTEN, LISTEN};

fn settings(database: &Path) -> Settings {
    let url = format!("sqlite://{}", database.display());
    let flags = Flags::from([("--database-url", "database.url", url)]);
    Layers::gather(None, [], &flags).and_then(|layers| layers.settings()).expect("they fit")
}

/// Serves until it stops, asked to or by itself.
async fn served(servers: Servers, asked: Stop) -> (Result<(), ServeError>, Readiness) {
    let directory = tempfile::tempdir().expect("a directory");
    let database = directory.path().join("t.db");
    let settings = settings(&database);
    let shares = open_files::raise_and_share(8, 1, false).expect("some files");
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let (_asks, stop) = watch::channel(asked);
    let readiness = Readiness::default();
    let entrance = Entrance::closed(&readiness);
    let address = "127.0.0.1:7200".parse().expect("an address");
    let clock = Arc::new(SystemClock::start());
    let access = Arc::new(Access::begin(&settings, clock.clone()).expect("there are no rules"));
    let rows = Rows::InDatabase;
    let tls = Tls::begin(&settings).expect("no file is read");
    let around =
        Surroundings::new(&settings, rows, address, shares, &tls, clock, readiness.clone());
    let around = around.await;
    let face = Face { servers, entrance, own_addresses: vec![address], metrics, access, around };
    let serving = face.serve(stop, |_| ());
    let served = tokio::time::timeout(Duration::from_secs(60), serving).await;
    assert!(database.exists(), "it had started");
    let log = directory.path().join("t.db-wal");
    assert!(!log.exists(), "the journal was closed in order");
    (served.expect("it stops"), readiness)
}

#[tokio::test]
async fn a_server_that_ends_by_itself_stops_the_daemon_in_order() {
    for (at, fails) in
        [(LISTEN, true), (LISTEN, false), (ADMIN_LISTEN, true), (ADMIN_LISTEN, false)]
    {
        let mut servers = Servers::new();
        let ends = async move { assert!(!fails, "a fault of ours") };
        let closing = servers.closing();
        if at == LISTEN {
            servers.answer_requests(ends);
            servers.answer_probes(pending());
        } else {
            servers.answer_requests(async {
                let _left = closing.await;
            });
            servers.answer_probes(ends);
        }
        let (served, readiness) = served(servers, Stop::NotAsked).await;
        let Err(ServeError::Server(error)) = served else { panic!("{at}: {served:?}") };
        assert!(error.to_string().starts_with(&format!("the server at {at} ended")), "{error}");
        let why = error.source().map(ToString::to_string).unwrap_or_default();
        assert_eq!(why.contains("a fault of ours"), fails, "{why}");
        assert!(readiness.is_stopping());
    }
}

#[tokio::test]
async fn a_server_that_fails_while_the_daemon_stops_is_told() {
    for fails in [true, false] {
        let mut servers = Servers::new();
        let closing = servers.closing();
        servers.answer_requests(async move {
            closing.await;
            assert!(!fails, "a fault of ours");
        });
        servers.answer_probes(pending());
        let (served, _) = served(servers, Stop::Now).await;
        assert_eq!(matches!(served, Err(ServeError::Server(_))), fails, "{served:?}");
        assert_eq!(served.is_ok(), !fails);
    }
}

#[tokio::test]
async fn whoever_asks_is_heard_before_all_others() {
    let ended = || async { Servers::new().ended().await };
    let (ask, mut asked) = watch::channel(Stop::NotAsked);
    let readiness = Readiness::default();
    let why = why_stop(&mut asked, &readiness, async {}, ended()).await;
    assert!(matches!(why, Why::EngineEnded), "{why:?}");
    ask.send(Stop::Draining).expect("somebody listens");
    let why = why_stop(&mut asked, &readiness, async {}, ended()).await;
    assert!(matches!(why, Why::EngineEnded), "{why:?}");
    assert!(readiness.is_draining() && !readiness.is_stopping());
    ask.send(Stop::Now).expect("somebody listens");
    let why = why_stop(&mut asked, &readiness, async {}, ended()).await;
    assert!(matches!(why, Why::Asked), "{why:?}");
}
