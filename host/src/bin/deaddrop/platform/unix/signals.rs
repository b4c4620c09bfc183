//! Signals that end, stop or continue the process.

use std::io;

use async_signal::{Signal, Signals as SignalStream};
use rustix::process::{Signal as RawSignal, getpgrp, getpid, getsid, kill_process};
use smol::stream::StreamExt;

use crate::platform::Request;

/// The signals whose default action ends the process and that are not faults of the program. Without a handler a part
/// file and a claim would be left behind. std ignores SIGPIPE already. SIGPWR, SIGSTKFLT and the real-time signals are not
/// in async-signal: they leave a part file, as SIGKILL does.
///
/// Two of the last stop the process and make it go on: a terminal in a mode of ours is given back meanwhile. The last says
/// that the terminal has another size.
const HANDLED: [(Signal, RawSignal); 15] = [
    (Signal::Int, RawSignal::INT),
    (Signal::Term, RawSignal::TERM),
    (Signal::Hup, RawSignal::HUP),
    (Signal::Quit, RawSignal::QUIT),
    (Signal::Alarm, RawSignal::ALARM),
    (Signal::Usr1, RawSignal::USR1),
    (Signal::Usr2, RawSignal::USR2),
    (Signal::Vtalarm, RawSignal::VTALARM),
    (Signal::Prof, RawSignal::PROF),
    (Signal::Io, RawSignal::IO),
    (Signal::Xcpu, RawSignal::XCPU),
    (Signal::Xfsz, RawSignal::XFSZ),
    (Signal::Tstp, RawSignal::TSTP),
    (Signal::Cont, RawSignal::CONT),
    (Signal::Winch, RawSignal::WINCH),
];

/// What the system asks of this process, for as long as this is there.
pub(crate) struct Requests(SignalStream);

impl Requests {
    pub(crate) fn new() -> io::Result<Self> {
        let ignored = ignored();
        let heard = HANDLED.into_iter().filter(|(_, raw)| !contains(ignored, *raw));
        // While it is ignored the system keeps no program's end, so that how one of ours ended would be lost.
        let child = contains(ignored, RawSignal::CHILD).then_some(Signal::Child);
        SignalStream::new(heard.map(|(signal, _)| signal).chain(child)).map(Self)
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) -> io::Result<Request> {
        loop {
            let signal = self.0.next().await.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
            return Ok(match signal? {
                // The write that raised it fails too, and says more.
                Signal::Xfsz => continue,
                // Those who wait for a program see its end.
                Signal::Child => continue,
                Signal::Tstp if can_go_on() => Request::Suspend,
                Signal::Tstp => continue,
                Signal::Cont => Request::GoOn,
                Signal::Winch => Request::Resize,
                Signal::Int => Request::Interrupt,
                Signal::Hup => Request::HangUp,
                _ => Request::Terminate,
            });
        }
    }
}

/// Stops this process until it is told to go on.
pub(crate) fn suspend() {
    // To ourselves it is always allowed.
    let _ = kill_process(getpid(), RawSignal::STOP);
}

/// Whether a shell can make this process go on once it is stopped. There is none above the process group of a session
/// leader, and the system too lets SIGTSTP stop no process there.
fn can_go_on() -> bool {
    getsid(None).is_ok_and(|session| session != getpgrp())
}

/// Whether a mask of signals has this one.
fn contains(mask: u64, signal: RawSignal) -> bool {
    let bit = u32::try_from(signal.as_raw() - 1).unwrap_or(u32::MAX);
    mask.checked_shr(bit).unwrap_or(0) & 1 == 1
}

/// The signals that this process was started to ignore, as `nohup` does with SIGHUP and `trap '' INT` with SIGINT: it
/// is meant to outlive them. None where the system does not say.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
