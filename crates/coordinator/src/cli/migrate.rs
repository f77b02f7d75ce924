//! `tercet migrate up` and `status`.

use tercet_journal::{migrate_up, migration_status};

use crate::cli::arguments::{DatabaseFlags, Migrate, ServeFlags};
use crate::cli::exit::{Exit, say};
use crate::config::Flags;

pub(super) fn migrate(what: Migrate, flags: &DatabaseFlags) -> Exit {
    let settings = ServeFlags::from(flags).gather(Flags::new());
    let settings = match settings.and_then(|layers| layers.settings()) {
        Ok(settings) => settings,
        Err(error) => return Exit::usage(error),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failed(&error),
    };
    let url = settings.database.url.expose();
    let done = runtime.block_on(async {
        match what {
            Migrate::Up => migrate_up(url).await.map(|()| say("the schema is up to date")),
            Migrate::Status => migration_status(url).await.map(|steps| {
                for step in steps {
                    let mark = if step.applied { "applied" } else { "missing" };
                    say(format_args!("{mark}  {}", step.name));
                }
            }),
        }
    });
    match done {
        Ok(()) => Exit::Well,
        Err(error) => Exit::failed(&error),
    }
}
