//! A service as a process, called over HTTP as the coordinator calls it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;

/// Status and body.
pub(crate) type Answer = (u16, Value);

/// The instance that calls come from.
pub(crate) const LIFE: &str = "0193b6a0-0000-7000-8000-000000000001";
/// The header that gives a branch all three legs.
pub(crate) const LEGS: &str = "tercet-legs: try,confirm,cancel\r\n";

/// A running service; killed when dropped.
pub(crate) struct Service {
    /// The process.
    pub(crate) process: Child,
    address: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Service {
    /// One of the demo's services on this file.
    pub(crate) fn start(name: &str, file: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tercet-demo"));
        command.args([name, "--db"]).arg(file).args(more);
        Self::run(&mut command)
    }

    /// Whatever prints the line in which the demo's services say that they listen.
    pub(crate) fn run(command: &mut Command) -> Self {
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on http://").expect("the ready line");
        Self { process, address: address.to_owned() }
    }

    /// Sends a request and reads the answer; `None` if the connection ended without one.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Option<Answer> {
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

    /// A call of branch `b1` in the first life of its gid.
    pub(crate) fn call(
        &self,
        endpoint: &str,
        op: &str,
        gid: &str,
        payload: &Value,
    ) -> Option<Answer> {
        self.call_with(endpoint, op, gid, payload, &format!("tercet-instance: {LIFE}\r\n{LEGS}"))
    }

    /// A call whose instance, legs and deadline are given as headers. Made again while it is in
    /// progress, as the coordinator does.
    pub(crate) fn call_with(
        &self,
        endpoint: &str,
        op: &str,
        gid: &str,
        payload: &Value,
        headers: &str,
    ) -> Option<Answer> {
        let headers =
            format!("tercet-gid: {gid}\r\ntercet-branch: b1\r\ntercet-op: {op}\r\n{headers}");
        loop {
            let path = format!("/{endpoint}/{op}");
            match self.request("POST", &path, &headers, &payload.to_string()) {
                Some((202, _)) => std::thread::sleep(Duration::from_millis(10)),
                answer => return answer,
            }
        }
    }

    /// How it ended; fails if it goes on for a minute.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        for _ in 0..6_000 {
            if let Some(status) = self.process.try_wait().expect("a child of ours") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it goes on");
    }

    /// What it says of itself.
    pub(crate) fn read(&self, path: &str) -> Value {
        self.request("GET", path, "", "").expect("an answer").1
    }

    /// Sets its mischief.
    pub(crate) fn mischief(&self, mischief: &Value) {
        let set = self.request("POST", "/mischief", "", &mischief.to_string());
        assert_eq!(set.expect("an answer").0, 200);
    }
}

/// The status and the word by which an answer can be told.
pub(crate) fn code(answer: Option<Answer>) -> String {
    let (status, body) = answer.expect("an answer");
    let word = body["code"].as_str().or(body["state"].as_str()).unwrap_or_default();
    format!("{status} {word}")
}
