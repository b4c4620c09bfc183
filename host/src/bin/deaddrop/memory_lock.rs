//! Memory that stays in RAM, so that no secret gets to swap.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Locks all memory of this process as it is used, where the system allows that without a limit.
///
/// Under a limit nothing is locked: once it is reached, the system refuses all further memory to a process whose future
/// memory is locked (`mlockall(2)`), and the process would end in the midst of a transfer.
pub(crate) fn lock() {
    let unlimited = Rlimit { current: None, maximum: None };
    // Raising it takes a right over the whole machine. That of a user namespace is not enough, and is refused here.
    if setrlimit(Resource::Memlock, unlimited).is_ok() {
        // Otherwise secrets can get to swap, as the threat model says.
        let _ = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
    }
}
