//! The processes of a database server, which somebody else has started.

use std::fs;
use std::time::Duration;

use super::RigError;
use super::process::cpu_of;

/// All processes on this machine that are called so.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ServerProcesses(pub(crate) &'static [&'static str]);

impl ServerProcesses {
    /// Processor time that those have used that run now, their own and the kernel's for them.
    ///
    /// # Errors
    /// The system does not say which processes there are.
    pub(crate) fn cpu(self) -> Result<Duration, RigError> {
        let mut all = Duration::ZERO;
        if self.0.is_empty() {
            return Ok(all);
        }
        for entry in fs::read_dir("/proc")? {
            // One that has ended meanwhile, or is no process, has nothing to read.
            let Ok(text) = fs::read_to_string(entry?.path().join("stat")) else { continue };
            let name = text.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
            if name.is_some_and(|(name, _)| self.0.contains(&name)) {
                all += cpu_of(&text).unwrap_or_default();
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_a_name_are_found_and_no_others() {
        // Until it has used some, as the kernel counts it.
        let mut work = 0_u64;
        while cpu_of(&fs::read_to_string("/proc/self/stat").expect("the own times"))
            == Some(Duration::ZERO)
        {
            work = std::hint::black_box(work.wrapping_add(1));
        }
        let name = fs::read_to_string("/proc/self/comm").expect("the own name");
        let names: &'static [&'static str] =
            Box::leak(Box::new([&*Box::leak(name.trim().to_owned().into_boxed_str())]));
        assert!(ServerProcesses(names).cpu().expect("a time") > Duration::ZERO);
        assert_eq!(ServerProcesses(&["no such"]).cpu().expect("a time"), Duration::ZERO);
    }
}
