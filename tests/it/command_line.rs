//! The program's own commands: what they print and how they end.

use std::path::Path;
use std::process::{Output, Stdio};

use tercet_tests::{Tercet, program, soon};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// How a command ended, and what it said.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

async fn run(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = program(directory);
    command.args(arguments).envs(environment.iter().copied());
    let output = soon("the command ends", command.output()).await.expect("it starts");
    let Output { status, stdout, stderr } = output;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[tokio::test]
async fn help_and_version_are_asked_for_and_anything_unknown_is_wrong_usage() {
    let directory = directory();
    let help = run(directory.path(), &["--help"], &[]).await;
    assert_eq!(help.code, Some(0), "{}", help.stderr);
    for command in ["serve", "dev", "migrate", "config"] {
        assert!(help.stdout.contains(command), "{command} in {}", help.stdout);
        let help = run(directory.path(), &[command, "--help"], &[]).await;
        assert_eq!(help.code, Some(0), "{command}: {}", help.stderr);
    }
    let version = run(directory.path(), &["--version"], &[]).await;
    assert!(version.code == Some(0) && version.stdout.starts_with("tercet "), "{}", version.stdout);
    for wrong in [&["swerve"][..], &["serve", "--lisen", "x"], &["migrate"], &[]] {
        let ran = run(directory.path(), wrong, &[]).await;
        assert_eq!(ran.code, Some(2), "{wrong:?}: {}", ran.stderr);
        assert!(!ran.stderr.is_empty(), "{wrong:?}");
    }
}

#[tokio::test]
async fn config_show_tells_every_setting_and_where_it_came_from() {
    let directory = directory();
    let file = directory.path().join("mine.toml");
    let text = "[retry]\ncap_ms = 7000\n[limits]\nbranches = 8\nheaders = 9\n";
    std::fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    let shown = run(
        directory.path(),
        &["config", "show", "--config", &file, "--database-url", "sqlite://mine.db"],
        &[("TERCET_LIMITS__BRANCHES", "16"), ("TERCET_DATABASE__URL", "sqlite://env.db")],
    )
    .await;
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    let line = |key: &str| {
        let line = shown.stdout.lines().find(|line| line.starts_with(&format!("{key} = ")));
        line.unwrap_or_else(|| panic!("no {key} in {}", shown.stdout))
    };
    // Later wins: defaults, file, environment, flags.
    for (key, value, origin) in [
        ("cap_ms", "7000", "mine.toml"),
        ("branches", "16", "TERCET_LIMITS__BRANCHES"),
        ("url", "sqlite://mine.db", "--database-url"),
        ("first_ms", "100", "default"),
    ] {
        assert!(line(key).contains(value) && line(key).contains(origin), "{}", line(key));
    }
    let secret = "postgres://tercet:s3cret@db/tercet";
    let masked = run(directory.path(), &["config", "show", "--database-url", secret], &[]).await;
    assert!(!masked.stdout.contains("s3cret"), "{}", masked.stdout);
    assert!(masked.stdout.contains("postgres://tercet:"), "{}", masked.stdout);
}

/// Checks that a command was refused for how it was used, and that it named what is wrong.
fn names(ran: &Ran, named: &[&str]) {
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    for name in named {
        assert!(ran.stderr.contains(name), "{name} in {}", ran.stderr);
    }
}

#[tokio::test]
async fn config_check_names_what_is_wrong_and_where_it_stands() {
    let directory = directory();
    let check = async |text: &str, environment: &[(&str, &str)]| {
        let file = directory.path().join("mine.toml");
        std::fs::write(&file, text).expect("a file");
        let file = file.display().to_string();
        run(directory.path(), &["config", "check", "--config", &file], environment).await
    };
    let fine = check("[retry]\ncap_ms = 7000\n", &[]).await;
    assert_eq!(fine.code, Some(0), "{}", fine.stderr);
    for (text, named) in [
        ("[retry]\ncap = 7000\n", ["retry.cap", "mine.toml"]),
        ("[retries]\ncap_ms = 7000\n", ["retries", "mine.toml"]),
        ("[retry]\ncap_ms = \"soon\"\n", ["retry.cap_ms", "mine.toml"]),
        ("[retry]\ncap_ms = -1\n", ["retry.cap_ms", "mine.toml"]),
        ("[retry\n", ["1", "mine.toml"]),
    ] {
        names(&check(text, &[]).await, &named);
    }
    for (name, value, setting) in [
        ("TERCET_RETRY__CAP", "1", "retry.cap"),
        ("TERCET_SERVER__LISTEN", "here", "server.listen"),
        ("TERCET_RETRY", "1", "retry"),
    ] {
        names(&check("", &[(name, value)]).await, &[name, setting]);
    }
    // The client's own variables are no settings.
    let client = check("", &[("TERCET_URL", "http://x"), ("TERCET_TOKEN", "t")]).await;
    assert_eq!(client.code, Some(0), "{}", client.stderr);
    // The daemon does not start with what it does not understand either.
    let wrong = [("TERCET_RETRY__CAP", "1")];
    let serve = run(directory.path(), &["serve", "--listen", "127.0.0.1:0"], &wrong).await;
    assert_eq!(serve.code, Some(2), "{}", serve.stderr);
    let absent = run(directory.path(), &["config", "check", "--config", "no.toml"], &[]).await;
    assert!(absent.code == Some(2) && absent.stderr.contains("no.toml"), "{}", absent.stderr);
}

#[tokio::test]
async fn migrating_twice_is_migrating_once_and_status_tells_how_far_it_is() {
    let directory = directory();
    let url = format!("sqlite://{}", directory.path().join("new.db").display());
    let migrate = async |what: &str| {
        run(directory.path(), &["migrate", what, "--database-url", &url], &[]).await
    };
    let first = migrate("up").await;
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let status = migrate("status").await;
    assert!(status.code == Some(0) && !status.stdout.is_empty(), "{}", status.stderr);
    assert!(status.stdout.lines().all(|line| line.contains("applied")), "{}", status.stdout);
    let second = migrate("up").await;
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert_eq!(migrate("status").await.stdout, status.stdout);
    let nowhere = ["migrate", "up", "--database-url", "sqlite:///no/such/place/new.db"];
    let failed = run(directory.path(), &nowhere, &[]).await;
    assert!(failed.code == Some(1) && !failed.stderr.is_empty(), "{:?}", failed.code);
}

#[tokio::test]
async fn the_schema_of_a_running_daemon_is_complete() {
    let tercet = Tercet::start().await;
    let (status, stdout, stderr) = tercet.run(&["migrate", "status"]).await;
    assert!(status.success(), "{stderr}");
    assert!(!stdout.is_empty() && stdout.lines().all(|l| l.contains("applied")), "{stdout}");
}

#[tokio::test]
async fn a_daemon_that_cannot_start_says_why_and_ends() {
    let directory = directory();
    let running = Tercet::start().await;
    let taken = running.address().to_string();
    let serve = async |arguments: &[&str]| {
        let arguments: Vec<&str> = ["serve"].iter().chain(arguments).copied().collect();
        run(directory.path(), &arguments, &[]).await
    };
    let ran = serve(&["--listen", &taken]).await;
    assert!(ran.code == Some(1) && ran.stderr.contains(&taken), "{:?} {}", ran.code, ran.stderr);
    let here = ["--listen", "127.0.0.1:0"];
    let ran = serve(&[here[0], here[1], "--database-url", "sqlite:///no/such/place/t.db"]).await;
    assert!(ran.code == Some(1) && !ran.stderr.is_empty(), "{:?} {}", ran.code, ran.stderr);
    std::fs::write(directory.path().join("text.db"), "no database ".repeat(100)).expect("a file");
    let ran = serve(&[here[0], here[1], "--database-url", "sqlite://text.db"]).await;
    assert!(ran.code == Some(1) && !ran.stderr.is_empty(), "{:?} {}", ran.code, ran.stderr);
}

#[tokio::test]
async fn dev_prints_three_curl_lines_that_run_a_transaction_when_pasted() {
    let directory = directory();
    let mut dev = program(directory.path());
    dev.args(["dev", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut dev = dev.spawn().expect("it starts");
    let mut lines = BufReader::new(dev.stdout.take().expect("piped")).lines();
    let mut curls = Vec::new();
    while curls.len() < 3 {
        let line = soon("a curl line", lines.next_line()).await.expect("readable");
        let line = line.expect("it goes on printing until there are three");
        curls.extend(line.trim().starts_with("curl ").then(|| line.trim().to_owned()));
    }
    let mut statuses = Vec::new();
    for line in &curls {
        let shell = Command::new("sh").args(["-c", line]).output();
        let output = soon(line, shell).await.expect("a shell");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert!(output.status.success() && answer["status"].is_string(), "{line}: {output:?}");
        statuses.push(answer["status"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(statuses, ["trying", "confirmed", "confirmed"]);
    dev.start_kill().expect("it runs");
    soon("its end", dev.wait()).await.expect("it was started");
    let anywhere = run(directory.path(), &["dev", "--listen", "0.0.0.0:0"], &[]).await;
    assert_eq!(anywhere.code, Some(2), "dev is for loopback: {}", anywhere.stderr);
}

#[tokio::test]
async fn dev_leaves_no_database_behind() {
    let directory = directory();
    let mut dev = program(directory.path());
    dev.env("TMPDIR", directory.path());
    dev.args(["dev", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut dev = dev.spawn().expect("it starts");
    let mut lines = BufReader::new(dev.stdout.take().expect("piped")).lines();
    let started = async {
        while let Ok(Some(line)) = lines.next_line().await {
            if line.contains("curl") {
                return true;
            }
        }
        false
    };
    assert!(soon("its lines", started).await);
    let there = || std::fs::read_dir(directory.path()).expect("readable").count();
    assert_eq!(there(), 1, "one directory of its own");
    let pid = dev.id().expect("it runs");
    let term = Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status().await;
    assert!(term.expect("a shell").success());
    let status = soon("its end", dev.wait()).await.expect("it was started");
    assert_eq!((status.code(), there()), (Some(0), 0));
}

#[tokio::test]
async fn serve_logs_json_when_told_to_and_keeps_its_journal_where_it_was_started() {
    let directory = directory();
    let mut serve = program(directory.path());
    serve.args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]);
    let mut serve = serve.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(serve.stderr.take().expect("piped")).lines();
    let ready = async {
        loop {
            let line = lines.next_line().await.expect("readable").expect("it goes on");
            let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            if line.to_string().contains("ready") {
                break line;
            }
        }
    };
    let ready = soon("it is ready", ready).await;
    assert!(ready.to_string().contains("http://127.0.0.1:"), "{ready}");
    assert!(directory.path().join("tercet.db").exists());
    let pid = serve.id().expect("it runs");
    let int = Command::new("sh").args(["-c", &format!("kill -INT {pid}")]).status().await;
    assert!(int.expect("a shell").success());
    assert_eq!(soon("its end", serve.wait()).await.expect("it was started").code(), Some(0));
}
