//! Virtual time, and frames of devices that are not there.
extern crate std;

use super::*;
use std::vec::Vec;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 2];
const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const LEASE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

const fn at(seconds: u64) -> Instant {
    Instant::from_secs(seconds)
}

/// A board whose stack does as it is told at once.
struct Board {
    it: LinkLocal,
    now: Instant,
    /// The address that it was provisioned with, or leased.
    given: Ipv4Addr,
    link: bool,
    sent: Vec<(Instant, Frame, Ipv4Addr)>,
}

impl Board {
    fn new(mac: [u8; 6], given: Ipv4Addr) -> Self {
        let it = LinkLocal::new(mac, Duration::from_secs(6));
        Self { it, now: Instant::MIN, given, link: true, sent: Vec::new() }
    }

    fn address(&self) -> Ipv4Addr {
        if self.it.chosen().is_unspecified() { self.given } else { self.it.chosen() }
    }

    fn until(&mut self, limit: Instant) {
        loop {
            self.it.observe(self.now, self.link, self.address());
            if let Some(frame) = self.it.poll(self.now) {
                let mut bytes = std::vec![0; frame.len()];
                self.it.write(frame, &mut bytes);
                let about = Arp::read(&bytes).map_or(NONE, |arp| arp.target);
                self.sent.push((self.now, frame, about));
                continue;
            }
            self.it.observe(self.now, self.link, self.address());
            if self.it.next() > limit {
                self.now = limit;
                return;
            }
            self.now = self.now.max(self.it.next());
        }
    }

    fn hear(&mut self, arp: Arp) {
        let mut frame = [0; ARP_LEN];
        arp.write(&mut frame);
        if !arp.request {
            frame[21] = 2;
        }
        self.it.receive(self.now, &frame);
    }

    fn times(&self, which: Frame) -> Vec<u64> {
        self.sent.iter().filter(|(_, frame, _)| *frame == which).map(|(at, ..)| at.as_millis()).collect()
    }
}

fn has(address: Ipv4Addr) -> Arp {
    Arp { mac: OTHER, sender: address, target: NONE, request: false }
}

#[test]
fn without_dhcp_an_address_is_probed_for_three_times_announced_twice_and_used() {
    let mut board = Board::new(MAC, NONE);
    board.until(at(25));
    let address = board.it.chosen();
    let [169, 254, 1..=254, _] = address.octets() else { panic!("{address}") };
    let [probes, announced] = [Frame::Probe, Frame::Announcement].map(|frame| board.times(frame));
    assert_eq!((probes.len(), announced.len()), (3, 2));
    assert!((6_000..=7_000).contains(&probes[0]), "after its patience and up to a second: {probes:?}");
    assert!(probes.windows(2).all(|pair| (1_000..=2_000).contains(&(pair[1] - pair[0]))), "{probes:?}");
    assert_eq!((announced[0] - probes[2], announced[1] - announced[0]), (2_000, 2_000));
    assert!(board.sent.iter().all(|(_, frame, about)| *frame == Frame::Discover || *about == address));
    // Then it looks for a server now and then.
    board.until(at(100));
    let asked = board.times(Frame::Discover);
    assert!(asked.len() >= 2 && asked.windows(2).all(|pair| pair[1] - pair[0] == 30_000), "{asked:?}");
}

#[test]
fn each_board_has_its_own_choice_and_keeps_it() {
    let choice = |mac| {
        let mut board = Board::new(mac, NONE);
        board.until(at(25));
        board.it.chosen()
    };
    assert_eq!(choice(MAC), choice(MAC));
    assert_ne!(choice(MAC), choice(OTHER));
}

#[test]
fn an_address_that_somebody_has_or_wants_is_not_used() {
    for wanted in [false, true] {
        let mut board = Board::new(MAC, NONE);
        board.until(at(8));
        let (_, Frame::Probe, first) = board.sent[0] else { panic!("a probe") };
        // Its own probe, which a switch may send back, disputes nothing.
        board.hear(Arp { mac: MAC, sender: NONE, target: first, request: true });
        assert_eq!(board.it.conflicts, 0);
        let sender = if wanted { NONE } else { first };
        board.hear(Arp { mac: OTHER, sender, target: first, request: wanted });
        board.until(at(30));
        assert!(!board.it.chosen().is_unspecified());
        assert_ne!(board.it.chosen(), first);
        assert_eq!(board.it.taken(), NONE);
    }
}

#[test]
fn an_address_in_use_is_given_up_when_another_device_shows_it() {
    let mut board = Board::new(MAC, NONE);
    board.until(at(30));
    let first = board.it.chosen();
    // That somebody asks for it is no dispute, and is answered.
    let sent = board.sent.len();
    board.hear(Arp { mac: OTHER, sender: NONE, target: first, request: true });
    board.until(board.now);
    assert_eq!(board.sent[sent..], [(board.now, Frame::Announcement, first)]);
    assert_eq!(board.it.chosen(), first);
    board.hear(has(first));
    assert_eq!(board.it.chosen(), NONE);
    board.until(at(45));
    assert!(!board.it.chosen().is_unspecified());
    assert_ne!(board.it.chosen(), first);
}

#[test]
fn after_ten_conflicts_a_choice_waits_for_a_minute() {
    let mut board = Board::new(MAC, NONE);
    board.until(at(8));
    for _ in 0..11 {
        let (.., about) = *board.sent.last().unwrap();
        let before = board.sent.len();
        board.hear(has(about));
        while board.sent.len() == before {
            board.until(board.it.next());
        }
    }
    let [before, last] = *board.times(Frame::Probe).last_chunk().unwrap();
    assert_eq!(last - before, 60_000);
    let probes = board.times(Frame::Probe);
    assert!(probes[..probes.len() - 1].windows(2).all(|pair| pair[1] - pair[0] <= 2_000), "{probes:?}");
}

#[test]
fn a_lease_ends_the_choice_and_its_loss_begins_another() {
    let mut board = Board::new(MAC, NONE);
    board.until(at(9));
    board.given = LEASE;
    board.until(at(60));
    assert_eq!((board.it.chosen(), board.times(Frame::Discover).len()), (NONE, 0));
    assert!(board.sent.iter().any(|(_, frame, about)| *frame == Frame::Probe && *about == LEASE));
    board.given = NONE;
    board.until(at(80));
    assert!(!board.it.chosen().is_unspecified());
}

#[test]
fn a_server_that_answers_is_given_time_for_a_lease() {
    let mut board = Board::new(MAC, NONE);
    let mut second = 0;
    while board.times(Frame::Discover).is_empty() {
        second += 1;
        board.until(at(second));
    }
    let mut answer = [0; DISCOVER_LEN];
    write_discover(MAC, &mut answer);
    answer[34..38].copy_from_slice(&[0, 67, 0, 68]);
    answer[42] = 2;
    board.until(at(second + 10));
    let chosen = board.it.chosen();
    board.it.receive(board.now, &answer);
    assert_eq!(board.it.chosen(), chosen, "nobody is asked now");
    assert!(!chosen.is_unspecified());
    while board.times(Frame::Discover).len() == 1 {
        second += 1;
        board.until(at(second));
    }
    board.it.receive(board.now, &answer);
    assert_eq!(board.it.chosen(), NONE, "the stack asks for a lease");
    board.until(at(second + 11));
    assert_eq!(board.it.chosen(), NONE);
    board.until(at(second + 30));
    assert!(!board.it.chosen().is_unspecified(), "and got none");
}

#[test]
fn that_a_given_address_is_taken_is_told_and_it_stays() {
    let mut board = Board::new(MAC, LEASE);
    board.until(at(1));
    assert_eq!(board.sent[0], (Instant::MIN, Frame::Probe, LEASE), "asked for at once");
    assert_eq!(board.it.taken(), NONE);
    board.hear(Arp { mac: OTHER, sender: NONE, target: LEASE, request: true });
    board.hear(has(Ipv4Addr::new(10, 0, 0, 8)));
    assert_eq!(board.it.taken(), NONE);
    board.hear(has(LEASE));
    assert_eq!((board.it.taken(), board.it.chosen()), (LEASE, NONE));
    board.until(at(600));
    assert_eq!((board.times(Frame::Probe).len(), board.times(Frame::Announcement).len()), (3, 1));
    // Also an hour later.
    let mut board = Board::new(MAC, LEASE);
    board.until(at(3_600));
    board.hear(has(LEASE));
    assert_eq!(board.it.taken(), LEASE);
}

#[test]
fn without_a_link_nothing_is_chosen_and_with_it_all_begins_anew() {
    let mut board = Board::new(MAC, NONE);
    board.until(at(30));
    let first = board.it.chosen();
    board.link = false;
    board.until(at(100));
    assert_eq!((board.it.chosen(), board.it.next()), (NONE, Instant::MAX));
    let sent = board.sent.len();
    board.link = true;
    board.until(at(125));
    assert!(!board.it.chosen().is_unspecified() && !first.is_unspecified());
    assert!((106_000..=107_000).contains(&board.sent[sent].0.as_millis()));
}

#[test]
fn no_frame_makes_it_panic() {
    let mut board = Board::new(MAC, NONE);
    board.until(at(30));
    let mut dice = 7_u32;
    for _ in 0..20_000 {
        let mut frame = [0; 80];
        for byte in &mut frame {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = dice.to_be_bytes()[0];
        }
        let len = usize::from(frame[0]) % 81;
        (frame[12], frame[13]) = (0x08, frame[13] & 6);
        board.it.receive(board.now, &frame[..len]);
    }
}

#[test]
fn a_flood_of_probes_keeps_nothing_else_waiting() {
    let mut board = Board::new(MAC, NONE);
    board.until(at(20));
    let chosen = board.it.chosen();
    assert!(!chosen.is_unspecified());
    while board.it.next() > board.now {
        board.now = board.it.next();
    }
    board.hear(Arp { mac: OTHER, sender: NONE, target: chosen, request: true });
    assert_eq!(board.it.poll(board.now), Some(Frame::Discover));
    assert_eq!(board.it.poll(board.now), Some(Frame::Announcement));
    assert_eq!(board.it.poll(board.now), None);
}
