//! A coordinator whose database is put back from a backup.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::{Stage, program, tokens};

impl Stage {
    /// Takes a backup, ends the daemon at once, puts the backup back, and begins on it as people do after a
    /// loss: what is undecided in it is held.
    ///
    /// # Panics
    /// A step of it fails.
    pub async fn put_back(&mut self) {
        let database = url(&self.directory.path().join("tercet.db"));
        let backup = self.directory.path().join("backup.db").display().to_string();
        run(&["backup", &backup, "--database-url", &database]).await;
        self.daemon.kill().await.expect("it ends");
        run(&["restore", &backup, "--database-url", &database]).await;
        let listen = self.url.trim_start_matches("http://");
        self.daemon = Command::new(program("tercet"))
            .args(["serve", "--restored", "--listen", listen, "--database-url", &database])
            .env("TERCET_AUTH__TOKENS", tokens().to_string())
            .env("TERCET_NODE__ID", "node-a")
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the daemon starts");
        self.is_ready().await;
    }
}

fn url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

async fn run(arguments: &[&str]) {
    let output = Command::new(program("tercet")).args(arguments).output().await.expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}
