//! What is secret in memory stays there.

use std::io;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// From now on neither a crash nor another process of the same user writes this one's memory down: its core dumps have
/// no bytes, for the children as well, and only root may attach to it. Where this process may lock as much memory as it
/// likes, none of it is swapped out either.
///
/// # Errors
///
/// When the system forbids to forbid dumps.
pub fn keep_secrets() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    if may_lock() {
        match mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT) {
            Ok(()) => tracing::info!("memory is locked: nothing of it is swapped out"),
            Err(error) => tracing::warn!("memory may be swapped out: {error}"),
        }
    }
    Ok(())
}

/// With a limit, memory that is locked would come to its end, and the process with it.
fn may_lock() -> bool {
    getrlimit(Resource::Memlock).current.is_none()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::process::dumpable_behavior;

    use super::*;

    #[test]
    fn a_process_that_keeps_secrets_leaves_no_core_dump_and_locks_what_it_may() {
        // Who may not lift the limit keeps the one that there is.
        let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
        keep_secrets().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let Rlimit { current, maximum } = getrlimit(Resource::Core);
        assert_eq!((current, maximum), (Some(0), Some(0)));
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
        assert_eq!(may_lock(), locked.trim() != "0 kB", "{locked}");
    }
}
