//! A link between two hosts that is point to point, as a VPN makes it, on a network that may be bad.
//!
//! What enters the interface `tun0` of one host is sent to a relay as UDP, which passes it on to the other host's. The
//! relay can lose, delay, double and reorder packets. The ends are two `socat`.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::PATIENCE;
use crate::lan::{Host, Lan};
use crate::neighbour::{Neighbour, Role, asked_to_end, say};
use crate::noise::noise;
use crate::process::Process;

/// The role of the relay. A test binary that makes a tunnel plays it in its test `neighbour`.
pub const ROLE: Role = ("tunnel", relay);

/// The ports of the relay, and of the two ends.
const RELAY: [u16; 2] = [5_001, 5_002];
const ENDS: [u16; 2] = [6_001, 6_002];
/// The longest packet.
const LONGEST: usize = 2_048;
/// How long the relay waits before it looks whether it has to end.
const LOOK: Duration = Duration::from_millis(50);

/// The network below a tunnel.
#[derive(Clone, Copy, Default)]
pub struct Weather {
    /// Of a hundred packets so many are lost.
    pub lost: u8,
    /// And so many of the others arrive twice.
    pub doubled: u8,
    /// How long each packet takes; a quarter of them takes half of that, and overtakes others.
    pub delay: Duration,
}

/// A tunnel between the first two hosts of a LAN. Gone when dropped.
pub struct Tunnel {
    _ends: [Process; 2],
    _relay: Neighbour,
}

impl Tunnel {
    /// Makes the tunnel: the interface `tun0` of both hosts, up and without addresses. Panics if that fails.
    pub fn new(lan: &Lan, weather: Weather) -> Self {
        let [one, other] = [&lan.hosts[0], &lan.hosts[1]];
        let Weather { lost, doubled, delay } = weather;
        let words = [one.ip.clone(), other.ip.clone(), lost.to_string(), doubled.to_string()];
        let words = [&words[..], &[delay.as_millis().to_string()]].concat();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let relay = Neighbour::start(one, ROLE.0, &words);
        let ends = [(one, 0), (other, 1)].map(|(host, at)| end(host, &one.ip, at));
        Self { _ends: ends, _relay: relay }
    }
}

fn end(host: &Host, relay: &str, at: usize) -> Process {
    let mut socat = host.command("socat");
    socat.arg("TUN,tun-name=tun0,tun-type=tun,iff-no-pi");
    socat.arg(format!("UDP4:{relay}:{},bind={}:{}", RELAY[at], host.ip, ENDS[at]));
    let process = Process::from_command(socat, "socat".into());
    let deadline = Instant::now() + PATIENCE;
    // No event tells that the interface is there.
    while !there(host) {
        assert!(Instant::now() < deadline, "socat made no tun0");
        std::thread::sleep(Duration::from_millis(5));
    }
    host.ip_command("link set tun0 addrgenmode none");
    host.ip_command("link set tun0 up");
    process
}

fn there(host: &Host) -> bool {
    let mut show = host.command("ip");
    show.args(["link", "show", "tun0"]).stdout(Stdio::null()).stderr(Stdio::null());
    show.status().is_ok_and(|status| status.success())
}

/// Passes packets on between two ends.
fn relay(words: &[&str]) {
    let number = |word: &str| word.parse::<u64>().expect("a number");
    let sockets: Vec<UdpSocket> = (0..2)
        .map(|at| {
            let socket = UdpSocket::bind((words[0], RELAY[at])).expect("a port");
            socket.connect((words[at], ENDS[at])).expect("an address");
            socket
        })
        .collect();
    let (lost, doubled, delay) =
        (number(words[2]), number(words[3]), Duration::from_millis(number(words[4])));
    let end = asked_to_end();
    say("ready");
    let ways: Vec<_> = [(0, 1), (1, 0)]
        .map(|(from, to)| {
            let [from, to] = [from, to].map(|at: usize| sockets[at].try_clone().expect("a socket"));
            let end = end.clone();
            std::thread::spawn(move || carry(&from, &to, [lost, doubled], delay, &end))
        })
        .into_iter()
        .collect();
    ways.into_iter().for_each(|way| way.join().expect("a way"));
}

fn carry(
    from: &UdpSocket,
    to: &UdpSocket,
    [lost, doubled]: [u64; 2],
    delay: Duration,
    end: &std::sync::atomic::AtomicBool,
) {
    let seed = from.local_addr().map_or(0, |address: SocketAddr| u64::from(address.port()));
    let mut chance = noise(seed, 3 << 20).into_iter().map(|byte| u64::from(byte) * 100 / 256).cycle();
    let mut draw = move |of: u64| chance.next().is_some_and(|drawn| drawn < of);
    // Packets on their way, by when they arrive.
    let mut waiting: BTreeMap<(Instant, u64), Vec<u8>> = BTreeMap::new();
    let (mut buffer, mut count) = ([0; LONGEST], 0);
    while !end.load(std::sync::atomic::Ordering::Acquire) {
        let now = Instant::now();
        while let Some(due) = waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            // The end may not be there yet, or not any more.
            let _ = to.send(&due.remove());
        }
        let next = waiting.keys().next().map_or(LOOK, |(at, _)| at.saturating_duration_since(now).min(LOOK));
        from.set_read_timeout(Some(next.max(Duration::from_millis(1)))).expect("a timeout");
        let Ok(len) = from.recv(&mut buffer) else { continue };
        if draw(lost) {
            continue;
        }
        for _ in 0..if draw(doubled) { 2 } else { 1 } {
            let at = Instant::now() + if draw(25) { delay / 2 } else { delay };
            count += 1;
            waiting.insert((at, count), buffer[..len].to_vec());
        }
    }
}
