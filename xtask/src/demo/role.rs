//! One deaddrop of the demo: a child whose lines are shown under its role, and whose events can be
//! waited for.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::repo::Failure;

/// A running child. Dropped, it is killed.
pub(crate) struct Role {
    name: &'static str,
    child: Child,
    /// Its events in order; at its end, the channel is closed.
    events: Receiver<Value>,
}

impl Role {
    /// Starts it.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Result<Self, Failure> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Failure::at(name))?;
        let (to, events) = channel();
        if let Some(output) = child.stdout.take() {
            each_line(output, move |line| {
                println!("[{name}] {line}");
                if let Ok(event) = serde_json::from_str(line) {
                    // Whoever waited may have what they wanted, and be gone.
                    let _ = to.send(event);
                }
            });
        }
        if let Some(output) = child.stderr.take() {
            each_line(output, move |line| eprintln!("[{name}] {line}"));
        }
        Ok(Self { name, child, events })
    }

    /// The next event of this kind. Those before it are passed over, but an error is the end.
    pub(crate) fn until(&mut self, kind: &str, deadline: Instant) -> Result<Value, Failure> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(event) if event["event"] == kind => return Ok(event),
                Ok(event) if event["event"] == "error" => {
                    return Err(Failure(format!("the {} failed: {}", self.name, event["message"])));
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Failure(format!("no `{kind}` from the {} in time", self.name)));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure(format!("the {} ended without `{kind}`", self.name)));
                }
            }
        }
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn ends_well(mut self, deadline: Instant) -> Result<(), Failure> {
        loop {
            match self.child.try_wait().map_err(Failure::at(self.name))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(Failure(format!("the {} ended with {status}", self.name))),
                None if Instant::now() >= deadline => {
                    return Err(Failure(format!("the {} did not end in time", self.name)));
                }
                // The standard library has no wait with a deadline.
                None => thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // Neither can fail in a way that anything could be done about.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn each_line(from: impl Read + Send + 'static, mut act: impl FnMut(&str) + Send + 'static) {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            act(&String::from_utf8_lossy(&line));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(script: &str) -> Role {
        Role::start("sender", Command::new("sh").args(["-c", script])).unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn events_are_waited_for_in_order() {
        let mut role = role(r#"echo '{"event":"a"}'; echo words; echo '{"event":"b","n":1}'"#);
        assert_eq!(role.until("b", soon()).unwrap()["n"], 1);
        assert!(role.until("a", soon()).unwrap_err().0.contains("ended without `a`"));
        role.ends_well(soon()).unwrap();
    }

    #[test]
    fn an_error_is_the_end() {
        let mut role = role(r#"echo '{"event":"error","message":"no room"}'; exec sleep 30"#);
        assert_eq!(role.until("ready", soon()).unwrap_err().0, "the sender failed: \"no room\"");
    }

    #[test]
    fn a_bad_end_is_told() {
        assert!(role("exit 3").ends_well(soon()).unwrap_err().0.contains("exit status: 3"));
    }

    #[test]
    fn silence_has_a_limit() {
        let mut role = role("exec sleep 30");
        assert!(role.until("ready", Instant::now()).unwrap_err().0.contains("in time"));
        assert!(role.ends_well(Instant::now()).unwrap_err().0.contains("did not end"));
    }
}
