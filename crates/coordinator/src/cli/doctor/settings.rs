//! Whether a daemon with these settings would start, and answer.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tercet_clock::{Clock, SystemClock};

use super::Findings;
use crate::access::Access;
use crate::cli::exit::with_causes;
use crate::cli::tx::lasting;
use crate::config::Settings;
use crate::open_files;
use crate::tls::TlsFiles;

/// Less than this before a certificate ends people are told.
const SOON: Duration = Duration::from_secs(14 * 24 * 3_600);

pub(super) fn look(settings: &Settings, findings: &mut Findings) {
    access(settings, findings);
    certificates(settings, findings);
    permissions(settings, findings);
    let server = &settings.server;
    let readers = settings.database.read_connections;
    match open_files::check(server.max_connections, readers, settings.is_shared()) {
        Ok(()) => findings.ok("open files", "enough may be open"),
        Err(error) => findings.fail("open files", error.to_string()),
    }
}

fn access(settings: &Settings, findings: &mut Findings) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    match Access::begin(settings, clock) {
        Ok(access) if access.has_rules() => findings.ok("access", "the rules can be read"),
        Ok(_) if settings.auth.allow_anonymous => {
            findings.warn("access", "auth.allow_anonymous: whoever reaches it may do everything");
        }
        Ok(_) => findings.ok("access", "everybody on this machine may do everything"),
        Err(error) => findings.fail("access", with_causes(&error)),
    }
}

fn certificates(settings: &Settings, findings: &mut Findings) {
    let now = SystemClock::start().now().wall;
    let sections = [
        ("server.tls", TlsFiles::of_server(&settings.server.tls)),
        ("dispatcher.tls", Some(TlsFiles::of_calls(&settings.dispatcher.tls))),
        ("cluster", Some(TlsFiles::of_nodes(&settings.cluster))),
    ];
    for (section, files) in sections {
        let Some(files) = files.filter(|files| !files.is_empty()) else { continue };
        let loaded = match files.read() {
            Ok(loaded) => loaded,
            Err(error) => {
                findings.fail("certificates", format!("{section}: {}", with_causes(&error)));
                continue;
            }
        };
        match loaded.first_end() {
            None => findings.warn("certificates", format!("{section}: none says when it ends")),
            Some(end) if end <= now => {
                findings.fail("certificates", format!("{section}: one has ended, {end}"));
            }
            Some(end) => {
                let left = end.since(now);
                let found = format!("{section}: the first ends in {} ({end})", lasting(left));
                match left < SOON {
                    true => findings.warn("certificates", found),
                    false => findings.ok("certificates", found),
                }
            }
        }
    }
}

/// What only the daemon's user should be able to read.
fn permissions(settings: &Settings, findings: &mut Findings) {
    let mut files: Vec<PathBuf> = Vec::new();
    if let Some(database) = tercet_journal::database_file(settings.database.url.expose()) {
        for ending in ["", "-wal"] {
            let mut path = database.clone().into_os_string();
            path.push(ending);
            files.push(path.into());
        }
    }
    files.extend(settings.auth.tokens_file.clone());
    files.retain(|path| path.exists());
    let mut are_well = true;
    for path in &files {
        if let Some(found) = readable_by_others(path) {
            are_well = false;
            findings.warn("permissions", found);
        }
    }
    if are_well && !files.is_empty() {
        findings.ok("permissions", "nobody else may read the database, or a file of tokens");
    }
}

fn readable_by_others(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let is_public = mode & 0o077 != 0;
    is_public.then(|| format!("{} has mode {mode:04o}; make it 0600", path.display()))
}
