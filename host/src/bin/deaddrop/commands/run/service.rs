//! What `run` tells the system's service manager (sd_notify): that it is ready, that it stops, how it does, and that it
//! lives.

use std::fmt;
use std::future::pending;
use std::time::{Duration, Instant};

use smol::Timer;

use crate::platform::ManagerSocket;

/// The environment by which a service manager names the socket, and how often it wants to hear of us.
pub(super) const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// How often it is told how this process does, at most.
const EVERY: Duration = Duration::from_secs(1);

/// The shortest pause between two signs of life.
const BEAT_MIN: Duration = Duration::from_millis(10);

/// The socket of the service manager.
pub(super) struct Manager {
    socket: ManagerSocket,
    /// How often it is told that this process lives, if it wants to be.
    beat: Option<Duration>,
}

impl Manager {
    /// The service manager that has started this process, if one has and wants to be told.
    pub(super) fn ours() -> Option<Self> {
        let [path, span, pid] = VARIABLES.map(std::env::var_os);
        let socket = ManagerSocket::connect(&path?)?;
        let ours = pid.is_none_or(|pid| pid.to_str() == Some(&std::process::id().to_string()));
        let span = span.filter(|_| ours).and_then(|span| span.to_str()?.parse().ok());
        Some(Self { socket, beat: span.and_then(beat) })
    }

    /// Tells it that this process ends.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=Stopping");
    }

    /// Tells it one or more lines. A manager that does not take them is not waited for.
    fn tell(&self, lines: &str) {
        self.socket.tell(lines);
    }
}

/// How often to tell a manager that takes this process for dead after so many microseconds: in half of that time. `None`
/// if it does not.
fn beat(span: u64) -> Option<Duration> {
    // Nobody means less than a few milliseconds, and a pause of nothing would leave no time for anything else.
    (span > 0).then(|| Duration::from_micros(span / 2).max(BEAT_MIN))
}

/// How a listener does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    /// So many drops are offered.
    pub(super) offered: usize,
    /// So many were fetched, if any are to be.
    pub(super) fetched: Option<u64>,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} offered", self.offered)?;
        self.fetched.map_or(Ok(()), |fetched| write!(f, ", {fetched} fetched"))
    }
}

/// Tells the service manager, if there is one, that this process is ready, that it lives, and how it does. Never returns.
pub(super) async fn tend<T>(manager: Option<&Manager>, status: &impl Fn() -> Status) -> T {
    let Some(manager) = manager else { return pending().await };
    let mut told = status();
    manager.tell(&format!("READY=1\nSTATUS={told}"));
    let mut beaten = Instant::now();
    let pause = manager.beat.map_or(EVERY, |beat| beat.min(EVERY));
    loop {
        Timer::after(pause).await;
        if manager.beat.is_some_and(|beat| beaten.elapsed() + pause > beat) {
            manager.tell("WATCHDOG=1");
            beaten = Instant::now();
        }
        let now = status();
        if now != told {
            manager.tell(&format!("STATUS={now}"));
            told = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_hears_twice_in_its_time_and_never_without_a_pause() {
        let of = [(0, None), (1, Some(10_000)), (15_000, Some(10_000)), (3_000_000, Some(1_500_000))];
        for (span, pause) in of {
            assert_eq!(beat(span), pause.map(Duration::from_micros), "{span}");
        }
    }
}
