//! The frames that an address is chosen with: ARP, and the DHCP client's first message.
//!
//! Written and read here because embassy-net shows no frames to the program.

use core::net::Ipv4Addr;

/// Bytes of an ARP frame.
pub(crate) const ARP_LEN: usize = 42;
/// Bytes of a DHCPDISCOVER frame: 300 of BOOTP, as some servers want at least.
pub(crate) const DISCOVER_LEN: usize = 342;

const BROADCAST: [u8; 6] = [0xFF; 6];

/// The fields of an ARP frame for IPv4 that differ from frame to frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arp {
    /// The sender's hardware address.
    pub(crate) mac: [u8; 6],
    /// The sender's address; [`Ipv4Addr::UNSPECIFIED`] in a probe.
    pub(crate) sender: Ipv4Addr,
    /// The address that it is about.
    pub(crate) target: Ipv4Addr,
    /// It asks.
    pub(crate) request: bool,
}

impl Arp {
    /// Of a received frame, if it is one of IPv4 over Ethernet.
    pub(crate) fn read(frame: &[u8]) -> Option<Self> {
        if field(frame, 12)? != [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0] {
            return None;
        }
        let (sender, target) = (field::<4>(frame, 28)?.into(), field::<4>(frame, 38)?.into());
        Some(Self { mac: field(frame, 22)?, sender, target, request: *frame.get(21)? == 1 })
    }

    /// Writes a broadcast request of [`ARP_LEN`] bytes.
    pub(crate) fn write(self, frame: &mut [u8]) {
        frame.fill(0);
        put(frame, 0, &BROADCAST);
        put(frame, 6, &self.mac);
        put(frame, 12, &[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
        put(frame, 22, &self.mac);
        put(frame, 28, &self.sender.octets());
        put(frame, 38, &self.target.octets());
    }
}

/// Writes a DHCPDISCOVER of [`DISCOVER_LEN`] bytes.
pub(crate) fn write_discover(mac: [u8; 6], frame: &mut [u8]) {
    frame.fill(0);
    put(frame, 0, &BROADCAST);
    put(frame, 6, &mac);
    // IPv4: 328 bytes of UDP from 0.0.0.0 to 255.255.255.255. Every field is fixed, and so is the checksum.
    put(frame, 12, &[0x08, 0, 0x45, 0, 0x01, 0x48, 0, 0, 0, 0, 64, 17, 0x79, 0xA6]);
    put(frame, 30, &[0xFF; 4]);
    // From port 68 to 67, 308 bytes, without a checksum.
    put(frame, 34, &[0, 68, 0, 67, 0x01, 0x34]);
    put(frame, 42, &[1, 1, 6, 0]);
    // The transaction is named by the end of the hardware address; the answer may be broadcast.
    put(frame, 46, &[1]);
    put(frame, 47, mac.last_chunk::<3>().unwrap_or(&[0; 3]));
    put(frame, 52, &[0x80]);
    put(frame, 70, &mac);
    // The magic cookie, the message type DISCOVER, the end.
    put(frame, 278, &[99, 130, 83, 99, 53, 1, 1, 0xFF]);
}

/// Whether a frame is a DHCP server's answer to the Discover of the device with this hardware address.
pub(crate) fn is_answer_to(mac: [u8; 6], frame: &[u8]) -> bool {
    let answer = || {
        Some(
            field(frame, 12)? == [0x08, 0, 0x45]
                && *frame.get(23)? == 17
                && field(frame, 36)? == [0, 68]
                && *frame.get(42)? == 2
                && field(frame, 47)? == *mac.last_chunk::<3>()?
                && field(frame, 70)? == mac
                && field(frame, 278)? == [99, 130, 83, 99],
        )
    };
    answer().unwrap_or(false)
}

/// The `N` bytes from `at` on.
fn field<const N: usize>(frame: &[u8], at: usize) -> Option<[u8; N]> {
    frame.get(at..)?.first_chunk().copied()
}

/// Writes `bytes` from `at` on.
fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    frame.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 1, 2, 3, 4, 5];

    #[test]
    fn what_is_written_is_read() {
        let arp =
            Arp { mac: MAC, sender: [169, 254, 1, 2].into(), target: [10, 0, 0, 9].into(), request: true };
        let mut frame = [0xAA; ARP_LEN];
        arp.write(&mut frame);
        assert_eq!(Arp::read(&frame), Some(arp));
        frame[21] = 2;
        assert_eq!(Arp::read(&frame), Some(Arp { request: false, ..arp }));
    }

    #[test]
    fn what_is_no_arp_of_ipv4_is_not_read() {
        let arp =
            Arp { mac: MAC, sender: [169, 254, 1, 2].into(), target: [10, 0, 0, 9].into(), request: true };
        let mut frame = [0; ARP_LEN];
        arp.write(&mut frame);
        for len in 0..ARP_LEN {
            assert_eq!(Arp::read(&frame[..len]), None, "{len}");
        }
        for at in 12..=20 {
            let mut other = frame;
            other[at] ^= 0x10;
            assert_eq!(Arp::read(&other), None, "{at}");
        }
    }

    #[test]
    fn the_checksum_of_a_discover_is_right() {
        let mut frame = [0xAA; DISCOVER_LEN];
        write_discover(MAC, &mut frame);
        let words = frame[14..34].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        let sum: u32 = words.sum();
        assert_eq!((sum & 0xFFFF) + (sum >> 16), 0xFFFF);
        assert_eq!(u16::from_be_bytes([frame[16], frame[17]]), 328);
        assert_eq!(u16::from_be_bytes([frame[38], frame[39]]), 308);
    }

    #[test]
    fn an_answer_is_told_from_a_question_and_from_that_to_another() {
        let mut frame = [0; DISCOVER_LEN];
        write_discover(MAC, &mut frame);
        assert!(!is_answer_to(MAC, &frame));
        // From port 67 to 68.
        put(&mut frame, 34, &[0, 67, 0, 68]);
        put(&mut frame, 42, &[2]);
        assert!(is_answer_to(MAC, &frame));
        assert!(!is_answer_to([2, 1, 2, 3, 4, 6], &frame));
        for len in 0..282 {
            assert!(!is_answer_to(MAC, &frame[..len]), "{len}");
        }
        for at in [12, 14, 23, 37, 42, 47, 49, 70, 75, 278, 281] {
            let mut other = frame;
            other[at] ^= 0x10;
            assert!(!is_answer_to(MAC, &other), "{at}");
        }
    }
}
