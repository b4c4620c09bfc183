//! Captures every packet that passes the switch.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use memchr::memmem;
use socket2::{Domain, Protocol, Socket, Type};

use crate::lan::Lan;
use crate::neighbour::{Neighbour, asked_to_end, say};

/// `ETH_P_ALL`: all protocols.
const EVERYTHING: u16 = 3;
/// Room for a packet before segmentation offload cuts it up for the wire.
const LARGEST: usize = 128 * 1024;

/// A capture under way.
pub struct Capture {
    neighbour: Neighbour,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Capture {
    /// Begins to capture on the switch.
    pub fn start(lan: &Lan) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("packets");
        let neighbour = Neighbour::start(lan.switch(), "capture", &[file.to_str().expect("a path")]);
        Self { neighbour, file, _folder: folder }
    }

    /// Ends it.
    pub fn end(self) -> Traffic {
        self.neighbour.end();
        let bytes = std::fs::read(&self.file).expect("read the capture");
        let (mut rest, mut frames) = (&bytes[..], BTreeSet::new());
        while let Some((len, tail)) = rest.split_first_chunk() {
            let (frame, tail) = tail.split_at(u32::from_le_bytes(*len) as usize);
            // The switch sees a packet on its way in and on its way out.
            frames.insert(frame.to_vec());
            rest = tail;
        }
        Traffic { frames }
    }
}

/// The role that captures: the packets go into a file when the test asks for the end.
pub fn capture(words: &[&str]) {
    // A packet socket that is bound to no interface hears all of them.
    let protocol = Protocol::from(i32::from(EVERYTHING.to_be()));
    let mut socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).expect("a packet socket");
    // The packets of a whole transfer may wait here while the machine is busy. Where we may not ask for
    // that much, a hole in a stream would show that some were lost.
    if rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 64 << 20).is_err() {
        let _ = socket.set_recv_buffer_size(64 << 20);
    }
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let end = asked_to_end();
    say("ready");
    let (mut packets, mut packet) = (Vec::new(), vec![0; LARGEST]);
    loop {
        // Read before the flag: what came before the end was asked for is in.
        let asked = end.load(Ordering::Acquire);
        match socket.read(&mut packet) {
            Ok(len) => {
                packets.extend_from_slice(&u32::try_from(len).expect("a packet's length").to_le_bytes());
                packets.extend_from_slice(&packet[..len]);
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) && asked => break,
            Err(_) => {}
        }
    }
    std::fs::write(words[0], packets).expect("write the capture");
}

/// The captured packets, each once.
pub struct Traffic {
    frames: BTreeSet<Vec<u8>>,
}

/// From and to.
pub type Flow = (SocketAddr, SocketAddr);

/// A part of a TCP stream.
struct Segment<'a> {
    flow: Flow,
    sequence: u32,
    syn: bool,
    ack: bool,
    payload: &'a [u8],
}

impl Traffic {
    /// The payloads of all UDP packets.
    pub fn datagrams(&self) -> Vec<(Flow, &[u8])> {
        let udp = self.frames.iter().filter_map(|frame| ip(frame, 17));
        udp.filter_map(|(from, to, packet)| {
            let (head, payload) = packet.split_first_chunk::<8>()?;
            Some((flow(from, to, head), payload))
        })
        .collect()
    }

    /// The hop limits of all UDP packets over IPv6.
    pub fn hop_limits(&self) -> BTreeSet<u8> {
        let udp = self.frames.iter().filter(|frame| ip(frame, 17).is_some_and(|(from, ..)| from.is_ipv6()));
        udp.filter_map(|frame| frame.get(14 + 7).copied()).collect()
    }

    /// The TCP connections that were asked for, each once even if its SYN was retransmitted.
    pub fn connects(&self) -> Vec<Flow> {
        let requests: BTreeSet<_> =
            self.segments().filter(|s| s.syn && !s.ack).map(|s| (s.flow, s.sequence)).collect();
        requests.into_iter().map(|(flow, _)| flow).collect()
    }

    /// The bytes of all TCP streams, in the order in which they were sent. Panics if one has a hole.
    pub fn streams(&self) -> BTreeMap<Flow, Vec<u8>> {
        let segments: Vec<Segment<'_>> = self.segments().collect();
        let mut streams = BTreeMap::new();
        for start in segments.iter().filter(|s| s.syn) {
            // The SYN itself takes one number.
            let first = start.sequence.wrapping_add(1);
            let mut parts: Vec<(usize, &[u8])> = segments
                .iter()
                .filter(|s| s.flow == start.flow && !s.syn && !s.payload.is_empty())
                .map(|s| (s.sequence.wrapping_sub(first) as usize, s.payload))
                // A probe that keeps a connection alive repeats a byte; none of ours is that long.
                .filter(|(at, _)| *at < 1 << 30)
                .collect();
            parts.sort_by_key(|(at, payload)| (*at, payload.len()));
            let mut stream = Vec::new();
            for (at, payload) in parts {
                assert!(at <= stream.len(), "the capture has lost packets of {:?}", start.flow);
                if let Some(new) = payload.get(stream.len() - at..) {
                    stream.extend_from_slice(new);
                }
            }
            streams.insert(start.flow, stream);
        }
        streams
    }

    /// The needles that occur in any packet or, across packets, in any TCP stream.
    pub fn search<'n>(&self, needles: &'n [(String, Vec<u8>)]) -> Vec<&'n str> {
        let streams = self.streams();
        let found = |needle: &[u8]| {
            let finder = memmem::Finder::new(needle);
            self.frames.iter().chain(streams.values()).any(|bytes| finder.find(bytes).is_some())
        };
        needles.iter().filter(|(_, needle)| found(needle)).map(|(name, _)| name.as_str()).collect()
    }

    fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.frames.iter().filter_map(|frame| ip(frame, 6)).filter_map(|(from, to, packet)| {
            let head = packet.first_chunk::<20>()?;
            Some(Segment {
                flow: flow(from, to, head),
                sequence: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
                syn: head[13] & 0x02 != 0,
                ack: head[13] & 0x10 != 0,
                payload: packet.get(usize::from(head[12] >> 4) * 4..)?,
            })
        })
    }
}

/// The addresses and the content of an IP packet of this protocol in an Ethernet frame.
fn ip(frame: &[u8], protocol: u8) -> Option<(IpAddr, IpAddr, &[u8])> {
    let packet = frame.get(12..)?;
    match packet.strip_prefix(&[0x08, 0x00]) {
        Some(packet) => ipv4(packet, protocol),
        None => ipv6(packet.strip_prefix(&[0x86, 0xdd])?, protocol),
    }
}

fn ipv4(packet: &[u8], protocol: u8) -> Option<(IpAddr, IpAddr, &[u8])> {
    let head = packet.first_chunk::<20>()?;
    let address = |at: usize| Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3]).into();
    // A short frame is padded behind the packet.
    let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let content = packet.get(usize::from(head[0] & 0x0f) * 4..len)?;
    (head[9] == protocol).then_some((address(12), address(16), content))
}

/// Without extension headers, which neither UDP nor TCP of ours has.
fn ipv6(packet: &[u8], protocol: u8) -> Option<(IpAddr, IpAddr, &[u8])> {
    let (head, content) = packet.split_first_chunk::<40>()?;
    let address = |at: usize| {
        let octets: [u8; 16] = head[at..at + 16].try_into().expect("sixteen bytes");
        Ipv6Addr::from(octets).into()
    };
    let content = content.get(..usize::from(u16::from_be_bytes([head[4], head[5]])))?;
    (head[6] == protocol).then_some((address(8), address(24), content))
}

fn flow(from: IpAddr, to: IpAddr, head: &[u8]) -> Flow {
    let port = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    (SocketAddr::new(from, port(0)), SocketAddr::new(to, port(2)))
}
