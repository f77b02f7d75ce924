//! nginx itself with deploy/nginx.conf, before three nodes that do what a test says.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tempfile::TempDir;
use tercet_testing::{Client, Port, eventually, serve};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::{read, tool};

/// What a node does with each request.
#[derive(Debug, Clone, Copy)]
enum Does {
    /// Answers with this status, and a problem's `Retry-After` where it is 429 or 503.
    Answer(u16),
    /// Reads it, and closes the connection.
    Close,
}

/// A request as a node got it.
#[derive(Debug, Clone)]
struct Got {
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Debug)]
struct Node {
    port: Port,
    got: Arc<Mutex<Vec<Got>>>,
    serving: Option<JoinHandle<()>>,
}

impl Node {
    /// One that does this; nobody listens where it does nothing.
    async fn start(does: Option<Does>) -> Self {
        let (port, got) = (Port::free(), Arc::new(Mutex::new(Vec::new())));
        let serving = does.map(|does| {
            let got = Arc::clone(&got);
            tokio::spawn(serve(port.listen(), move |request| {
                answer(does, Arc::clone(&got), request)
            }))
        });
        Self { port, got, serving }
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

async fn answer(
    does: Does,
    got: Arc<Mutex<Vec<Got>>>,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    got.lock().expect("nobody panics with it").push(Got { headers: head.headers, body });
    let Does::Answer(status) = does else { return Err(io::Error::other("closed")) };
    let mut response = Response::builder().status(status);
    if matches!(status, 429 | 503) {
        response = response.header("retry-after", "7");
    }
    response.body(Full::from(format!("said by a node: {status}"))).map_err(io::Error::other)
}

/// nginx before these nodes. It ends with the test.
struct Balanced {
    nodes: Vec<Node>,
    client: Client,
    _nginx: Child,
    _folder: TempDir,
}

impl Balanced {
    async fn start(nodes: [Option<Does>; 3]) -> Self {
        let mut all = Vec::new();
        for does in nodes {
            all.push(Node::start(does).await);
        }
        let (port, folder) = (Port::free(), tempfile::tempdir().expect("a folder"));
        // Its worker is another user where we are root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let mut config = read("deploy/nginx.conf");
        for (node, number) in all.iter().zip(1..) {
            let name = format!("coordinator-{number}:7200");
            assert!(config.contains(&name), "{name}");
            config = config.replace(&name, &node.port.address().to_string());
        }
        assert!(config.contains("listen 8080 "), "where it listens");
        config = config.replace("listen 8080 ", &format!("listen {} ", port.address()));
        config = config.replace(" /tmp/", &format!(" {}/", folder.path().display()));
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config).expect("a file");
        let log = || Stdio::from(fs::File::create(folder.path().join("log")).expect("a file"));
        let nginx = Command::new(tool("nginx"))
            .arg("-c")
            .arg(&file)
            // One process, which ends when it is told to.
            .args(["-g", "daemon off; master_process off;"])
            .stdout(log())
            .stderr(log())
            .kill_on_drop(true)
            .spawn()
            .expect("nginx");
        let address = port.address();
        eventually("nginx", async || TcpStream::connect(address).await.ok()).await;
        Self { nodes: all, client: Client::new(address), _nginx: nginx, _folder: folder }
    }

    /// How many requests each node got.
    fn counts(&self) -> Vec<usize> {
        self.nodes.iter().map(|node| node.got().len()).collect()
    }
}

const WELL: Option<Does> = Some(Does::Answer(200));
/// More than it takes for a node to count as failed, and to be tried again.
const MANY: usize = 40;

#[tokio::test]
#[ignore = "needs nginx: run tests/deploy/run"]
async fn requests_go_to_the_nodes_in_turn() {
    let balanced = Balanced::start([WELL; 3]).await;
    for _ in 0..30 {
        assert_eq!(balanced.client.begin("", "{}").await.status, 200);
    }
    assert_eq!(balanced.counts(), [10; 3]);
}

#[tokio::test]
#[ignore = "needs nginx: run tests/deploy/run"]
async fn a_node_that_fails_costs_nobody_a_request() {
    // Nobody listens; it dies with the request; it starts, or stops, or is full; a proxy before it says so.
    let failing = [
        None,
        Some(Does::Close),
        Some(Does::Answer(503)),
        Some(Does::Answer(502)),
        Some(Does::Answer(504)),
    ];
    for does in failing {
        for at in 0..3 {
            let mut nodes = [WELL; 3];
            nodes[at] = does;
            let balanced = Balanced::start(nodes).await;
            for number in 0..MANY {
                let body = format!("{{\"gid\":\"order-{number}\"}}");
                let answer = balanced.client.begin("", &body).await;
                assert_eq!(answer.status, 200, "{does:?} at {at}: {}", answer.text);
            }
            // Each came to one that is well, once and whole.
            let well = balanced.nodes.iter().enumerate().filter(|(one, _)| *one != at);
            let got: Vec<Got> = well.flat_map(|(_, node)| node.got()).collect();
            assert_eq!(got.len(), MANY, "{does:?} at {at}");
            assert!(got.iter().all(|one| one.body.starts_with(b"{\"gid\":\"order-")), "{got:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx: run tests/deploy/run"]
async fn two_nodes_that_fail_cost_nobody_a_request() {
    for does in [None, Some(Does::Close), Some(Does::Answer(503))] {
        let balanced = Balanced::start([does, WELL, does]).await;
        for _ in 0..MANY {
            let answer = balanced.client.begin("", "{}").await;
            assert_eq!(answer.status, 200, "{does:?}: {}", answer.text);
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx: run tests/deploy/run"]
async fn what_all_nodes_say_is_told_as_they_say_it() {
    let balanced = Balanced::start([Some(Does::Answer(503)); 3]).await;
    for _ in 0..MANY {
        let answer = balanced.client.begin("", "{}").await;
        assert_eq!((answer.status, answer.text.as_str()), (503, "said by a node: 503"));
        assert_eq!(answer.header("retry-after"), "7");
    }
    let asked: usize = balanced.counts().iter().sum();
    assert_eq!(asked, 3 * MANY, "three tries each");
}

#[tokio::test]
#[ignore = "needs nginx: run tests/deploy/run"]
async fn what_nobody_answers_is_to_be_sent_again() {
    for does in [None, Some(Does::Close)] {
        let balanced = Balanced::start([does; 3]).await;
        for _ in 0..MANY {
            let answer = balanced.client.begin("", "{}").await;
            assert_eq!(answer.status, 503, "{does:?}: {}", answer.text);
            assert_eq!(answer.header("retry-after"), "1");
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert_eq!(answer.word("type"), "about:blank");
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx: run tests/deploy/run"]
async fn answers_that_no_other_node_would_change_are_told_at_once() {
    for status in [201, 202, 404, 409, 421, 429, 500] {
        let balanced = Balanced::start([Some(Does::Answer(status)); 3]).await;
        let answer = balanced.client.confirm("order-1", "").await;
        assert_eq!((answer.status, answer.text), (status, format!("said by a node: {status}")));
        assert_eq!(answer.headers.contains_key("retry-after"), status == 429);
        assert_eq!(balanced.counts().iter().sum::<usize>(), 1, "{status}");
    }
}

#[tokio::test]
#[ignore = "needs nginx: run tests/deploy/run"]
async fn nodes_learn_who_asks_and_nobody_passes_for_a_node() {
    let balanced = Balanced::start([WELL; 3]).await;
    let internal = balanced.client.send(http::Method::GET, "/internal/v1/left", None).await;
    assert_eq!(internal.status, 404);
    let metrics = balanced.client.send(http::Method::GET, "/metrics", None).await;
    assert_eq!((metrics.status, balanced.counts()), (404, vec![0; 3]), "of one node or another");

    let base = balanced.client.send(http::Method::GET, "/v1/stats", None).await;
    assert_eq!(base.status, 200);
    let got = balanced.nodes.iter().find_map(|node| node.got().pop()).expect("one has it");
    let host = got.headers["host"].to_str().expect("ASCII").to_owned();
    assert!(host.starts_with("127.0.0.1:"), "{host} is what the client asked for");

    let url = format!("http://{host}/v1/stats");
    let mut request = balanced.client.http().get(url).header("x-forwarded-for", "192.0.2.7");
    for name in ["tercet-hop", "tercet-node", "tercet-owner", "tercet-role", "tercet-who"] {
        request = request.header(name, "1");
    }
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    let got = balanced.nodes.iter().flat_map(Node::got).map(|got| got.headers);
    let mut second = got.filter(|headers| headers["x-forwarded-for"] == "192.0.2.7, 127.0.0.1");
    let headers = second.next().expect("one has it");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(headers["x-forwarded-host"].to_str().expect("ASCII"), host);
    assert!(!headers.keys().any(|name| name.as_str().starts_with("tercet-")), "{headers:?}");
}

#[tokio::test]
#[ignore = "needs nginx: run tests/deploy/run"]
async fn a_body_is_as_large_as_a_node_takes_and_comes_whole() {
    // The first node gets it, and closes; so it was kept for the next one.
    let balanced = Balanced::start([Some(Does::Close), WELL, WELL]).await;
    let body = format!("\"{}\"", "x".repeat(3 << 19));
    for _ in 0..3 {
        assert_eq!(balanced.client.begin("", &body).await.status, 200);
    }
    let got: Vec<Got> = balanced.nodes[1..].iter().flat_map(Node::got).collect();
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|one| one.body == body.as_bytes()));
    let too_much = "x".repeat(3 << 20);
    assert_eq!(balanced.client.begin("", &too_much).await.status, 413);
}
