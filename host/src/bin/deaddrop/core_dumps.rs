//! Core dumps, which would hold messages, keys and the passphrase.

use rustix::process::{Resource, Rlimit, setrlimit};

/// The limit that turns core dumps off. Linux ignores 0 when `core_pattern` names a program, and hands that program
/// nothing at 1 (`core(5)`); no core file is as small as that.
const NONE: Rlimit = Rlimit { current: Some(1), maximum: Some(1) };

/// Turns core dumps of this process off, for good.
pub(crate) fn disable() {
    // Lowering a limit is always allowed; where it has been 0 the old one does as much as it can.
    let _ = setrlimit(Resource::Core, NONE);
}
