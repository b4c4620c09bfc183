//! One transfer, timed from the receiver's start to its end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::figures::{Run, Usage};
use super::peer::{Peer, token};
use super::workplace::Workplace;
use crate::environment::repo::Failure;

/// How long a sender may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Transfers `file` once, and checks that it arrived.
pub(super) fn exchange(place: &Workplace, peer: Peer, file: &str) -> Result<Run, Failure> {
    let at = |what: &str| Failure::at::<std::io::Error>(format!("{}: {what}", peer.name()));
    let out = place.path("out");
    let _ = fs::remove_file(&out);
    let port = free_port()?;
    let sent = place.path("sender.time");
    let mut sender = timed(&peer.sender(place, file, port), &sent);
    sender.stdin(Stdio::null()).stderr(Stdio::null());
    sender.stdout(if peer.says_ready() { Stdio::piped() } else { Stdio::null() });
    let mut sender = Running(sender.spawn().map_err(at("starting its sender"))?);
    let mut said = String::new();
    if let Some(output) = sender.0.stdout.take() {
        let mut output = BufReader::new(output);
        output.read_line(&mut said).map_err(at("reading its sender's output"))?;
        said = token(&said)?;
        // Reads on, because a full pipe would block the sender.
        thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    } else {
        await_port(port)?;
    }

    let received = place.path("receiver.time");
    let mut receiver = timed(&peer.receiver(place, file, &out, port, &said), &received);
    receiver.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let output = receiver.spawn().and_then(Child::wait_with_output).map_err(at("starting its receiver"))?;
    let wall = start.elapsed();
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Failure(format!("{}: its receiver ended with {}: {why}", peer.name(), output.status)));
    }
    sender.end(peer)?;
    if !same(file, &out).map_err(at("comparing the files"))? {
        return Err(Failure(format!("{}: what arrived is not what was sent", peer.name())));
    }
    let usage =
        |path: &str| fs::read_to_string(path).map_err(at("its usage")).and_then(|text| Usage::read(&text));
    Ok(Run { wall, sender: usage(&sent)?, receiver: usage(&received)? })
}

/// The command under GNU time, which writes the process's CPU time and peak memory to `to`.
fn timed(command: &Command, to: &str) -> Command {
    let mut time = Command::new("/usr/bin/time");
    time.args(["-q", "-f", "%U %S %M", "-o", to]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            time.env(name, value);
        }
    }
    time
}

/// A sender, ended when dropped.
struct Running(Child);

impl Running {
    /// Waits for its end, after interrupting a sender that would serve on.
    fn end(&mut self, peer: Peer) -> Result<(), Failure> {
        if peer.says_ready() || peer.stays() {
            // The transfer is over; it would wait for retries, or serve for ever.
            self.interrupt();
        }
        self.0.wait().map(|_| ()).map_err(Failure::at(peer.name()))
    }

    /// Sends SIGINT to the child of GNU time, so that GNU time still writes its figures.
    fn interrupt(&self) {
        let _ = Command::new("pkill")
            .args(["-INT", "-P", &self.0.id().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            self.interrupt();
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Failure::at("a free TCP port"))?;
    Ok(listener.local_addr().map_err(Failure::at("a free TCP port"))?.port())
}

/// Waits until the port is listened on. Does not connect, because socat accepts one connection only.
fn await_port(port: u16) -> Result<(), Failure> {
    let deadline = Instant::now() + READY_WITHIN;
    while Instant::now() < deadline {
        let table = fs::read_to_string("/proc/net/tcp").map_err(Failure::at("/proc/net/tcp"))?;
        if listens(&table, port) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Err(Failure(format!("no process listens on TCP port {port} after {} s", READY_WITHIN.as_secs())))
}

/// Whether `/proc/net/tcp` has a listener on this port.
fn listens(table: &str, port: u16) -> bool {
    let wanted = format!(":{port:04X}");
    table.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, _, state) = (words.next(), words.next(), words.next());
        local.is_some_and(|local| local.ends_with(&wanted)) && state == Some("0A")
    })
}

fn same(one: &str, other: &str) -> std::io::Result<bool> {
    let (mut one, mut other) = (BufReader::new(fs::File::open(one)?), BufReader::new(fs::File::open(other)?));
    loop {
        let (a, b) = (one.fill_buf()?, other.fill_buf()?);
        let len = a.len().min(b.len());
        if a.get(..len) != b.get(..len) || (len == 0 && a.len() != b.len()) {
            return Ok(false);
        }
        if len == 0 {
            return Ok(true);
        }
        one.consume(len);
        other.consume(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_in_the_kernel_s_table() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:BDAC 00000000:0000 0A 00000000:00000000
   1: 0100007F:BDAD 0100007F:1234 01 00000000:00000000
";
        assert!(listens(table, 0xBDAC));
        assert!(!listens(table, 0xBDAD), "connected, not listening");
        assert!(!listens(table, 0xDAC));
    }

    #[test]
    fn files_are_compared_to_their_ends() {
        let folder = std::env::temp_dir().join(format!("deaddrop-bench-test-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, bytes).unwrap();
            path.to_string_lossy().into_owned()
        };
        let long = vec![7; 100_000];
        let (a, b, c) = (file("a", &long), file("b", &long), file("c", &long[1..]));
        assert!(same(&a, &b).unwrap());
        assert!(!same(&a, &c).unwrap() && !same(&c, &a).unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }
}
