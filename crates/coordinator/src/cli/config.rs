//! `tercet config show` and `check`.

use crate::access::Access;
use crate::cli::arguments::{Config, DatabaseFlags, ServeFlags};
use crate::cli::exit::{Exit, complain, say};
use crate::config::Flags;
use crate::escape::in_toml;

pub(super) fn config(what: Config, flags: &DatabaseFlags) -> Exit {
    let layers = match ServeFlags::from(flags).gather(Flags::new()) {
        Ok(layers) => layers,
        Err(error) => return Exit::usage(error),
    };
    let settings = match layers.settings() {
        Ok(settings) => settings,
        Err(error) => return Exit::usage(error),
    };
    for (variable, meant) in layers.unheard() {
        complain(format_args!("environment {variable} sets nothing; {meant} does"));
    }
    match what {
        Config::Show => say(in_toml(layers.to_string().trim_end())),
        Config::Check => match Access::check(&settings) {
            Ok(()) => say(format_args!("ok, {} not as built in", layers.changed())),
            Err(error) => return Exit::usage(error),
        },
    }
    Exit::Well
}
