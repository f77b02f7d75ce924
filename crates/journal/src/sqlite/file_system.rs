//! What kind of file system a database lies on, where the system says so.

use std::path::{Path, PathBuf};

use super::address::SqliteFile;

/// Where Linux lists what is mounted.
const MOUNTS: &str = "/proc/self/mountinfo";
/// File systems of other machines.
const NETWORKS: [&str; 6] = ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"];

/// Why a file may lose what it acknowledges, if the file system under it is known to. Nothing
/// where the system does not say.
pub(super) fn untrusted_file_system(file: &SqliteFile) -> Option<&'static str> {
    objection(&kind(file)?)
}

/// Whether it lies on another machine, where locks of different kinds are one.
pub(super) fn is_of_a_network(file: &SqliteFile) -> bool {
    kind(file).is_some_and(|kind| NETWORKS.contains(&kind.as_str()))
}

fn kind(file: &SqliteFile) -> Option<String> {
    let path = std::path::absolute(file.path()).ok()?;
    let directory = path.parent()?.canonicalize().ok()?;
    let mounts = std::fs::read_to_string(MOUNTS).ok()?;
    kind_of(&mounts, &directory).map(str::to_owned)
}

fn objection(kind: &str) -> Option<&'static str> {
    match kind {
        "tmpfs" | "ramfs" => {
            Some("it lies in memory (tmpfs), and is gone when the machine stops: put it on a disk")
        }
        network if NETWORKS.contains(&network) => Some(
            "it lies on a network's file system, whose locks and fsync SQLite cannot rely on: put \
             it on a disk of this machine",
        ),
        _ => None,
    }
}

/// The kind of the file system mounted nearest above a directory; of several in one place,
/// the last.
fn kind_of<'a>(mounts: &'a str, directory: &Path) -> Option<&'a str> {
    let mut nearest: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let Some((place, kind)) = mount(line) else { continue };
        let depth = place.components().count();
        if directory.starts_with(&place) && nearest.is_none_or(|(least, _)| depth >= least) {
            nearest = Some((depth, kind));
        }
    }
    nearest.map(|(_, kind)| kind)
}

/// The place and kind of one mount, as proc(5) describes the line.
fn mount(line: &str) -> Option<(PathBuf, &str)> {
    let (before, after) = line.split_once(" - ")?;
    let place = before.split(' ').nth(4)?;
    // Of the characters that are escaped, a space is the one that people use.
    Some((place.replace("\\040", " ").into(), after.split(' ').next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_says_what_a_directory_lies_on() {
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            30 22 0:26 / /run rw,nosuid - tmpfs tmpfs rw,size=10%\n\
            31 22 0:27 / /srv/the\\040data rw - nfs4 server:/data rw\n\
            32 22 8:2 / /var/lib rw master:3 - tmpfs tmpfs rw\n\
            33 22 8:2 / /var/lib rw - xfs /dev/sda2 rw\n\
            nonsense\n";
        let table = [
            ("/var/log", Some("ext4"), false),
            ("/run/tercet", Some("tmpfs"), true),
            ("/running", Some("ext4"), false),
            ("/srv/the data/tercet", Some("nfs4"), true),
            ("/var/lib/tercet", Some("xfs"), false),
        ];
        for (directory, kind, objected) in table {
            let found = kind_of(mounts, Path::new(directory));
            assert_eq!(found, kind, "{directory}");
            assert_eq!(found.and_then(objection).is_some(), objected, "{directory}");
        }
        assert_eq!(kind_of("", Path::new("/")), None);
    }
}
