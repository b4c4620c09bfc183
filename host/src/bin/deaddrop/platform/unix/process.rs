//! What holds for the whole process.

use std::fs::File;
use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit that turns core dumps off. Linux ignores 0 when `core_pattern` names a program, and hands that program
/// nothing at 1 (`core(5)`); no core file is as small as that.
const NONE: Rlimit = Rlimit { current: Some(1), maximum: Some(1) };

/// Turns core dumps of this process off, for good: they would hold messages, keys and the passphrase.
pub(crate) fn disable_core_dumps() {
    // Lowering a limit is always allowed; where it has been 0 the old one does as much as it can.
    let _ = setrlimit(Resource::Core, NONE);
}

/// Locks all memory of this process as it is used, so that no secret gets to swap, where the system allows that without
/// a limit.
///
/// Under a limit nothing is locked: once it is reached, the system refuses all further memory to a process whose future
/// memory is locked (`mlockall(2)`), and the process would end in the midst of a transfer.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn lock_memory() {
    use rustix::mm::{MlockAllFlags, mlockall};
    let unlimited = Rlimit { current: None, maximum: None };
    // Raising it takes a right over the whole machine. That of a user namespace is not enough, and is refused here.
    if setrlimit(Resource::Memlock, unlimited).is_ok() {
        // Otherwise secrets can get to swap, as the threat model says.
        let _ = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
    }
}

/// Nothing: macOS cannot lock memory that is not used yet, and encrypts its swap.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn lock_memory() {}

/// Raises the limit of files that can be open at once to `wanted`, or as far as the system lets us.
pub(crate) fn raise_file_limit(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if limit.current.is_some_and(|current| current < wanted) {
        // Where it is refused the old limit stands, and connections beyond it wait.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
}

/// What to do where too few files can be open at once.
pub(crate) const MORE_FILES: &str = "raise the limit with ulimit -n 256, or close other programs";
/// What to do where there is too little memory.
pub(crate) const MORE_MEMORY: &str = "raise the limit with ulimit -v, or close other programs";
/// What to do where too few threads can be started.
pub(crate) const MORE_THREADS: &str = "raise the limit of this user's processes with ulimit -u, or that of the container, or close other programs";

/// How a command is run that changes the machine.
pub(crate) const AS_ADMINISTRATOR: &str = "as root";
/// What to do where large packets are lost.
pub(crate) const SMALLER_MTU: &str = ": something between the two drops what is larger than its MTU, so set a smaller one \
    here as root with: ip link set dev INTERFACE mtu 1280";

/// How many files can be open at once, if there is such a limit.
pub(crate) fn file_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Opens something that takes the place of a file in that count, and does nothing.
pub(crate) fn open_placeholder() -> io::Result<File> {
    File::open("/")
}

/// Whether an operation failed because no more files can be open at once.
pub(crate) fn is_out_of_files(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_limit_is_raised_and_a_high_one_is_left() {
        const WANTED: u64 = 8_192;
        let at_first = getrlimit(Resource::Nofile);
        let low = Rlimit { current: Some(512), maximum: at_first.maximum };
        setrlimit(Resource::Nofile, low).unwrap();
        raise_file_limit(WANTED);
        let wanted = at_first.maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
        assert_eq!(file_limit(), Some(wanted));
        setrlimit(Resource::Nofile, at_first).unwrap();
        raise_file_limit(WANTED);
        assert!(file_limit() >= at_first.current);
    }
}
