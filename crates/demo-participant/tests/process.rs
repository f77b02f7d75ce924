//! The services as processes, called over HTTP as the coordinator calls them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// A running service; killed when dropped.
struct Service {
    process: Child,
    address: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Service {
    fn start(name: &str, file: &Path, more: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_tercet-demo"))
            .args([name, "--db"])
            .arg(file)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on http://").expect("the ready line");
        Self { process, address: address.to_owned() }
    }

    /// Sends a request and reads the answer; `None` if the connection ended without one.
    fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> Option<(u16, Value)> {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: demo\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        )
        .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
    }

    fn call(&self, endpoint: &str, op: &str, gid: &str, payload: &Value) -> Option<(u16, Value)> {
        let headers = format!(
            "tercet-gid: {gid}\r\ntercet-branch: b1\r\ntercet-op: {op}\r\n\
             tercet-instance: 0193b6a0-0000-7000-8000-000000000001\r\n\
             tercet-legs: try,confirm,cancel\r\n"
        );
        self.request("POST", &format!("/{endpoint}/{op}"), &headers, &payload.to_string())
    }

    /// How it ended; fails if it goes on for ten seconds.
    fn ended(&mut self) -> ExitStatus {
        for _ in 0..1_000 {
            if let Some(status) = self.process.try_wait().expect("a child of ours") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it goes on");
    }

    fn read(&self, path: &str) -> Value {
        self.request("GET", path, "", "").expect("an answer").1
    }

    fn mischief(&self, mischief: &Value) {
        let set = self.request("POST", "/mischief", "", &mischief.to_string());
        assert_eq!(set.expect("an answer").0, 200);
    }
}

fn code(answer: Option<(u16, Value)>) -> String {
    let (status, body) = answer.expect("an answer");
    let word = body["code"].as_str().or(body["state"].as_str()).unwrap_or_default();
    format!("{status} {word}")
}

#[test]
fn stock_is_reserved_then_sold_or_released_and_never_below_zero() {
    let dir = tempfile::tempdir().expect("a directory");
    let inventory = Service::start("inventory", &dir.path().join("inventory.db"), &[]);
    let two = json!({"sku": "A1", "quantity": 2});
    let stock = || inventory.read("/stock")[0].clone();
    let expected =
        |available, reserved| json!({"sku": "A1", "available": available, "reserved": reserved});

    assert_eq!(stock(), expected(10, 0));
    assert_eq!(code(inventory.call("inventory", "try", "g1", &two)), "200 tried");
    assert_eq!(code(inventory.call("inventory", "try", "g2", &two)), "200 tried");
    assert_eq!(stock(), expected(6, 4));
    assert_eq!(code(inventory.call("inventory", "confirm", "g1", &two)), "200 confirmed");
    assert_eq!(code(inventory.call("inventory", "cancel", "g2", &two)), "200 cancelled");
    assert_eq!(stock(), expected(8, 0));

    let nine = json!({"sku": "A1", "quantity": 9});
    let (status, refusal) = inventory.call("inventory", "try", "g3", &nine).expect("an answer");
    assert_eq!((status, &refusal["code"]), (409, &json!("out-of-stock")));
    assert_eq!(refusal["detail"], "9 of A1 wanted, 8 available");
    let unknown = json!({"sku": "Z9", "quantity": 1});
    assert_eq!(code(inventory.call("inventory", "try", "g4", &unknown)), "409 unknown-sku");
    let nothing = json!({"sku": "A1", "quantity": 0});
    assert_eq!(code(inventory.call("inventory", "try", "g5", &nothing)), "400 invalid-payload");
    assert_eq!(stock(), expected(8, 0));
}

#[test]
fn money_is_frozen_then_paid_or_thawed() {
    let dir = tempfile::tempdir().expect("a directory");
    let payment = Service::start("payment", &dir.path().join("payment.db"), &[]);
    let debit = json!({"account": "bob", "amount": 600});
    let bob = || payment.read("/accounts")[1].clone();
    let expected =
        |balance, frozen| json!({"account": "bob", "balance": balance, "frozen": frozen});

    assert_eq!(code(payment.call("payment", "try", "g1", &debit)), "200 tried");
    assert_eq!(bob(), expected(400, 600));
    assert_eq!(code(payment.call("payment", "try", "g2", &debit)), "409 insufficient-funds");
    assert_eq!(code(payment.call("payment", "cancel", "g1", &debit)), "200 cancelled");
    assert_eq!(bob(), expected(1_000, 0));
    assert_eq!(code(payment.call("payment", "try", "g3", &debit)), "200 tried");
    assert_eq!(code(payment.call("payment", "confirm", "g3", &debit)), "200 confirmed");
    assert_eq!(bob(), expected(400, 0));
    let nobody = json!({"account": "nobody", "amount": 1});
    assert_eq!(code(payment.call("payment", "try", "g4", &nobody)), "409 unknown-account");
}

#[test]
fn an_order_is_pending_then_placed_or_void() {
    let dir = tempfile::tempdir().expect("a directory");
    let order = Service::start("order", &dir.path().join("order.db"), &[]);
    let new = |number| json!({"order": number, "account": "alice", "sku": "A1", "quantity": 2});
    let statuses = || {
        let orders = order.read("/orders");
        let orders = orders.as_array().expect("a list").clone();
        orders.iter().map(|order| order["status"].clone()).collect::<Vec<_>>()
    };

    assert_eq!(code(order.call("order", "try", "g1", &new("1"))), "200 tried");
    assert_eq!(code(order.call("order", "try", "g2", &new("2"))), "200 tried");
    assert_eq!(code(order.call("order", "try", "g3", &new("2"))), "409 order-exists");
    assert_eq!(statuses(), ["pending", "pending"]);
    assert_eq!(code(order.call("order", "confirm", "g1", &new("1"))), "200 confirmed");
    assert_eq!(code(order.call("order", "cancel", "g2", &new("2"))), "200 cancelled");
    assert_eq!(code(order.call("order", "cancel", "g3", &new("2"))), "200 cancelled");
    assert_eq!(statuses(), ["placed", "void"]);
}

#[test]
fn mischief_is_done_as_told_and_only_then() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("payment.db");
    let mut payment = Service::start("payment", &file, &["--mischief", r#"{"fail_first":2}"#]);
    let debit = json!({"account": "alice", "amount": 100});
    let alice = |payment: &Service| payment.read("/accounts")[0]["frozen"].clone();

    assert_eq!(code(payment.call("payment", "try", "g1", &debit)), "503 mischief");
    assert_eq!(code(payment.call("payment", "try", "g1", &debit)), "503 mischief");
    assert_eq!(code(payment.call("payment", "try", "g1", &debit)), "200 tried");
    payment.mischief(&json!({"refuse": true}));
    assert_eq!(code(payment.call("payment", "try", "g2", &debit)), "409 mischief");
    assert_eq!(code(payment.call("payment", "try", "g1", &debit)), "409 mischief");

    payment.mischief(&json!({"die_at": "confirm"}));
    assert_eq!(code(payment.call("payment", "try", "g2", &debit)), "200 tried");
    assert_eq!(payment.call("payment", "confirm", "g2", &debit), None, "it died");
    assert_eq!(payment.ended().code(), Some(86));

    let payment = Service::start("payment", &file, &[]);
    assert_eq!(alice(&payment), 200, "it died before it did anything, and lost nothing");
    assert_eq!(code(payment.call("payment", "confirm", "g2", &debit)), "200 confirmed");
    assert_eq!(alice(&payment), 100);
}

#[test]
fn a_service_that_is_asked_to_stop_stops() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut order = Service::start("order", &dir.path().join("a file with spaces & %.db"), &[]);
    let pid = order.process.id().to_string();
    let killed = Command::new("kill").arg(pid).status().expect("kill runs");
    assert!(killed.success());
    assert!(order.ended().success());
}
