//! The address of a machine, with its zone where it has one (RFC 4007, RFC 9844).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;
use std::str::FromStr;

pub(crate) use crate::platform::interface_index as index_of;
use crate::platform::interface_name as name_of;

/// The address of a machine: IPv4 or IPv6. A link-local IPv6 address is of use only together with the interface behind
/// which it is, its zone.
///
/// It is read and written as people do, `192.168.1.7` or `fe80::1%eth0`. The number of the interface stands in place of
/// its name where the system has none.
///
/// ```
/// use deaddrop::Address;
///
/// let address: Address = "fe80::1%lo".parse()?;
/// assert_eq!(address.to_string(), "fe80::1%lo");
/// assert_eq!(address.at(48_556).port(), 48_556);
/// assert!("fe80::1%nosuch".parse::<Address>().is_err());
/// # Ok::<(), deaddrop::AddressError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    ip: IpAddr,
    /// The number of the interface of a link-local IPv6 address, if it is known; 0 for every other.
    zone: u32,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// It is neither an IPv4 nor an IPv6 address.
    Malformed,
    /// There is no interface with this name or number.
    NoSuchZone(String),
    /// It names a zone, and the address is not link-local.
    NeedlessZone(IpAddr),
}

impl Address {
    /// The zone: the number of the interface behind which a link-local IPv6 address is, if it is known.
    pub fn zone(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.zone)
    }

    /// The address without its zone.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The same address behind the interface with this number. Changes only a link-local IPv6 address.
    #[must_use]
    pub fn behind(self, interface: u32) -> Self {
        Self { zone: if self.is_link_local() { interface } else { 0 }, ..self }
    }

    /// A port there.
    pub fn at(&self, port: u16) -> SocketAddr {
        match self.ip {
            IpAddr::V4(ip) => (ip, port).into(),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, self.zone).into(),
        }
    }

    /// Whether it is an IPv6 address that is valid on one link alone.
    pub fn is_link_local(&self) -> bool {
        matches!(self.ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
    }

    /// Whether it is this machine itself.
    pub fn is_loopback(&self) -> bool {
        self.ip.is_loopback()
    }

    /// Whether it can be that of one machine.
    pub fn is_one_machine(&self) -> bool {
        let broadcast = matches!(self.ip, IpAddr::V4(ip) if ip.is_broadcast());
        !(broadcast || self.ip.is_unspecified() || self.ip.is_multicast())
    }

    /// Its place among several addresses of one machine, the best first: IPv4, which needs no zone and is the shortest;
    /// then IPv6 that is valid on every link; then link-local IPv6; loopback last, which nobody else can use.
    pub fn rank(&self) -> u8 {
        match self.ip {
            ip if ip.is_loopback() => 3,
            IpAddr::V4(_) => 0,
            IpAddr::V6(_) if self.is_link_local() => 2,
            IpAddr::V6(_) => 1,
        }
    }

    /// The addresses that a machine has `now`, if they are others than those that were `told` before; notes them then. Their
    /// order means nothing: that of the system changes with time.
    pub(crate) fn others(told: &mut Vec<Self>, now: Vec<Self>) -> Option<Vec<Self>> {
        let same = told.len() == now.len() && now.iter().all(|address| told.contains(address));
        if same {
            return None;
        }
        told.clone_from(&now);
        Some(now)
    }

    /// The address as core's guards count it. Core knows no zones; the 54 bits behind the prefix of a link-local address
    /// are zero (RFC 4291, section 2.5.6), and the zone goes there. So two hosts that have the same address on two links
    /// are two sources.
    pub(crate) fn to_source(self) -> IpAddr {
        match self.ip {
            IpAddr::V6(ip) if self.zone != 0 => {
                Ipv6Addr::from_bits(ip.to_bits() | u128::from(self.zone) << ZONE_SHIFT).into()
            }
            ip => ip,
        }
    }

    /// The address of a source that core's guard names.
    pub(crate) fn from_source(source: IpAddr) -> Self {
        match source {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => {
                let zone = u128::from(u32::MAX) << ZONE_SHIFT;
                let number = u32::try_from((ip.to_bits() & zone) >> ZONE_SHIFT).unwrap_or(0);
                Self::from(IpAddr::from(Ipv6Addr::from_bits(ip.to_bits() & !zone))).behind(number)
            }
            ip => Self::from(ip),
        }
    }
}

/// The lowest bit of the zone in the source of a link-local address: above the 64 bits of the interface identifier.
const ZONE_SHIFT: u32 = 64;

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self { ip: ip.to_canonical(), zone: 0 }
    }
}

impl From<Ipv4Addr> for Address {
    fn from(ip: Ipv4Addr) -> Self {
        IpAddr::from(ip).into()
    }
}

impl From<Ipv6Addr> for Address {
    fn from(ip: Ipv6Addr) -> Self {
        IpAddr::from(ip).into()
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let zone = if let SocketAddr::V6(v6) = address { v6.scope_id() } else { 0 };
        Self::from(address.ip()).behind(zone)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ip)?;
        match self.zone() {
            Some(zone) => write!(f, "%{}", Zone(zone.get())),
            None => Ok(()),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (ip, zone) = match text.split_once('%') {
            Some((ip, zone)) => (ip, Some(zone)),
            None => (text, None),
        };
        let address = Self::from(ip.parse::<IpAddr>().map_err(|_| AddressError::Malformed)?);
        let Some(zone) = zone else { return Ok(address) };
        if !address.is_link_local() {
            return Err(AddressError::NeedlessZone(address.ip));
        }
        // The system takes what follows a colon for a label of the interface, and passes over it.
        let known = if zone.contains(':') { None } else { index_of(zone) };
        let number = known.or_else(|| zone.parse().ok().filter(|number| name_of(*number).is_some()));
        Ok(address.behind(number.ok_or_else(|| AddressError::NoSuchZone(zone.into()))?))
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("this is neither an IPv4 nor an IPv6 address"),
            Self::NoSuchZone(zone) => write!(f, "this machine has no interface {zone}"),
            Self::NeedlessZone(ip) => {
                write!(f, "{ip} is not link-local, so it has no zone: leave out % and what follows")
            }
        }
    }
}

impl std::error::Error for AddressError {}

/// An address and a port, written with the zone: `192.168.1.7:48556` or `[fe80::1%eth0]:48556`.
///
/// ```
/// use deaddrop::Endpoint;
///
/// assert_eq!(Endpoint(([10, 0, 0, 7], 48_556).into()).to_string(), "10.0.0.7:48556");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint(pub SocketAddr);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Address::from(self.0);
        match address.ip {
            IpAddr::V4(_) => write!(f, "{address}:{}", self.0.port()),
            IpAddr::V6(_) => write!(f, "[{address}]:{}", self.0.port()),
        }
    }
}

/// An interface as a zone: its name, or its number where the name could be taken for something else.
struct Zone(u32);

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
        match name_of(self.0).filter(|name| !name.is_empty() && name.chars().all(plain)) {
            Some(name) => f.write_str(&name),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lo() -> u32 {
        index_of("lo").unwrap()
    }

    #[test]
    fn addresses_are_written_as_they_are_read() {
        for text in ["10.0.0.7", "::1", "2001:db8::7", "fe80::1", "fe80::1%lo"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        let by_number: Address = format!("fe80::1%{}", lo()).parse().unwrap();
        assert_eq!(by_number.to_string(), "fe80::1%lo");
        assert_eq!("::ffff:10.0.0.7".parse::<Address>().unwrap().to_string(), "10.0.0.7");
        let far = Address::from("fe80::1".parse::<Ipv6Addr>().unwrap()).behind(4_000_000);
        assert_eq!(far.to_string(), "fe80::1%4000000", "an interface that is gone");
    }

    #[test]
    fn what_is_no_address_is_told_apart() {
        for text in ["", "host", "10.0.0", "fe80::1%%", "%lo", "[::1]", "fe80::1%"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        assert_eq!("fe80::1%nosuch".parse::<Address>(), Err(AddressError::NoSuchZone("nosuch".into())));
        assert_eq!("fe80::1%0".parse::<Address>(), Err(AddressError::NoSuchZone("0".into())));
        for zone in ["lo:48600", "lo:", "lo:junk"] {
            assert_eq!(
                format!("fe80::1%{zone}").parse::<Address>(),
                Err(AddressError::NoSuchZone(zone.into()))
            );
        }
        for text in ["2001:db8::7%lo", "10.0.0.7%lo"] {
            assert!(matches!(text.parse::<Address>(), Err(AddressError::NeedlessZone(_))), "{text}");
        }
    }

    #[test]
    fn a_port_stands_behind_brackets() {
        let shown = |text: &str| Endpoint(text.parse::<Address>().unwrap().at(48_556)).to_string();
        assert_eq!(shown("10.0.0.7"), "10.0.0.7:48556");
        assert_eq!(shown("2001:db8::7"), "[2001:db8::7]:48556");
        assert_eq!(shown("fe80::1%lo"), "[fe80::1%lo]:48556");
    }

    #[test]
    fn the_same_address_on_two_links_is_two_sources() {
        let on = |zone| Address::from("fe80::1".parse::<Ipv6Addr>().unwrap()).behind(zone);
        assert_ne!(on(1).to_source(), on(2).to_source());
        for address in
            [on(0), on(7), on(u32::MAX), "2001:db8::7".parse().unwrap(), "10.0.0.7".parse().unwrap()]
        {
            assert_eq!(Address::from_source(address.to_source()), address, "{address:?}");
        }
        let IpAddr::V6(source) = on(u32::MAX).to_source() else { panic!() };
        assert!(source.is_unicast_link_local(), "core still counts it by itself, and not by its /64");
    }

    #[test]
    fn addresses_are_told_again_when_they_are_others() {
        let of =
            |texts: &[&str]| -> Vec<Address> { texts.iter().map(|text| text.parse().unwrap()).collect() };
        let mut told = of(&["10.0.0.7", "127.0.0.1"]);
        assert_eq!(Address::others(&mut told, of(&["127.0.0.1", "10.0.0.7"])), None);
        for now in [&["10.0.0.8", "127.0.0.1"][..], &["127.0.0.1"], &["10.0.0.8", "127.0.0.1"], &[]] {
            assert_eq!(Address::others(&mut told, of(now)), Some(of(now)));
            assert_eq!(Address::others(&mut told, of(now)), None);
        }
    }

    #[test]
    fn the_best_address_is_the_one_that_needs_least() {
        let mut addresses = ["::1", "fe80::1%lo", "127.0.0.1", "2001:db8::7", "10.0.0.7"]
            .map(|text| text.parse::<Address>().unwrap());
        addresses.sort_by_key(Address::rank);
        assert_eq!(addresses.map(|address| address.rank()), [0, 1, 2, 3, 3]);
    }

    #[test]
    fn many_machines_are_not_one() {
        for many in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "ff02::1"] {
            assert!(!many.parse::<Address>().unwrap().is_one_machine(), "{many}");
        }
    }
}
