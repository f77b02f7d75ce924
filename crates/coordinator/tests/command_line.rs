//! The command line of `tercet`, as processes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

fn tercet(directory: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tercet"));
    command.current_dir(directory).args(line.split_whitespace());
    // The tests' own surroundings are nobody's settings.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TERCET_") {
            command.env_remove(name);
        }
    }
    command
}

fn ran(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn help_explains_and_a_mistake_is_told_apart_from_a_failure() {
    let directory = TempDir::new().expect("a directory");
    let run = |line: &str| ran(&mut tercet(directory.path(), line));
    let (code, stdout, _) = run("--help");
    assert_eq!(code, Some(0));
    for word in ["serve", "dev", "migrate", "config", "audit", "Begin with: tercet dev"] {
        assert!(stdout.contains(word), "{stdout}");
    }
    let (code, stdout, _) = run("--version");
    assert_eq!((code, stdout.trim()), (Some(0), concat!("tercet ", env!("CARGO_PKG_VERSION"))));
    for line in ["", "sreve", "serve --listn x", "config", "migrate down", "serve --listen"] {
        let (code, stdout, stderr) = run(line);
        assert_eq!(code, Some(2), "{line}: {stderr}");
        assert!(stdout.is_empty() && !stderr.is_empty(), "{line}");
    }
    let (code, _, stderr) = run("serve --listen nowhere");
    assert_eq!(code, Some(2));
    assert!(stderr.starts_with("tercet: flag --listen: server.listen must be"), "{stderr}");
    let (code, _, stderr) = run("dev --listen 0.0.0.0:0");
    assert_eq!(code, Some(2));
    assert!(stderr.contains("loopback only"), "{stderr}");
}

#[test]
fn config_shows_where_each_value_came_from_and_check_names_what_is_wrong() {
    let directory = TempDir::new().expect("a directory");
    std::fs::write(directory.path().join("my.toml"), "[retry]\ninitial_backoff_ms = 7\n")
        .expect("written");
    let mut show =
        tercet(directory.path(), "config show --config my.toml --database-url sqlite://x");
    let (code, stdout, stderr) = ran(show.env("TERCET_LOG__FORMAT", "json"));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let origin = |setting: &str| {
        let line = stdout.lines().find(|line| line.starts_with(setting));
        line.and_then(|line| line.split_once('#')).map_or("", |(_, origin)| origin.trim())
    };
    assert_eq!(origin("initial_backoff_ms = 7 "), "file my.toml");
    assert_eq!(origin("url = \"sqlite://x\" "), "flag --database-url");
    assert_eq!(origin("format = \"json\" "), "environment TERCET_LOG__FORMAT");
    assert_eq!(origin("listen = \"127.0.0.1:7200\" "), "default");

    let mut check = tercet(directory.path(), "config check --config my.toml");
    assert_eq!(ran(&mut check).0, Some(0));
    let (code, _, stderr) = ran(check.env("TERCET_RETRY__FRIST_MS", "5"));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("environment TERCET_RETRY__FRIST_MS"), "{stderr}");
    let (code, _, stderr) = ran(&mut tercet(directory.path(), "config check --config none.toml"));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("none.toml"), "{stderr}");
}

/// A running coordinator; killed if the test ends before it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The address in the first line that tells one.
fn address(output: impl std::io::Read) -> String {
    let mut lines = BufReader::new(output).lines().map(|line| line.expect("UTF-8"));
    let line = lines.find(|line| line.contains("http://127.0.0.1:")).expect("an address");
    let (_, rest) = line.split_once("http://").expect("an address");
    rest.split(|c: char| !(c.is_ascii_digit() || ".:".contains(c))).next().expect("one").to_owned()
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

fn terminate(running: &mut Running) -> Option<i32> {
    let kill = Command::new("kill").args(["-TERM", &running.0.id().to_string()]).status();
    assert!(kill.expect("kill runs").success());
    running.0.wait().expect("it ends").code()
}

#[test]
fn a_served_coordinator_says_where_it_listens_and_ends_well_when_asked_to() {
    let directory = TempDir::new().expect("a directory");
    for format in ["text", "json"] {
        let line = format!("serve --listen 127.0.0.1:0 --log-format {format}");
        let mut command = tercet(directory.path(), &line);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut running = Running(child.expect("it starts"));
        let address = address(running.0.stderr.take().expect("piped"));
        // From here on nobody reads the log, and that must not matter.
        assert!(get(&address, "/livez").starts_with("HTTP/1.1 200 OK"));
        assert!(get(&address, "/readyz").starts_with("HTTP/1.1 200 OK"));
        assert!(get(&address, "/metrics").contains("tercet_build_info"));
        assert_eq!(terminate(&mut running), Some(0), "{format}");
    }
}

#[test]
fn a_journal_in_memory_says_loudly_that_it_is_not_durable_and_writes_no_file() {
    let directory = TempDir::new().expect("a directory");
    let (_, help, _) = ran(&mut tercet(directory.path(), "serve --help"));
    assert!(help.contains("NOT DURABLE"), "{help}");
    let line = "serve --listen 127.0.0.1:0 --memory-journal-for-benchmarks";
    let mut command = tercet(directory.path(), line);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut running = Running(child.expect("it starts"));
    let mut log = BufReader::new(running.0.stderr.take().expect("piped"));
    let mut first = String::new();
    log.read_line(&mut first).expect("a line");
    assert!(first.contains("WARN") && first.contains("NOT DURABLE"), "{first}");
    let address = address(log);
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 200 OK"));
    assert_eq!(terminate(&mut running), Some(0));
    let left: Vec<_> = std::fs::read_dir(directory.path()).expect("readable").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn dev_prints_three_lines_to_try_and_leaves_no_database_behind() {
    let directory = TempDir::new().expect("a directory");
    let mut command = tercet(directory.path(), "dev --listen 127.0.0.1:0");
    command.env("TMPDIR", directory.path()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running(command.spawn().expect("it starts"));
    let mut stdout = BufReader::new(running.0.stdout.take().expect("piped")).lines();
    let mut curls = Vec::new();
    while curls.len() < 3 {
        let line = stdout.next().expect("three lines").expect("UTF-8");
        curls.extend(line.trim().starts_with("curl ").then(|| line.trim().to_owned()));
    }
    assert!(curls[2].ends_with("/v1/transactions/hello-1"), "{curls:?}");
    assert_eq!(terminate(&mut running), Some(0));
    let left: Vec<_> = std::fs::read_dir(directory.path()).expect("readable").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let directory = TempDir::new().expect("a directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let line = format!("serve --listen {address}");
    let (code, _, stderr) = ran(&mut tercet(directory.path(), &line));
    assert_eq!(code, Some(1));
    assert!(stderr.contains(&format!("tercet: cannot listen on {address}: ")), "{stderr}");
}
