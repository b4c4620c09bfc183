//! An address where no DHCP server answers, and whether another device has the board's address.
//!
//! IPv4 link-local addresses as RFC 3927 has them: one is chosen by chance, asked for three times by ARP, and used unless
//! somebody has it. The address of a provisioning record or of a DHCP server is asked for in the same way, but then
//! used all the same: that it is taken can only be told.
//!
//! No I/O and no clock: `Addressed`, around the network's driver, carries the frames.

use core::net::Ipv4Addr;

use embassy_time::{Duration, Instant};

use super::frames::{ARP_LEN, Arp, DISCOVER_LEN, is_answer_to, write_discover};

/// Times that an address is asked for, and announced (RFC 3927, 9).
const PROBES: u8 = 3;
const ANNOUNCEMENTS: u8 = 2;
/// Between two probes: this, and up to as much again.
const PROBE_EVERY_MS: u32 = 1_000;
/// After the last probe, and between two announcements.
const ANNOUNCE_AFTER: Duration = Duration::from_secs(2);
/// After this many conflicts the next choice waits for a minute.
const MAX_CONFLICTS: u8 = 10;
const AFTER_CONFLICTS: Duration = Duration::from_secs(60);
/// How often a DHCP server is looked for while a link-local address is used.
const DISCOVER_EVERY: Duration = Duration::from_secs(30);
/// How long a server has to answer that. What comes at another time was not asked for.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// How long a server that has answered may take to give an address.
const LEASE_WITHIN: Duration = Duration::from_secs(12);

/// A frame to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Does anybody have this address?
    Probe,
    /// This address is ours.
    Announcement,
    /// Is there a DHCP server?
    Discover,
}

impl Frame {
    /// Its bytes.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Discover => DISCOVER_LEN,
            _ => ARP_LEN,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No link.
    Off,
    /// For DHCP.
    Waiting,
    /// For the address.
    Probing,
    /// The address is used; by our own choice.
    Claimed,
    /// The address is used.
    Checked,
}

/// Chooses and checks the board's address.
pub(crate) struct LinkLocal {
    mac: [u8; 6],
    /// How long DHCP may take.
    patience: Duration,
    dice: u32,
    state: State,
    /// The address was chosen here.
    own: bool,
    /// The address that it is about; unspecified if there is none.
    address: Ipv4Addr,
    /// Frames sent in this state.
    sent: u8,
    conflicts: u8,
    /// Somebody else has the address that must be used.
    taken: bool,
    /// Somebody has asked for the address. The stack answers nobody who has none, so it is announced.
    asked_for: bool,
    next: Instant,
}

impl LinkLocal {
    /// Without a link. DHCP may take as long as `patience` before an address is chosen.
    pub(crate) fn new(mac: [u8; 6], patience: Duration) -> Self {
        Self {
            mac,
            patience,
            // FNV-1a: the same address at each start, and another for each board.
            dice: mac
                .iter()
                .fold(0x811C_9DC5, |dice, byte| (dice ^ u32::from(*byte)).wrapping_mul(0x0100_0193)),
            state: State::Off,
            own: false,
            address: Ipv4Addr::UNSPECIFIED,
            sent: 0,
            conflicts: 0,
            taken: false,
            asked_for: false,
            next: Instant::MAX,
        }
    }

    /// The address that the stack should use; unspecified if it should do as its provisioning record says.
    pub(crate) fn chosen(&self) -> Ipv4Addr {
        if self.state == State::Claimed { self.address } else { Ipv4Addr::UNSPECIFIED }
    }

    /// The address that the board has although another device has it too; unspecified if there is none.
    pub(crate) fn taken(&self) -> Ipv4Addr {
        if self.taken { self.address } else { Ipv4Addr::UNSPECIFIED }
    }

    /// When [`Self::poll`] has something to do.
    pub(crate) const fn next(&self) -> Instant {
        if self.asked_for { Instant::MIN } else { self.next }
    }

    /// Whether there is a link, and the stack's address.
    pub(crate) fn observe(&mut self, now: Instant, link: bool, current: Ipv4Addr) {
        if !link {
            self.conflicts = 0;
            self.begin(State::Off, Ipv4Addr::UNSPECIFIED, Instant::MAX);
        } else if !current.is_unspecified() {
            if current != self.address {
                self.begin(State::Probing, current, now);
            }
        } else if !self.own && self.state != State::Waiting {
            self.begin(State::Waiting, Ipv4Addr::UNSPECIFIED, now + self.patience);
        }
    }

    /// What to send now.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Frame> {
        while now >= self.next {
            match self.state {
                State::Off | State::Checked => self.next = Instant::MAX,
                State::Waiting => self.choose(now),
                State::Probing if self.sent < PROBES => {
                    self.sent += 1;
                    self.next = now + if self.sent == PROBES { ANNOUNCE_AFTER } else { self.probe_again() };
                    return Some(Frame::Probe);
                }
                State::Probing => {
                    self.state = if self.own { State::Claimed } else { State::Checked };
                    self.sent = 0;
                }
                State::Claimed if self.sent < ANNOUNCEMENTS => {
                    self.sent += 1;
                    self.next = now + ANNOUNCE_AFTER;
                    return Some(Frame::Announcement);
                }
                State::Claimed => {
                    self.next = now + DISCOVER_EVERY;
                    return Some(Frame::Discover);
                }
            }
        }
        // After what is due, so that a flood of probes does not keep it waiting.
        core::mem::take(&mut self.asked_for).then_some(Frame::Announcement)
    }

    /// Writes a frame of its length.
    pub(crate) fn write(&self, frame: Frame, to: &mut [u8]) {
        let sender = match frame {
            Frame::Discover => return write_discover(self.mac, to),
            Frame::Probe => Ipv4Addr::UNSPECIFIED,
            Frame::Announcement => self.address,
        };
        Arp { mac: self.mac, sender, target: self.address, request: true }.write(to);
    }

    /// Looks at a received frame.
    pub(crate) fn receive(&mut self, now: Instant, frame: &[u8]) {
        if let Some(arp) = Arp::read(frame) {
            if arp.mac != self.mac && !self.address.is_unspecified() {
                self.hear(now, arp);
            }
        } else if self.state == State::Claimed
            && now + DISCOVER_EVERY <= self.next + ANSWER_WITHIN
            && is_answer_to(self.mac, frame)
        {
            self.begin(State::Waiting, Ipv4Addr::UNSPECIFIED, now + LEASE_WITHIN);
        }
    }

    /// What another device says while there is an address.
    fn hear(&mut self, now: Instant, arp: Arp) {
        let probe = arp.request && arp.sender.is_unspecified() && arp.target == self.address;
        let undecided = self.own && self.state == State::Probing;
        if arp.sender == self.address || probe && undecided {
            self.give_way(now);
        } else if probe {
            self.asked_for = true;
        }
    }

    fn give_way(&mut self, now: Instant) {
        if !self.own {
            self.taken = true;
            return;
        }
        self.conflicts = self.conflicts.saturating_add(1);
        self.choose(now);
        if self.conflicts > MAX_CONFLICTS {
            self.next = now + AFTER_CONFLICTS;
        }
    }

    /// Another address of our own: 169.254.1.0 to 169.254.254.255.
    fn choose(&mut self, now: Instant) {
        let address = 0xA9FE_0100 + self.roll(254 * 256);
        let within = Duration::from_millis(self.roll(PROBE_EVERY_MS).into());
        self.begin(State::Probing, address.into(), now + within);
        self.own = true;
    }

    fn begin(&mut self, state: State, address: Ipv4Addr, next: Instant) {
        (self.state, self.address, self.next) = (state, address, next);
        (self.sent, self.own, self.taken, self.asked_for) = (0, false, false, false);
    }

    fn probe_again(&mut self) -> Duration {
        Duration::from_millis((PROBE_EVERY_MS + self.roll(PROBE_EVERY_MS)).into())
    }

    /// Less than `limit`, which has 16 bits.
    fn roll(&mut self, limit: u32) -> u32 {
        self.dice = self.dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((self.dice >> 16) * limit) >> 16
    }
}

#[cfg(test)]
mod tests;
