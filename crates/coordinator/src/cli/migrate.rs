//! `tercet migrate up`, `status` and `copy`.

use tercet_journal::{JournalError, copy, migrate_up, migration_status};

use crate::cli::arguments::{DatabaseFlags, Migrate, ServeFlags};
use crate::cli::exit::{Exit, say};
use crate::config::Flags;

pub(super) fn migrate(what: Migrate, flags: &DatabaseFlags) -> Exit {
    if let Migrate::Copy { from, to } = what {
        return run(copy_all(&from, &to));
    }
    let settings = ServeFlags::from(flags).gather(Flags::new());
    let settings = match settings.and_then(|layers| layers.settings()) {
        Ok(settings) => settings,
        Err(error) => return Exit::usage(error),
    };
    let url = settings.database.url.expose();
    run(async {
        match what {
            Migrate::Up => migrate_up(url).await.map(|()| say("the schema is up to date")),
            Migrate::Status | Migrate::Copy { .. } => migration_status(url).await.map(|steps| {
                for step in steps {
                    let mark = if step.applied { "applied" } else { "missing" };
                    say(format_args!("{mark}  {}", step.name));
                }
            }),
        }
    })
}

fn run(work: impl Future<Output = Result<(), JournalError>>) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failed(&error),
    };
    match runtime.block_on(work) {
        Ok(()) => Exit::Well,
        Err(error) => Exit::failed(&error),
    }
}

async fn copy_all(from: &str, to: &str) -> Result<(), JournalError> {
    for table in copy(from, to).await? {
        let name = table.name;
        say(format_args!("{name:<20}  {:>10} rows  sha256 {}", table.rows, table.checksum));
    }
    say("all tables are the same in both");
    Ok(())
}
