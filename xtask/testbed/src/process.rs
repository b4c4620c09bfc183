//! A child process: its events (JSON lines on standard output), its errors and its exit. The events of deaddrop are
//! held against their schema.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::failure::unwrap;
use crate::{Failure, PATIENCE, events};

/// A running program whose output is read line by line. Killed when dropped.
pub struct Process {
    child: Child,
    what: String,
    /// Whether every line has to be an event of the schema.
    events_alone: bool,
    lines: Receiver<(Instant, String)>,
    errors: Arc<Mutex<String>>,
    errors_read: Option<JoinHandle<()>>,
    /// Every event so far; a line that is not JSON is a string.
    pub events: Vec<Value>,
    /// When each of them was read.
    pub times: Vec<Instant>,
}

/// Why an event did not come.
enum Missed {
    InTime,
    BeforeItEnded,
    /// The program reported an error, after which it ends.
    Error(Value),
}

impl Process {
    /// Starts a command; `what` is its name in failures. Its standard input stays open.
    pub fn spawn(command: Command, what: impl Into<String>) -> Result<Self, Failure> {
        Self::with_echo(command, what.into(), false)
    }

    /// The same, and prints each of its lines as `[what] line` while it runs.
    pub fn spawn_shown(command: Command, what: impl Into<String>) -> Result<Self, Failure> {
        Self::with_echo(command, what.into(), true)
    }

    /// The same as [`Self::spawn`]. Panics if it cannot be started.
    pub fn from_command(command: Command, what: String) -> Self {
        unwrap(Self::spawn(command, what))
    }

    fn with_echo(mut command: Command, what: String, echo: bool) -> Result<Self, Failure> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let events_alone = events::are_from(&command);
        let mut child = command.spawn().map_err(Failure::at(&what))?;
        let (to, lines) = channel();
        if let Some(output) = child.stdout.take() {
            let name = what.clone();
            each_line(output, move |line| {
                if echo {
                    println!("[{name}] {line}");
                }
                // The test may have stopped waiting and dropped the process.
                let _ = to.send((Instant::now(), line));
            });
        }
        let errors = Arc::new(Mutex::new(String::new()));
        let errors_read = child.stderr.take().map(|output| {
            let (name, errors) = (what.clone(), errors.clone());
            each_line(output, move |line| {
                if echo {
                    eprintln!("[{name}] {line}");
                }
                let mut errors = errors.lock().unwrap_or_else(PoisonError::into_inner);
                errors.push_str(&line);
                errors.push('\n');
            })
        });
        let (events, times) = (Vec::new(), Vec::new());
        Ok(Self { child, what, events_alone, lines, errors, errors_read, events, times })
    }

    /// Writes to its standard input. The pipe holds what tests write; the process may have ended before.
    pub fn say(&mut self, input: &[u8]) {
        if let Some(to) = &mut self.child.stdin {
            let _ = to.write_all(input);
        }
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        self.child.stdin = None;
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next event of this name. Those before it are kept in `events`.
    pub fn await_event(&mut self, name: &str, patience: Duration) -> Result<Value, Failure> {
        self.next_event(name, patience).map_err(|missed| match missed {
            Missed::InTime => self.failure(&format!("no `{name}` in time")),
            Missed::BeforeItEnded => self.failure(&format!("ended without `{name}`")),
            Missed::Error(event) => self.failure(&format!("failed: {}", event["message"])),
        })
    }

    /// The same, but panics without it.
    #[track_caller]
    pub fn event(&mut self, name: &str) -> Value {
        unwrap(self.await_event(name, PATIENCE))
    }

    /// The same, but `None` when `patience` is over or the process ended without it.
    pub fn event_within(&mut self, name: &str, patience: Duration) -> Option<Value> {
        self.next_event(name, patience).ok()
    }

    fn next_event(&mut self, name: &str, patience: Duration) -> Result<Value, Missed> {
        let deadline = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let event = self.remember(line);
                    if event["event"] == name {
                        return Ok(event);
                    }
                    if event["event"] == "error" {
                        return Err(Missed::Error(event));
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Err(Missed::InTime),
                Err(RecvTimeoutError::Disconnected) => return Err(Missed::BeforeItEnded),
            }
        }
    }

    /// The next line that is not JSON and holds `part`. Panics without it.
    #[track_caller]
    pub fn line(&mut self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            match self.remember(line) {
                Value::String(line) if line.contains(part) => return line,
                _ => {}
            }
        }
        panic!("{}", self.failure(&format!("no line with {part:?}")))
    }

    /// When the last event was read.
    pub fn time(&self) -> Instant {
        *self.times.last().expect("an event")
    }

    /// The last event, once the process has ended.
    pub fn last(&self) -> &Value {
        self.events.last().unwrap_or(&Value::Null)
    }

    /// Panics if deaddrop prints what its schema does not know.
    #[track_caller]
    fn remember(&mut self, (time, line): (Instant, String)) -> Value {
        let event = if self.events_alone {
            events::event(&line)
        } else {
            serde_json::from_str(&line).unwrap_or(Value::String(line))
        };
        self.events.push(event.clone());
        self.times.push(time);
        event
    }

    /// Its exit code, once it has ended.
    pub fn await_exit(&mut self, patience: Duration) -> Result<i32, Failure> {
        let status = self.status(patience)?;
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(5)) {
            self.remember(line);
        }
        status.code().ok_or_else(|| self.failure(&format!("ended by {status}")))
    }

    /// Fails unless it ends with this code.
    pub fn ends_with(&mut self, code: i32, patience: Duration) -> Result<(), Failure> {
        match self.await_exit(patience)? {
            ended if ended == code => Ok(()),
            ended => Err(self.failure(&format!("ended with exit code {ended}, not {code}"))),
        }
    }

    /// Its exit code, once it has ended. Panics if it does not end.
    #[track_caller]
    pub fn exit_code(&mut self) -> i32 {
        unwrap(self.await_exit(PATIENCE * 5))
    }

    /// Its exit code and its standard error. Panics if it does not end.
    #[track_caller]
    pub fn exit_and_errors(&mut self) -> (i32, String) {
        let code = self.exit_code();
        (code, self.errors())
    }

    fn status(&mut self, patience: Duration) -> Result<ExitStatus, Failure> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().map_err(Failure::at(&self.what))? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(self.failure("did not end in time"));
            }
            // The standard library has no wait with a deadline.
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("signal a process of ours");
    }

    /// Kills it, if it still runs, and gives all that it wrote to standard error.
    pub fn errors(&mut self) -> String {
        let _ = self.child.kill();
        if let Some(reader) = self.errors_read.take() {
            let _ = reader.join();
        }
        self.errors_so_far()
    }

    fn errors_so_far(&self) -> String {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What went wrong, with all that the process wrote until now.
    fn failure(&mut self, how: &str) -> Failure {
        while let Ok(line) = self.lines.try_recv() {
            self.remember(line);
        }
        let events: Vec<_> = self.events.iter().map(Value::to_string).collect();
        Failure(format!("{}: {how}; it wrote:\n{}\n{}", self.what, events.join("\n"), self.errors_so_far()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // If this fails the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Lines that no test waited for have to be events too.
        while !thread::panicking()
            && let Ok((time, line)) = self.lines.try_recv()
        {
            // The kill may have cut the last of them.
            let cut = serde_json::from_str::<Value>(&line).is_err_and(|error| error.is_eof());
            if !cut {
                self.remember((time, line));
            }
        }
    }
}

/// Calls `act` with each line, in a thread of its own.
fn each_line(
    from: impl Read + Send + 'static,
    mut act: impl FnMut(String) + Send + 'static,
) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            act(String::from_utf8_lossy(&line).into_owned());
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn process(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::spawn(command, "it").unwrap()
    }

    #[test]
    fn events_are_waited_for_in_order_and_the_exit_too() {
        let mut process = process(r#"echo '{"event":"a"}'; echo words; echo '{"event":"b","n":1}'; exit 3"#);
        assert_eq!(process.await_event("b", SOON).unwrap()["n"], 1);
        let failure = process.await_event("a", SOON).unwrap_err().0;
        assert!(
            failure.starts_with("it: ended without `a`; it wrote:\n{\"event\":\"a\"}\n\"words\""),
            "{failure}"
        );
        process.ends_with(3, SOON).unwrap();
        assert!(process.ends_with(0, SOON).unwrap_err().0.contains("exit code 3, not 0"));
    }

    #[test]
    fn an_error_event_ends_the_wait() {
        let mut process = process(r#"echo '{"event":"error","message":"no room"}'; exec sleep 30"#);
        let failure = process.await_event("ready", SOON).unwrap_err().0;
        assert!(failure.starts_with("it: failed: \"no room\""), "{failure}");
    }

    #[test]
    fn a_failure_shows_all_that_was_written() {
        let mut process = process(r#"echo why >&2; echo '{"event":"a"}'; exec sleep 30"#);
        process.await_event("a", SOON).unwrap();
        let failure = process.await_event("b", Duration::from_millis(500)).unwrap_err().0;
        assert_eq!(failure, "it: no `b` in time; it wrote:\n{\"event\":\"a\"}\nwhy\n");
        assert_eq!(process.errors(), "why\n");
    }

    #[test]
    fn silence_has_a_limit() {
        let mut process = process("exec sleep 30");
        assert!(process.await_event("ready", Duration::ZERO).unwrap_err().0.contains("in time"));
        assert!(process.await_exit(Duration::ZERO).unwrap_err().0.contains("did not end"));
    }

    #[test]
    fn a_signal_is_no_exit_code() {
        let mut process = process("kill -9 $$");
        assert!(process.await_exit(SOON).unwrap_err().0.contains("ended by signal: 9"));
    }
}
