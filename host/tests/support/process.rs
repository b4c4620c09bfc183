//! A deaddrop process, its events, and its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::lan::Host;
use super::{ROOM, deaddrop};

/// How long a test waits for what should happen at once: it fails then, it does not measure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running deaddrop whose standard output is read line by line. Killed when dropped.
pub struct Process {
    child: Child,
    lines: Receiver<(Instant, String)>,
    /// Every event so far.
    pub events: Vec<Value>,
    /// When each of them was read.
    pub times: Vec<Instant>,
    what: String,
}

impl Process {
    /// Starts deaddrop on a host in a folder. `room` goes into the environment; `input` to standard input.
    pub fn start(host: &Host, folder: &Path, room: &str, arguments: &[&str], input: &[u8]) -> Self {
        Self::start_program(host, folder, deaddrop(), room, arguments, input)
    }

    /// The same with another build of the program.
    pub fn start_program(
        host: &Host,
        folder: &Path,
        program: &str,
        room: &str,
        arguments: &[&str],
        input: &[u8],
    ) -> Self {
        let mut command = host.command(program);
        command.args(arguments).current_dir(folder).env("DEADDROP_ROOM", room);
        let mut process = Self::from_command(command, arguments.join(" "));
        process.say(input);
        process.close_input();
        process
    }

    /// Starts any command and reads its standard output. Its standard input stays open.
    pub fn from_command(mut command: Command, what: String) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start a program");
        let out = child.stdout.take().expect("a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines() {
                let Ok(line) = line else { break };
                if sender.send((Instant::now(), line)).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, events: Vec::new(), times: Vec::new(), what }
    }

    /// Writes to its standard input. Small enough for the pipe; a process that does not read may be gone.
    pub fn say(&mut self, input: &[u8]) {
        let _ = self.child.stdin.as_mut().expect("an open input").write_all(input);
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        self.child.stdin = None;
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next event of this name, remembering those before it.
    pub fn event(&mut self, name: &str) -> Value {
        match self.event_within(name, PATIENCE) {
            Some(event) => event,
            None => {
                let errors = self.errors();
                panic!("{}: no event {name}; there were {:?}; {errors}", self.what, self.events)
            }
        }
    }

    /// The same, but `None` when `patience` is over or the process ended without it.
    pub fn event_within(&mut self, name: &str, patience: Duration) -> Option<Value> {
        let end = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let event = self.remember(line);
                    if event["event"] == name {
                        return Some(event);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Waits for the next line for people that holds `part`.
    pub fn line(&mut self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => match self.remember(line) {
                    Value::String(line) if line.contains(part) => return line,
                    _ => {}
                },
                Err(_) => panic!("{}: no line with {part}; there were {:?}", self.what, self.events),
            }
        }
    }

    /// When the last event was read.
    pub fn time(&self) -> Instant {
        *self.times.last().expect("an event")
    }

    fn remember(&mut self, (time, line): (Instant, String)) -> Value {
        let event: Value = serde_json::from_str(&line).unwrap_or(Value::String(line));
        self.events.push(event.clone());
        self.times.push(time);
        event
    }

    /// Waits for its end and gives the exit code, remembering all events.
    pub fn exit_code(&mut self) -> i32 {
        let status = self.status();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(5)) {
            self.remember(line);
        }
        match status.code() {
            Some(code) => code,
            None => panic!("{}: ended by {status}; {:?}", self.what, self.events),
        }
    }

    /// Waits for its end and gives the exit code, with what it wrote to standard error.
    pub fn exit_and_errors(&mut self) -> (i32, String) {
        let code = self.exit_code();
        (code, self.errors())
    }

    /// The last event that it told of, once it has ended.
    pub fn last(&self) -> &Value {
        self.events.last().unwrap_or(&Value::Null)
    }

    fn status(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE * 5;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait for deaddrop") {
                return status;
            }
            assert!(Instant::now() < end, "{}: does not end", self.what);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("signal a process of ours");
    }

    /// What it wrote to standard error.
    pub fn errors(&mut self) -> String {
        let _ = self.child.kill();
        let mut text = String::new();
        if let Some(mut err) = self.child.stderr.take() {
            let _ = err.read_to_string(&mut text);
        }
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A listener that is ready.
pub fn listener(host: &Host, folder: &Path) -> Process {
    let mut process = Process::start(host, folder, ROOM, &["run", "--json"], b"");
    process.event("ready");
    process
}

/// A sender that is ready, with its token and port.
pub fn send_message(host: &Host, folder: &Path, message: &str, more: &[&str]) -> (Process, String, u16) {
    let arguments = [&["send-msg", "--json"], more].concat();
    sender(Process::start(host, folder, ROOM, &arguments, message.as_bytes()))
}

/// The same for a file.
pub fn send_file(host: &Host, folder: &Path, path: &Path, more: &[&str]) -> (Process, String, u16) {
    let arguments = [&["send-file", path.to_str().expect("a path"), "--json"], more].concat();
    sender(Process::start(host, folder, ROOM, &arguments, b""))
}

fn sender(mut process: Process) -> (Process, String, u16) {
    let ready = process.event("ready");
    let token = ready["token"].as_str().expect("a token").to_owned();
    let port = u16::try_from(ready["port"].as_u64().expect("a port")).expect("a port");
    (process, token, port)
}

/// A fetch of a known drop.
pub fn fetch(host: &Host, folder: &Path, from: &Host, token: &str, more: &[&str]) -> Process {
    let arguments = [&["fetch", "--json", "--from", &from.ip, "--token", token], more].concat();
    Process::start(host, folder, ROOM, &arguments, b"")
}
