//! Actors of the network that are not deaddrop: a relay that holds back bytes, servers that do not serve, clients that
//! send nothing. A test binary that uses them plays [`ROLES`] in its test `neighbour`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use deaddrop_core::token::Instance;
use deaddrop_core::wire::{Greeting, Status, Suites};
use serde_json::json;

use crate::lan::Host;
use crate::neighbour::{Role, start, tell};
use crate::noise::noise;
use crate::process::Process;

/// The roles in this file.
pub const ROLES: [Role; 3] = [("relay", play_relay), ("fake", play_fake), ("hang", play_hang)];

/// A relay on a host in front of the sender's port `to`. On its first connection it passes `down` bytes to
/// the receiver and `up` bytes to the sender, then reports `stalled` and holds back the rest.
pub fn relay(host: &Host, to: u16, down: Option<u64>, up: Option<u64>) -> (Process, u16) {
    let limit = |limit: Option<u64>| limit.unwrap_or(u64::MAX).to_string();
    let mut process = start(host, "relay", &[&to.to_string(), &limit(down), &limit(up)]);
    let listening = process.event("listening");
    let port = u16::try_from(listening["port"].as_u64().expect("a port")).expect("a port");
    (process, port)
}

/// Makes a relay pass on the bytes that it holds back.
pub fn go_on(relay: &mut Process) {
    relay.say(b"\n");
}

/// A server on `port` that does not serve: by its `manner` it closes (`close`), sends `garbage`, stays `silent`, is of a
/// `later` version, or answers `busy`.
pub fn fake(host: &Host, port: u16, manner: &str) -> Process {
    let mut process = start(host, "fake", &[&port.to_string(), manner]);
    process.event("listening");
    process
}

/// Opens `count` connections to `port`, which send nothing after the server's greeting.
pub fn hang(host: &Host, port: u16, count: usize) -> Process {
    let mut process = ready_to_hang(host, port, count);
    hang_now(&mut process);
    process
}

/// The same in two steps, so that no start of a process lies between a moment of the test and the connections. This is the
/// first; [`hang_now`] opens them.
pub fn ready_to_hang(host: &Host, port: u16, count: usize) -> Process {
    start(host, "hang", &[&port.to_string(), &count.to_string()])
}

/// Opens the connections of [`ready_to_hang`].
pub fn hang_now(process: &mut Process) {
    process.say(b"\n");
    process.event("hanging");
}

/// Waits until standard input ends, and opens the gate at each line.
fn play_on(gate: &Gate) {
    let mut input = std::io::stdin().lock();
    while matches!(input.read(&mut [0; 16]), Ok(1..)) {
        gate.open();
    }
}

fn number<T: std::str::FromStr>(word: &str) -> T {
    word.parse().ok().expect("a number")
}

fn listen(port: u16) -> TcpListener {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("listen");
    tell(&json!({ "event": "listening", "port": listener.local_addr().expect("a port").port() }));
    listener
}

#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn open(&self) {
        *self.0.lock().expect("a gate") = true;
        self.1.notify_all();
    }

    fn pass(&self) {
        let mut open = self.0.lock().expect("a gate");
        while !*open {
            open = self.1.wait(open).expect("a gate");
        }
    }
}

fn play_relay(words: &[&str]) {
    let (to, down, up): (u16, u64, u64) = (number(words[0]), number(words[1]), number(words[2]));
    let listener = listen(0);
    let opened = Arc::new(Gate::default());
    let gate = opened.clone();
    thread::spawn(move || {
        let mut limits = Some((down, up));
        for client in listener.incoming() {
            let client = client.expect("accept");
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else { continue };
            let (down, up) = limits.take().unwrap_or((u64::MAX, u64::MAX));
            let copy = |stream: &TcpStream| stream.try_clone().expect("a socket");
            let (back, there) = (copy(&client), copy(&server));
            let (one, other) = (gate.clone(), gate.clone());
            thread::spawn(move || carry(&server, &client, down, &one));
            thread::spawn(move || carry(&back, &there, up, &other));
        }
    });
    play_on(&opened);
}

/// Carries bytes one way; after `limit` of them the gate has to be open.
fn carry(mut from: &TcpStream, mut to: &TcpStream, limit: u64, gate: &Gate) {
    let mut left = limit;
    let mut buffer = [0; 16 * 1024];
    loop {
        if left == 0 {
            tell(&json!({ "event": "stalled" }));
            gate.pass();
            left = u64::MAX;
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        match from.read(&mut buffer[..most]) {
            Ok(n @ 1..) if to.write_all(&buffer[..n]).is_ok() => left -= u64::try_from(n).expect("a size"),
            // An orderly end of one direction ends that direction; an error ends both.
            Ok(0) => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            _ => {
                let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
                return;
            }
        }
    }
}

fn play_fake(words: &[&str]) {
    let listener = listen(number(words[0]));
    let manner = words[1].to_owned();
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("accept");
            tell(&json!({ "event": "connection" }));
            match &*manner {
                "close" => {}
                // As a server of version 2 greets.
                "later" => {
                    let (status, suites) = (Status::Ok, Suites::SUPPORTED);
                    let greeting =
                        Greeting { status, suites, instance: Instance::from_bytes([9; 8]), nonce: [9; 16] };
                    let mut greeting = greeting.emit();
                    greeting[4] = 2;
                    let _ = stream.write_all(&greeting);
                    open.push(stream);
                }
                "garbage" => {
                    let _ = stream.write_all(&noise(7, 4_096));
                    open.push(stream);
                }
                "silent" => open.push(stream),
                // The receiver retries until its own time is over.
                "busy" => {
                    let status = Status::Busy { retry_after: Duration::from_millis(100) };
                    let (suites, instance) = (Suites::SUPPORTED, Instance::from_bytes([9; 8]));
                    let greeting = Greeting { status, suites, instance, nonce: [9; 16] };
                    let _ = stream.write_all(&greeting.emit());
                }
                other => panic!("no manner {other}"),
            }
        }
    });
    play_on(&Gate::default());
}

fn play_hang(words: &[&str]) {
    let (port, count): (u16, usize) = (number(words[0]), number(words[1]));
    let mut open = Vec::new();
    std::io::stdin().lock().read_exact(&mut [0]).expect("a line");
    for _ in 0..count {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connect");
        // The first byte of the greeting: it has been accepted, and is not merely queued.
        stream.read_exact(&mut [0]).expect("a greeting");
        open.push(stream);
    }
    tell(&json!({ "event": "hanging" }));
    // All stay open until then.
    play_on(&Gate::default());
}
