//! What holds for the whole process.

use std::fs::File;
use std::io;

/// `ERROR_TOO_MANY_OPEN_FILES`.
const OUT_OF_FILES: i32 = 4;

/// Leaves messages, keys and the passphrase out of the reports of a crash that the system makes. The dumps that an
/// administrator has turned on (`LocalDumps`) still hold them.
pub(crate) fn disable_core_dumps() {
    deaddrop_windows::process::leave_heap_out_of_reports();
}

/// Locks no memory: the system locks single ranges alone, and few of them. Secrets can get to its page file.
pub(crate) fn lock_memory() {}

/// Does nothing: the system has no limit of files that can be open at once, except memory.
pub(crate) fn raise_file_limit(_: u64) {}

/// How many files can be open at once: there is no such limit.
pub(crate) fn file_limit() -> Option<u64> {
    None
}

/// Opens something that takes a handle, and does nothing.
pub(crate) fn open_placeholder() -> io::Result<File> {
    File::open("NUL")
}

/// Whether an operation failed because no more files can be open at once.
pub(crate) fn is_out_of_files(error: &io::Error) -> bool {
    error.raw_os_error() == Some(OUT_OF_FILES)
}

/// How a command is run that changes the machine.
pub(crate) const AS_ADMINISTRATOR: &str = "in a command prompt of an administrator";
/// What to do where large packets are lost.
pub(crate) const SMALLER_MTU: &str = ": something between the two drops what is larger than its MTU, so set a smaller one \
    here in a command prompt of an administrator with: netsh interface ipv4 set subinterface INTERFACE mtu=1280";

/// What to do where too few files can be open at once.
pub(crate) const MORE_FILES: &str = "close other programs";
/// What to do where there is too little memory.
pub(crate) const MORE_MEMORY: &str = "close other programs";
/// What to do where too few threads can be started.
pub(crate) const MORE_THREADS: &str = "close other programs";
