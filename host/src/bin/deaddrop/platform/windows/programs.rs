//! Programs with a job of their own, which is what Windows has for a process group.

use std::fs::File;
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsHandle;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use deaddrop_windows::job::Job;

/// Opens a link itself (`FILE_FLAG_OPEN_REPARSE_POINT`).
const NO_FOLLOW: u32 = 0x0020_0000;
/// What a program's name ends with that can be started by it.
const PROGRAMS: [&str; 4] = ["exe", "com", "bat", "cmd"];

/// A program and all that it starts.
#[derive(Clone)]
pub(crate) struct Group(Arc<Job>);

impl Group {
    /// Starts a program in a job of its own. What it prints goes to standard error.
    pub(crate) fn start(command: &mut Command) -> io::Result<(Self, Child)> {
        command.stdout(Stdio::from(io::stderr().as_handle().try_clone_to_owned()?));
        let (job, child) = Job::start(command)?;
        Ok((Self(Arc::new(job)), child))
    }

    /// Waits for the end of the program itself.
    pub(crate) fn wait(&self) {
        // Fails of no handle that is open.
        let _ = self.0.wait();
    }

    /// Asks all of it to end, by Ctrl-Break. A program with windows, or with a console of its own, does not hear it.
    pub(crate) fn terminate(&self) {
        let _ = self.0.send_break();
    }

    /// Ends all of it.
    pub(crate) fn kill(&self) {
        // Fails of no job that is there.
        let _ = self.0.kill();
    }
}

/// The signal that ended a program: there are none.
pub(crate) fn signal(_: ExitStatus) -> Option<i32> {
    None
}

/// Whether this is a program, or is one with `.exe` behind it.
pub(crate) fn is_program(path: &Path) -> bool {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(extension) => PROGRAMS.contains(&&*extension.to_ascii_lowercase()) && path.is_file(),
        None => path.with_extension("exe").is_file(),
    }
}

/// Opens a file to read it, unless it is a link.
pub(crate) fn open_no_link(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(NO_FOLLOW).open(path)?;
    if file.metadata()?.is_symlink() { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(file) }
}
