//! Programs with a process group of their own.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// The process group of a program, whose leader is not reaped while this is used.
#[derive(Clone)]
pub(crate) struct Group(Pid);

impl Group {
    /// Starts a program in a group of its own. What it prints goes to standard error.
    pub(crate) fn start(command: &mut Command) -> io::Result<(Self, Child)> {
        command.stdout(Stdio::from(io::stderr().as_fd().try_clone_to_owned()?));
        let child = command.process_group(0).spawn()?;
        Ok((Self(Pid::from_child(&child)), child))
    }

    /// Waits for the end of its leader without reaping it, so that its id names no other group meanwhile.
    pub(crate) fn wait(&self) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(Errno::INTR) = waitid(WaitId::Pid(self.0), options) {}
    }

    /// Asks all of it to end. A group that has ended takes no signal.
    pub(crate) fn terminate(&self) {
        let _ = kill_process_group(self.0, Signal::TERM);
    }

    /// Ends all of it.
    pub(crate) fn kill(&self) {
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

/// The signal that ended a program.
pub(crate) fn signal(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// Whether this is a program.
pub(crate) fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Opens a file to read it, unless it is a link.
pub(crate) fn open_no_link(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}
