//! `tercet config show` and `check`.

use crate::cli::arguments::{Config, DatabaseFlags, ServeFlags};
use crate::cli::exit::{Exit, complain, say};
use crate::config::Flags;
use crate::escape::in_toml;

pub(super) fn config(what: Config, flags: &DatabaseFlags) -> Exit {
    let layers = match ServeFlags::from(flags).gather(Flags::new()) {
        Ok(layers) => layers,
        Err(error) => return Exit::usage(error),
    };
    if let Err(error) = layers.settings() {
        return Exit::usage(error);
    }
    for (variable, meant) in layers.unheard() {
        complain(format_args!("environment {variable} sets nothing; {meant} does"));
    }
    match what {
        Config::Show => say(in_toml(layers.to_string().trim_end())),
        Config::Check => say(format_args!("ok, {} not as built in", layers.changed())),
    }
    Exit::Well
}
