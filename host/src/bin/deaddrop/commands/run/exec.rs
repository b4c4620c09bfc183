//! Runs a program for each drop that was received: without a shell, one at a time, and within a limit of time.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use deaddrop::{Endpoint, Kind, Offer};
use smol::{Timer, future};

use super::service;
use crate::exit::Failure;
use crate::passphrase;
use crate::platform::{self, Group};
use crate::signals::Signals;

/// How long a program may take to end that was asked to because its time is over.
const GRACE: Duration = Duration::from_secs(5);
/// The same where this process ends too, within a second.
const GRACE_AT_END: Duration = Duration::from_millis(500);

/// The program, and how long it may run.
pub(crate) struct Exec {
    /// Its path, or a name that is looked for in `PATH`.
    pub(crate) program: PathBuf,
    /// Its arguments, as they are.
    pub(crate) arguments: Vec<String>,
    /// After this it is ended.
    pub(crate) timeout: Duration,
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Its exit code, if it ended by itself.
    pub(super) code: Option<i32>,
    /// The signal that ended it otherwise.
    pub(super) signal: Option<i32>,
    /// Its time was over.
    pub(super) timed_out: bool,
}

/// Why a program is ended.
enum Cause {
    TimedOut,
    Stopped,
}

impl Exec {
    /// Checks that there is such a program.
    ///
    /// # Errors
    /// If there is not.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let runs = platform::is_program;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = match self.program.components().count() {
            1 if !self.program.as_os_str().as_encoded_bytes().contains(&b'/') => {
                std::env::split_paths(&path).any(|folder| runs(&folder.join(&self.program)))
            }
            _ => runs(&self.program),
        };
        if found {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "--exec {}: there is no such program; give its path alone, and its arguments after --",
            self.program.display()
        )))
    }

    /// Runs it for a drop that is at these paths, and waits for its end.
    pub(super) async fn run(
        &self,
        signals: &Signals,
        (offer, from): (&Offer, Endpoint),
        paths: &[PathBuf],
    ) -> io::Result<Ended> {
        let (group, mut child) = self.start(offer, from, paths)?;
        // It is not reaped before the end, so that its id names no other group meanwhile.
        let waiting = group.clone();
        let mut ended = smol::unblock(move || waiting.wait());
        let stopping = async {
            signals.wait().await;
            Some(Cause::Stopped)
        };
        let late = async {
            Timer::after(self.timeout).await;
            Some(Cause::TimedOut)
        };
        let by_itself = async {
            (&mut ended).await;
            None
        };
        let cause = future::or(by_itself, future::or(stopping, late)).await;
        if let Some(cause) = &cause {
            group.terminate();
            let grace = if matches!(cause, Cause::TimedOut) { GRACE } else { GRACE_AT_END };
            let grace = async {
                Timer::after(grace).await;
            };
            future::or(async { (&mut ended).await }, grace).await;
            // Also those that it has started.
            group.kill();
        }
        let status = smol::unblock(move || reap(&mut child)).await?;
        let timed_out = matches!(cause, Some(Cause::TimedOut));
        Ok(Ended { code: status.code(), signal: platform::signal(status), timed_out })
    }

    fn start(&self, offer: &Offer, from: Endpoint, paths: &[PathBuf]) -> io::Result<(Group, Child)> {
        let stdin = match (offer.kind, paths) {
            (Kind::Message | Kind::File, [path]) => platform::open_no_link(path)?.into(),
            _ => Stdio::null(),
        };
        let mut all = OsString::new();
        for (n, path) in paths.iter().enumerate() {
            if n > 0 {
                all.push("\n");
            }
            all.push(std::path::absolute(path)?);
        }
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env("DEADDROP_KIND", offer.kind.word())
            .env("DEADDROP_NAME", offer.name.as_str())
            .env("DEADDROP_SIZE", offer.size.to_string())
            .env("DEADDROP_TOKEN", offer.token.to_string())
            .env("DEADDROP_FROM", from.to_string())
            .env("DEADDROP_PATH", all)
            // The passphrase is no business of it, nor is the supervision of this process.
            .env_remove(passphrase::VARIABLE)
            .stdin(stdin);
        service::VARIABLES.iter().for_each(|variable| {
            command.env_remove(variable);
        });
        Group::start(&mut command)
    }
}

fn reap(child: &mut Child) -> io::Result<ExitStatus> {
    child.wait()
}
