//! `tercet config`: which settings hold, where each came from, and what is wrong with one.

use crate::ran::{Ran, directory, run};

#[tokio::test]
async fn config_show_tells_every_setting_and_where_it_came_from() {
    let directory = directory();
    let file = directory.path().join("mine.toml");
    let text = "[retry]\nmax_backoff_ms = 7000\n[limits]\nbranches = 8\nheaders = 9\n";
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
        ("max_backoff_ms", "7000", "mine.toml"),
        ("branches", "16", "TERCET_LIMITS__BRANCHES"),
        ("url", "sqlite://mine.db", "--database-url"),
        ("initial_backoff_ms", "100", "default"),
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
    let fine = check("[retry]\nmax_backoff_ms = 7000\n", &[]).await;
    assert_eq!(fine.code, Some(0), "{}", fine.stderr);
    for (text, named) in [
        ("[retry]\ncap = 7000\n", ["retry.cap", "mine.toml"]),
        ("[retries]\nmax_backoff_ms = 7000\n", ["retries", "mine.toml"]),
        ("[retry]\nmax_backoff_ms = \"soon\"\n", ["retry.max_backoff_ms", "mine.toml"]),
        ("[retry]\nmax_backoff_ms = -1\n", ["retry.max_backoff_ms", "mine.toml"]),
        ("[retry\n", ["1", "mine.toml"]),
    ] {
        names(&check(text, &[]).await, &named);
    }
    for (name, value, setting) in [
        ("TERCET_RETRY__CAP", "1", "retry.cap"),
        ("TERCET_SERVER__LISTEN", "here", "server.listen"),
        ("TERCET_SERVICE__HOST", "10.96.0.7", "service.host"),
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
