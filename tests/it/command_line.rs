//! The program's own commands: what they print and how they end.

use tercet_testing::Tercet;

use crate::ran::{directory, run};

#[tokio::test]
async fn help_and_version_are_asked_for_and_anything_unknown_is_wrong_usage() {
    let directory = directory();
    let help = run(directory.path(), &["--help"], &[]).await;
    assert_eq!(help.code, Some(0), "{}", help.stderr);
    for command in ["serve", "dev", "migrate", "config", "tx"] {
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
