//! `tercet backup` and `tercet restore`: the database as one file, and back.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use tercet_clock::{Clock as _, SystemClock};
use tercet_journal::{
    BackedUp, JournalError, Restored, backup as copy_of, restore as put_in_place,
};
use thiserror::Error;

use crate::cli::arguments::{DatabaseFlags, ServeFlags};
use crate::cli::exit::{Exit, complain, say, say_json};
use crate::cli::tx::Output;
use crate::config::{Flags, Settings};

/// `tercet backup`.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// Where the copy is to be; its directory must be there
    file: PathBuf,
    /// Replace a file that is there already
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    flags: DatabaseFlags,
    /// How the answer looks
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

/// `tercet restore`.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The backup; it stays as it is
    file: PathBuf,
    #[command(flatten)]
    flags: DatabaseFlags,
    /// How the answer looks
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

/// Why it was not done. What the cause is about may be either of the two files, and it does not always say which.
#[derive(Debug, Error)]
enum Undone {
    #[error("no backup was made in {}", file.display())]
    Backup {
        file: PathBuf,
        #[source]
        cause: JournalError,
    },
    #[error("{} was not restored", file.display())]
    Restore {
        file: PathBuf,
        #[source]
        cause: JournalError,
    },
}

pub(super) fn backup(what: &Backup) -> Exit {
    let settings = match settings(&what.flags) {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let url = settings.database.url.expose();
    if settings.is_shared() {
        complain(BY_ITS_OWN_TOOLS);
        complain(tool(url, Way::There, &what.file));
        return Exit::Failed;
    }
    let BackedUp { bytes, transactions, unfinished } =
        match copy_of(url, &what.file, what.overwrite) {
            Ok(backed_up) => backed_up,
            Err(cause) => return Exit::failed(&Undone::Backup { file: what.file.clone(), cause }),
        };
    let file = what.file.display().to_string();
    match what.output {
        Output::Text => say(format_args!(
            "{file}: {bytes} bytes, {transactions} transactions, {unfinished} of them unfinished; read through and on the disk"
        )),
        Output::Json | Output::Jsonl => say_json(&json!({
            "file": file, "bytes": bytes, "transactions": transactions, "unfinished": unfinished,
        })),
    }
    Exit::Well
}

pub(super) fn restore(what: &Restore) -> Exit {
    let settings = match settings(&what.flags) {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let url = settings.database.url.expose();
    if settings.is_shared() {
        complain(BY_ITS_OWN_TOOLS);
        complain(tool(url, Way::Back, &what.file));
        complain("stop all nodes first, and start each with --restored afterwards");
        return Exit::Failed;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failed(&error),
    };
    let now = SystemClock::start().now().wall;
    let restored = runtime.block_on(put_in_place(url, &what.file, now, "tercet restore"));
    let Restored { set_aside, transactions, unfinished } = match restored {
        Ok(restored) => restored,
        Err(cause) => return Exit::failed(&Undone::Restore { file: what.file.clone(), cause }),
    };
    let set_aside = set_aside.map(|path| path.display().to_string());
    match what.output {
        Output::Text => {
            say(format_args!(
                "restored: {transactions} transactions, {unfinished} of them unfinished"
            ));
            if let Some(set_aside) = set_aside {
                say(format_args!("the database of before is now {set_aside}"));
            }
            say(NEXT);
        }
        Output::Json | Output::Jsonl => say_json(&json!({
            "set_aside": set_aside, "transactions": transactions, "unfinished": unfinished,
        })),
    }
    Exit::Well
}

/// What comes after a restore.
const NEXT: &str = "\nStart it with tercet serve --restored: what is decided goes on, what is not is held.\n\
    Compare the books with tercet reconcile ENDPOINT for each participant, then\n\
    tercet restored release.";

const BY_ITS_OWN_TOOLS: &str =
    "this database is on a server, whose own tools make and read backups of one moment:";

fn settings(flags: &DatabaseFlags) -> Result<Settings, Exit> {
    let layers = ServeFlags::from(flags).gather(Flags::new());
    layers.and_then(|layers| layers.settings()).map_err(Exit::usage)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

/// The line that does it, without user and password.
fn tool(url: &str, way: Way, file: &Path) -> String {
    let file = file.display();
    let url = url::Url::parse(url).ok();
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or("HOST");
    let name = url.as_ref().map_or("DATABASE", |url| url.path().trim_start_matches('/'));
    let port = url.as_ref().and_then(url::Url::port);
    let is_postgres = url.as_ref().is_some_and(|url| url.scheme().starts_with("postgres"));
    match (is_postgres, way) {
        (true, Way::There) => {
            let port = port.unwrap_or(5432);
            format!("pg_dump --format=custom --host={host} --port={port} --file={file} {name}")
        }
        (true, Way::Back) => {
            let port = port.unwrap_or(5432);
            format!(
                "pg_restore --clean --if-exists --exit-on-error --single-transaction --host={host} --port={port} --dbname={name} {file}"
            )
        }
        (false, Way::There) => {
            let port = port.unwrap_or(3306);
            format!(
                "mariadb-dump --single-transaction --hex-blob --host={host} --port={port} --result-file={file} {name}"
            )
        }
        (false, Way::Back) => {
            let port = port.unwrap_or(3306);
            format!("mariadb --host={host} --port={port} {name} < {file}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_backed_up_by_its_own_tool_and_no_password_is_shown() {
        let file = Path::new("/backup/tercet");
        for (url, way, expected) in [
            (
                "postgres://me:s3cret@db.example/tercet",
                Way::There,
                "pg_dump --format=custom --host=db.example --port=5432 --file=/backup/tercet tercet",
            ),
            (
                "mysql://me:s3cret@db:3307/tercet?ssl-mode=REQUIRED",
                Way::There,
                "mariadb-dump --single-transaction --hex-blob --host=db --port=3307 --result-file=/backup/tercet tercet",
            ),
            ("mariadb://db/t", Way::Back, "mariadb --host=db --port=3306 t < /backup/tercet"),
        ] {
            assert_eq!(tool(url, way, file), expected);
        }
    }
}
