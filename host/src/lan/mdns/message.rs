//! The messages: a question for senders, and the records of one sender at its addresses.
//!
//! A sender has the name of its instance, in hexadecimal, both as a service and as a host. Port and revision are in its SRV
//! record: what that calls priority and weight means nothing of a single record (RFC 6763, section 5), and together has the
//! 32 bits of a revision.

use std::net::IpAddr;

use deaddrop_core::token::Instance;
use deaddrop_core::wire::{Beacon, BeaconKind};
use simple_dns::rdata::{A, AAAA, PTR, RData, SRV, TXT};
use simple_dns::{CLASS, CharacterString, Label, Name, Packet, PacketFlag, QCLASS, QTYPE, Question};
use simple_dns::{ResourceRecord, SimpleDnsError, TYPE};

use super::{ENTRIES_MAX, HEARD_MAX, MESSAGE_MAX, SERVICE, TTL};

/// Bytes of the header of a message.
const HEADER: usize = 12;
/// Where in it the four counts of questions and records are.
const COUNTS: std::ops::Range<usize> = 4..HEADER;

/// A question for all senders.
pub(crate) fn question() -> Result<Vec<u8>, SimpleDnsError> {
    let mut packet = Packet::new_query(0);
    packet.questions.push(Question::new(service(), TYPE::PTR.into(), CLASS::IN.into(), false));
    packet.build_bytes_vec_compressed()
}

/// The records of a sender that this beacon announces, at these addresses. Of a farewell they count no longer.
pub(crate) fn announcement(beacon: &Beacon, addresses: &[IpAddr]) -> Result<Vec<u8>, SimpleDnsError> {
    let ttl = if beacon.kind == BeaconKind::Farewell { 0 } else { u32::try_from(TTL.as_secs()).unwrap_or(0) };
    let (own, host) = (instance_name(beacon.instance), host_name(beacon.instance));
    let [p0, p1, w0, w1] = beacon.revision.to_be_bytes();
    let srv = SRV {
        priority: u16::from_be_bytes([p0, p1]),
        weight: u16::from_be_bytes([w0, w1]),
        port: beacon.port,
        target: host.clone(),
    };
    // The record must be there (RFC 6763, section 6.1), and there is nothing to say in it: one empty string.
    let txt = TXT::new().with_char_string(CharacterString::new(b"")?);
    // Others may answer for the service; the other names are of this process alone.
    let mut packet = reply();
    let record = |name: &Name<'static>, data| ResourceRecord::new(name.clone(), CLASS::IN, ttl, data);
    packet.answers.push(record(&service(), RData::PTR(PTR(own.clone()))));
    let alone = [(&own, RData::SRV(srv)), (&own, RData::TXT(txt))];
    let addresses = addresses.iter().take(HEARD_MAX).map(|ip| match *ip {
        IpAddr::V4(ip) => (&host, RData::A(A { address: ip.to_bits() })),
        IpAddr::V6(ip) => (&host, RData::AAAA(AAAA { address: ip.to_bits() })),
    });
    packet.answers.extend(
        alone.into_iter().chain(addresses).map(|(name, data)| record(name, data).with_cache_flush(true)),
    );
    packet.build_bytes_vec_compressed()
}

/// The announcements and farewells that a message amounts to, each with the address of its sender; a few of each message.
pub(crate) fn heard(message: &[u8]) -> Vec<(IpAddr, Beacon)> {
    let Some(packet) = parse(message).filter(|packet| packet.has_flags(PacketFlag::RESPONSE)) else {
        return Vec::new();
    };
    let records = || packet.answers.iter().chain(&packet.additional_records);
    let mut heard = Vec::new();
    for record in records().filter(|record| record.class == CLASS::IN) {
        let RData::SRV(srv) = &record.rdata else { continue };
        let Some(instance) = instance_of(&record.name) else { continue };
        let kind = if record.ttl == 0 { BeaconKind::Farewell } else { BeaconKind::Announce };
        let ([p0, p1], [w0, w1]) = (srv.priority.to_be_bytes(), srv.weight.to_be_bytes());
        let revision = u32::from_be_bytes([p0, p1, w0, w1]);
        let beacon = Beacon { kind, port: srv.port, instance, revision };
        let addresses = records().filter(|other| other.name == srv.target).filter_map(address);
        heard.extend(addresses.map(|ip| (ip, beacon)).take(HEARD_MAX.saturating_sub(heard.len())));
    }
    heard
}

/// Whether a message asks for this sender, and does not say that it knows it (RFC 6762, section 7.1).
pub(crate) fn asks(message: &[u8], instance: Instance) -> bool {
    let Some(packet) = parse(message).filter(|packet| !packet.has_flags(PacketFlag::RESPONSE)) else {
        return false;
    };
    let (service, own, host) = (service(), instance_name(instance), host_name(instance));
    let is_known = |known: &ResourceRecord<'_>| {
        let lasts = u64::from(known.ttl) * 2 >= TTL.as_secs();
        lasts && known.name == service && matches!(&known.rdata, RData::PTR(PTR(name)) if *name == own)
    };
    packet.questions.iter().any(|question| {
        let of = |types: &[TYPE]| {
            question.qtype == QTYPE::ANY || types.iter().any(|of| question.qtype == QTYPE::TYPE(*of))
        };
        let of_this_class = matches!(question.qclass, QCLASS::ANY | QCLASS::CLASS(CLASS::IN));
        of_this_class
            && ((question.qname == service && of(&[TYPE::PTR]) && !packet.answers.iter().any(is_known))
                || (question.qname == own && of(&[TYPE::SRV, TYPE::TXT]))
                || (question.qname == host && of(&[TYPE::A, TYPE::AAAA])))
    })
}

/// A message that may be about senders. `None` for every other: one that is too large, has too much in it, or breaks the
/// rules anywhere.
fn parse(message: &[u8]) -> Option<Packet<'_>> {
    let counts = message.get(COUNTS).filter(|_| message.len() <= MESSAGE_MAX)?;
    // The parser makes room for as many as the header says, before it looks whether they are there.
    let entries = counts.chunks_exact(2).map(|count| u16::from_be_bytes([count[0], count[1]]));
    if entries.fold(0, u16::saturating_add) > ENTRIES_MAX {
        return None;
    }
    // Most of the traffic is about other services.
    let [label, ..] = SERVICE.map(str::as_bytes);
    if !message.windows(label.len()).any(|window| window.eq_ignore_ascii_case(label)) {
        return None;
    }
    Packet::parse(message).ok()
}

fn reply() -> Packet<'static> {
    let mut packet = Packet::new_reply(0);
    // Only what answers with authority counts (RFC 6762, section 18.4).
    packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    packet
}

fn name(labels: impl IntoIterator<Item = String>) -> Name<'static> {
    let labels: Vec<Label<'static>> =
        labels.into_iter().map(|label| Label::new_unchecked(label.into_bytes())).collect();
    Name::new_with_labels(&labels)
}

fn service() -> Name<'static> {
    name(SERVICE.map(Into::into))
}

/// The label of an instance.
fn label(instance: Instance) -> String {
    format!("{:016x}", u64::from_be_bytes(*instance.as_bytes()))
}

fn instance_name(instance: Instance) -> Name<'static> {
    name([label(instance)].into_iter().chain(SERVICE.map(Into::into)))
}

fn host_name(instance: Instance) -> Name<'static> {
    let [.., local] = SERVICE;
    name([label(instance), local.into()])
}

/// The instance that a service has its name from.
fn instance_of(name: &Name<'_>) -> Option<Instance> {
    let (label, rest) = name.get_labels().split_first()?;
    let is_service = rest.len() == SERVICE.len()
        && rest.iter().zip(SERVICE).all(|(label, own)| label.as_ref().eq_ignore_ascii_case(own.as_bytes()));
    let digits = std::str::from_utf8(label.as_ref()).ok().filter(|digits| digits.len() == 16)?;
    if !is_service || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    Some(Instance::from_bytes(u64::from_str_radix(digits, 16).ok()?.to_be_bytes()))
}

fn address(record: &ResourceRecord<'_>) -> Option<IpAddr> {
    match record.rdata {
        RData::A(A { address }) => Some(std::net::Ipv4Addr::from_bits(address).into()),
        RData::AAAA(AAAA { address }) => Some(std::net::Ipv6Addr::from_bits(address).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SENDER: Instance = Instance::from_bytes([0xa0, 1, 2, 3, 4, 5, 6, 7]);
    const BEACON: Beacon =
        Beacon { kind: BeaconKind::Announce, port: 48_556, instance: SENDER, revision: 0x0102_0304 };

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_announced_is_heard() {
        let addresses = ips(&["10.0.0.7", "2001:db8::7", "fe80::7"]);
        for kind in [BeaconKind::Announce, BeaconKind::Farewell] {
            let beacon = Beacon { kind, ..BEACON };
            let message = announcement(&beacon, &addresses).unwrap();
            assert!(message.len() <= 300, "{}", message.len());
            assert_eq!(heard(&message), addresses.iter().map(|ip| (*ip, beacon)).collect::<Vec<_>>());
            assert!(!asks(&message, SENDER), "it is no question");
        }
    }

    #[test]
    fn the_records_say_what_a_beacon_says_and_no_more() {
        let message = announcement(&BEACON, &ips(&["10.0.0.7"])).unwrap();
        let packet = Packet::parse(&message).unwrap();
        assert!(packet.questions.is_empty() && packet.additional_records.is_empty() && packet.id() == 0);
        let shown: Vec<String> = packet
            .answers
            .iter()
            .map(|it| format!("{} {:?} {}", it.name, it.rdata.type_code(), it.ttl))
            .collect();
        let of_service = "a001020304050607._deaddrop._tcp.local";
        assert_eq!(
            shown,
            [
                "_deaddrop._tcp.local PTR 40".to_owned(),
                format!("{of_service} SRV 40"),
                format!("{of_service} TXT 40"),
                "a001020304050607.local A 40".to_owned(),
            ]
        );
        let RData::TXT(txt) = &packet.answers[2].rdata else { panic!() };
        assert_eq!(txt.iter_raw().map(|(key, value)| (key.len(), value)).collect::<Vec<_>>(), []);
        let flushed: Vec<bool> = packet.answers.iter().map(|record| record.cache_flush).collect();
        assert_eq!(flushed, [false, true, true, true]);
    }

    #[test]
    fn a_question_is_answered_unless_the_answer_is_known() {
        let message = question().unwrap();
        assert!(asks(&message, SENDER) && heard(&message).is_empty());
        let mut packet = Packet::parse(&message).unwrap();
        let known =
            |ttl| ResourceRecord::new(service(), CLASS::IN, ttl, RData::PTR(PTR(instance_name(SENDER))));
        packet.answers.push(known(20));
        let message = packet.build_bytes_vec_compressed().unwrap();
        assert!(!asks(&message, SENDER) && asks(&message, Instance::from_bytes([9; 8])));
        packet.answers = vec![known(19)];
        assert!(
            asks(&packet.build_bytes_vec().unwrap(), SENDER),
            "it is known for less than half of its time"
        );
        // By its names, which a browser of other services asks for.
        let asked = |name: Name<'static>, of: TYPE| {
            let mut packet = Packet::new_query(7);
            packet.questions.push(Question::new(name, of.into(), CLASS::IN.into(), true));
            asks(&packet.build_bytes_vec().unwrap(), SENDER)
        };
        assert!(asked(instance_name(SENDER), TYPE::SRV) && asked(instance_name(SENDER), TYPE::TXT));
        assert!(!asked(instance_name(SENDER), TYPE::A) && !asked(service(), TYPE::SRV));
        assert!(!asked(instance_name(Instance::from_bytes([9; 8])), TYPE::SRV));
    }

    #[test]
    fn names_that_are_no_senders_are_passed_over() {
        for (labels, expected) in [
            (["A001020304050607", "_DeadDrop", "_TCP", "LOCAL"].as_slice(), Some(SENDER)),
            (&["a00102030405060", "_deaddrop", "_tcp", "local"], None),
            (&["+001020304050607", "_deaddrop", "_tcp", "local"], None),
            (&["Our printer 1234", "_deaddrop", "_tcp", "local"], None),
            (&["a001020304050607", "_ipp", "_tcp", "local"], None),
            (&["a001020304050607", "_deaddrop", "_tcp", "local", "example"], None),
            (&["_deaddrop", "_tcp", "local"], None),
        ] {
            assert_eq!(instance_of(&name(labels.iter().map(|it| (*it).into()))), expected, "{labels:?}");
        }
    }

    /// A message with the records of several senders, each with several addresses.
    fn crowd(senders: u8, addresses: u8) -> Vec<u8> {
        let mut packet = reply();
        for n in 0..senders {
            let instance = Instance::from_bytes([n; 8]);
            let srv = SRV { priority: 0, weight: 0, port: 48_556, target: host_name(instance) };
            packet.answers.push(ResourceRecord::new(instance_name(instance), CLASS::IN, 40, RData::SRV(srv)));
            for m in 0..addresses {
                let address = u32::from_be_bytes([10, 0, n, m]);
                let record = ResourceRecord::new(host_name(instance), CLASS::IN, 40, RData::A(A { address }));
                packet.additional_records.push(record);
            }
        }
        packet.build_bytes_vec_compressed().unwrap()
    }

    #[test]
    fn one_message_is_worth_a_few_beacons() {
        assert_eq!(heard(&crowd(2, 2)).len(), 4);
        assert_eq!(heard(&crowd(9, 1)).len(), HEARD_MAX);
        assert_eq!(heard(&crowd(1, 31)).len(), HEARD_MAX);
        assert_eq!(heard(&crowd(1, 32)).len(), 0, "33 records");
        let mut long = crowd(2, 2);
        long.resize(MESSAGE_MAX, 0);
        assert_eq!(heard(&long).len(), 4);
        long.push(0);
        assert_eq!(heard(&long).len(), 0);
        // A header alone that promises 4 times 65,535 of them.
        let mut promise = [0xff; HEADER].to_vec();
        promise.extend(b"\x09_deaddrop");
        assert!(parse(&promise).is_none() && heard(&promise).is_empty() && !asks(&promise, SENDER));
        assert_eq!(
            announcement(&BEACON, &[IpAddr::from([10, 0, 0, 7]); 40]).map(|it| heard(&it).len()).ok(),
            Some(8)
        );
    }

    #[test]
    fn names_that_point_at_themselves_end() {
        let good = announcement(&BEACON, &ips(&["10.0.0.7"])).unwrap();
        let pointers: Vec<usize> = (0..good.len()).filter(|at| good[*at] & 0xc0 == 0xc0).collect();
        assert!(!pointers.is_empty());
        for at in pointers {
            for to in 0..good.len() {
                let mut bad = good.clone();
                let [high, low] = u16::try_from(0xc000 | to).unwrap().to_be_bytes();
                bad[at] = high;
                if let Some(byte) = bad.get_mut(at + 1) {
                    *byte = low;
                }
                assert!(heard(&bad).len() <= 1);
                asks(&bad, SENDER);
            }
        }
    }

    proptest! {
        /// Whatever arrives is read without harm: random bytes, and messages of which some are changed or cut off.
        #[test]
        fn anything_is_read_without_harm(
            noise in proptest::collection::vec(any::<u8>(), 0..600),
            changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8),
            len in any::<usize>(),
            which in 0..3,
        ) {
            let mut message = match which {
                0 => question().unwrap(),
                1 => announcement(&BEACON, &ips(&["10.0.0.7", "fe80::7"])).unwrap(),
                _ => crowd(8, 2),
            };
            for (at, byte) in changes {
                let at = at % message.len();
                message[at] = byte;
            }
            message.truncate(len % (message.len() * 2));
            let mut marked = noise.clone();
            marked.splice(0..noise.len().min(HEADER), [0, 0, 0x84, 0, 0, 4, 0, 4, 0, 0, 0, 4]);
            marked.extend(b"\x09_deaddrop");
            for bytes in [&noise, &message, &marked] {
                prop_assert!(heard(bytes).len() <= HEARD_MAX);
                asks(bytes, SENDER);
            }
        }
    }
}
