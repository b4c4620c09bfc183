//! A deaddrop of this machine as a board's peer: started on a host, its events waited for.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::network::Host;
use crate::repo::Failure;

/// A running deaddrop with `--json`. Ended when dropped.
pub(crate) struct Peer {
    child: Child,
    what: String,
    events: Receiver<Value>,
    seen: Vec<Value>,
}

impl Peer {
    /// Starts it on this host, in this folder, with these words.
    pub(crate) fn start(binary: &Path, host: &Host, folder: &Path, words: &[&str]) -> Result<Self, Failure> {
        let mut command = host.command(&binary.to_string_lossy());
        command.args(words).arg("--json").current_dir(folder).env_remove("DEADDROP_ROOM");
        Self::from_command(command, format!("deaddrop {} on {}", words.join(" "), host.ip))
    }

    /// Starts any command that tells events on its standard output.
    pub(crate) fn from_command(mut command: Command, what: String) -> Result<Self, Failure> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Failure::at(&what))?;
        let (to, events) = channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
                    if to.send(event).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self { child, what, events, seen: Vec::new() })
    }

    /// The next event of this kind; those before it are passed over.
    pub(crate) fn event(&mut self, kind: &str, patience: Duration) -> Result<Value, Failure> {
        let deadline = Instant::now() + patience;
        while let Ok(event) = self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.seen.push(event.clone());
            if event["event"] == kind {
                return Ok(event);
            }
        }
        Err(self.failure(&format!("no `{kind}` came")))
    }

    /// Its exit code, once it has ended.
    pub(crate) fn code(&mut self, patience: Duration) -> Result<i32, Failure> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().map_err(Failure::at(&self.what))? {
                return status.code().ok_or_else(|| self.failure(&format!("ended with {status}")));
            }
            if Instant::now() >= deadline {
                return Err(self.failure("it did not end"));
            }
            // The standard library has no wait with a deadline.
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Fails unless it ends with this code.
    pub(crate) fn ends_with(&mut self, code: i32, patience: Duration) -> Result<(), Failure> {
        match self.code(patience)? {
            ended if ended == code => Ok(()),
            ended => Err(self.failure(&format!("ended with {ended}, not {code}"))),
        }
    }

    /// That it failed so, with all it said.
    fn failure(&mut self, how: &str) -> Failure {
        let _ = self.child.kill();
        let mut errors = String::new();
        if let Some(mut stream) = self.child.stderr.take() {
            let _ = stream.read_to_string(&mut errors);
        }
        self.seen.extend(self.events.try_iter());
        let seen: Vec<_> = self.seen.iter().map(Value::to_string).collect();
        Failure(format!("{}: {how}; it said:\n{}\n{errors}", self.what, seen.join("\n")))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Neither can fail in a way that anything could be done about.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn peer(script: &str) -> Peer {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Peer::from_command(command, "it".into()).unwrap()
    }

    #[test]
    fn events_are_waited_for_and_the_end_too() {
        let mut peer = peer(r#"echo '{"event":"a"}'; echo '{"event":"b","n":1}'; exit 3"#);
        assert_eq!(peer.event("b", SOON).unwrap()["n"], 1);
        peer.ends_with(3, SOON).unwrap();
    }

    #[test]
    fn a_failure_shows_all_that_was_said() {
        let mut peer = peer(r#"echo '{"event":"a"}'; echo why >&2; exec sleep 30"#);
        let failure = peer.event("b", Duration::from_millis(500)).unwrap_err().0;
        assert!(failure.starts_with("it: no `b` came; it said:\n{\"event\":\"a\"}"), "{failure}");
    }
}
