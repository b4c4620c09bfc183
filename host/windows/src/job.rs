//! Jobs: a program together with all that it starts.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::process::{Child, Command};
use std::ptr::null;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE, WAIT_OBJECT_0};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CREATE_SUSPENDED, INFINITE, OpenThread, ResumeThread, THREAD_SUSPEND_RESUME,
    WaitForSingleObject,
};

use crate::succeeded;

/// The exit code of what [`Job::kill`] ends.
const KILLED: u32 = 1;

/// A program and all that it starts, in a group of its own for Ctrl-Break.
#[derive(Debug)]
pub struct Job {
    job: OwnedHandle,
    program: OwnedHandle,
    /// The group has the number of its first process.
    group: u32,
}

impl Job {
    /// Starts a program in a job of its own. It runs nothing before it is in it.
    ///
    /// # Errors
    /// What the system says. Then no program runs.
    pub fn start(command: &mut Command) -> io::Result<(Self, Child)> {
        // SAFETY: a job without a name needs neither pointer.
        let job = unsafe { owned(CreateJobObjectW(null(), null())) }?;
        let mut child = command.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_SUSPENDED).spawn()?;
        let started = child.as_handle().try_clone_to_owned().and_then(|program| {
            // SAFETY: both handles are open until after the call.
            succeeded(unsafe { AssignProcessToJobObject(job.as_raw_handle(), program.as_raw_handle()) })?;
            resume(child.id())?;
            Ok(Self { job, program, group: child.id() })
        });
        match started {
            Ok(job) => Ok((job, child)),
            Err(error) => {
                // It has run nothing yet. Fails only of a process that is gone.
                let _ = child.kill();
                Err(error)
            }
        }
    }

    /// Waits until the program itself has ended.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait(&self) -> io::Result<()> {
        // SAFETY: the handle is open as long as this is there.
        let ended = unsafe { WaitForSingleObject(self.program.as_raw_handle(), INFINITE) };
        if ended == WAIT_OBJECT_0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Sends Ctrl-Break to what shares our console of it.
    ///
    /// # Errors
    /// If there is no console, or nothing of it shares it.
    pub fn send_break(&self) -> io::Result<()> {
        // SAFETY: it takes numbers and no memory.
        succeeded(unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, self.group) })
    }

    /// Ends all of it.
    ///
    /// # Errors
    /// What the system says.
    pub fn kill(&self) -> io::Result<()> {
        // SAFETY: the handle is open as long as this is there.
        succeeded(unsafe { TerminateJobObject(self.job.as_raw_handle(), KILLED) })
    }
}

/// Has the threads of a process run that was started suspended: it has one.
fn resume(process: u32) -> io::Result<()> {
    // SAFETY: it takes numbers and no memory.
    let threads = unsafe { owned(CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0)) }?;
    let length = u32::try_from(size_of::<THREADENTRY32>()).unwrap_or(0);
    let mut thread = THREADENTRY32 { dwSize: length, ..THREADENTRY32::default() };
    // SAFETY: the handle is open, and the structure is ours to write to and says its length; so below.
    let mut more = unsafe { Thread32First(threads.as_raw_handle(), &raw mut thread) };
    while more != 0 {
        if thread.th32OwnerProcessID == process {
            // SAFETY: it takes numbers and no memory.
            let opened = unsafe { owned(OpenThread(THREAD_SUSPEND_RESUME, 0, thread.th32ThreadID)) }?;
            // SAFETY: the handle is open until after the call.
            if unsafe { ResumeThread(opened.as_raw_handle()) } == u32::MAX {
                return Err(io::Error::last_os_error());
            }
            return Ok(());
        }
        // SAFETY: as above.
        more = unsafe { Thread32Next(threads.as_raw_handle(), &raw mut thread) };
    }
    Err(io::ErrorKind::NotFound.into())
}

/// A handle that the system has just opened.
///
/// # Safety
/// Nothing else may have it.
unsafe fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and the caller says that nothing else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}
