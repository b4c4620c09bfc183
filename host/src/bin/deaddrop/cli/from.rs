//! The value of `--from`: where senders may be.

use std::str::FromStr;

use deaddrop::{Address, AddressError};

use super::values::any_port;

/// What would be accepted.
const EXAMPLES: &str = "give an address or a name, with or without a port, such as 192.168.1.7:48556, \
                        [fe80::1%eth0]:48556 or bob.local";
/// What is missing where a port follows an IPv6 address.
const BRACKETS: &str = "put an IPv6 address in brackets before its port, such as [fe80::1%eth0]:48556";
/// The longest host name, in bytes (RFC 1035, section 2.3.4).
const NAME_MAX: usize = 253;
/// The longest part of one between two dots.
const LABEL_MAX: usize = 63;

/// The senders named by `--from`, separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct From(pub(crate) Vec<Named>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The machine.
    pub(crate) host: Host,
    /// The sender's port, if one was given.
    pub(crate) port: Option<u16>,
}

/// A machine as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// By its address.
    Address(Address),
    /// This machine.
    Here,
    /// By a name that the system resolves.
    Name(String),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some((scheme, rest)) = text.split_once("://") {
            return Err(format!("leave out {scheme}:// and give {}", rest.trim_end_matches('/')));
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']').ok_or(EXAMPLES)?;
            let host = Host::Address(address_of(address)?.ok_or(EXAMPLES)?);
            let port = match port.strip_prefix(':') {
                Some(port) => Some(any_port(port)?),
                None if port.is_empty() => None,
                None => return Err(EXAMPLES.into()),
            };
            return Ok(Self { host, port });
        }
        if text.split_once('%').is_some_and(|(_, zone)| zone.contains(':')) {
            return Err(BRACKETS.into());
        }
        if let Some(address) = address_of(text)? {
            return Ok(Self { host: Host::Address(address), port: None });
        }
        match text.split_once(':') {
            // Of an IPv6 address with a port nobody can tell where the address ends.
            Some((_, port)) if port.contains(':') => Err(BRACKETS.into()),
            Some((host, port)) => Ok(Self { host: host.parse()?, port: Some(any_port(port)?) }),
            None => Ok(Self { host: text.parse()?, port: None }),
        }
    }
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("localhost") {
            return Ok(Self::Here);
        }
        if let Some(address) = address_of(text)? {
            return Ok(Self::Address(address));
        }
        // Of digits and dots it is an address that was mistyped. The system would read some of those as addresses of
        // another kind, 10.1 as 10.0.0.1.
        let mistyped = text.chars().all(|c| c.is_ascii_digit() || c == '.');
        if mistyped || !is_host_name(text) {
            return Err(EXAMPLES.into());
        }
        Ok(Self::Name(text.into()))
    }
}

/// The address that the text is; `None` if it is something else.
fn address_of(text: &str) -> Result<Option<Address>, String> {
    match text.parse::<Address>() {
        Ok(address) if address.is_one_machine() => Ok(Some(address)),
        Ok(_) => Err("that is not the address of one machine".into()),
        Err(AddressError::Malformed) => Ok(None),
        Err(AddressError::NoSuchZone(zone)) => Err(format!(
            "this machine has no interface {zone}: what follows % is the interface of this machine behind which the \
             sender is"
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether a name server could know the name. It may end with a dot.
fn is_host_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        let fit = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        (1..=LABEL_MAX).contains(&label.len()) && label.chars().all(fit)
    };
    text.len() <= NAME_MAX && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn one(text: &str) -> Result<Named, String> {
        text.parse::<From>().map(|From(named)| {
            assert_eq!(named.len(), 1, "{text}");
            named.into_iter().next().unwrap()
        })
    }

    fn at(host: Host, port: Option<u16>) -> Result<Named, String> {
        Ok(Named { host, port })
    }

    fn v4() -> Host {
        Host::Address(Ipv4Addr::new(10, 0, 0, 7).into())
    }

    fn refusal(text: &str) -> String {
        text.parse::<From>().unwrap_err()
    }

    #[test]
    fn a_sender_is_an_address_with_or_without_a_port() {
        let v6 = || Host::Address("2001:db8::7".parse::<Ipv6Addr>().unwrap().into());
        let zoned = || Host::Address("fe80::1%lo".parse().unwrap());
        assert_eq!(one("10.0.0.7"), at(v4(), None));
        assert_eq!(one("10.0.0.7:48557"), at(v4(), Some(48_557)));
        assert_eq!(one("2001:db8::7"), at(v6(), None));
        assert_eq!(one("[2001:db8::7]"), at(v6(), None));
        assert_eq!(one("[2001:db8::7]:48557"), at(v6(), Some(48_557)));
        assert_eq!(one("fe80::1%lo"), at(zoned(), None));
        assert_eq!(one("[fe80::1%lo]:1"), at(zoned(), Some(1)));
        for bad in [
            "",
            "10.0.0",
            "10.1",
            "10.0.0.7:",
            "10.0.0.7:0",
            "[10.0.0.7",
            "[::1]48556",
            "[::1]:",
            "[]",
            "[host]:1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "ff02::1",
            "[ff12::4444:5250%lo]:48556",
        ] {
            assert!(one(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sender_may_be_written_as_people_write_it() {
        let name = |name: &str| Host::Name(name.into());
        assert_eq!(one("localhost"), at(Host::Here, None));
        assert_eq!(one("LocalHost:48557"), at(Host::Here, Some(48_557)));
        assert_eq!(one(" 127.0.0.1:48556\n"), at(Host::Address(Ipv4Addr::LOCALHOST.into()), Some(48_556)));
        assert_eq!(one("bob.local"), at(name("bob.local"), None));
        assert_eq!(one("bob:48556"), at(name("bob"), Some(48_556)));
        assert_eq!(one("büro-3.example."), at(name("büro-3.example."), None));
        for bad in ["bob local", "bob..local", ".", "-\u{1b}[2J", "bob/", "bob@host", &"x".repeat(64)] {
            assert_eq!(refusal(bad), EXAMPLES, "{bad}");
        }
    }

    #[test]
    fn several_senders_are_separated_by_commas() {
        let From(named) = " 10.0.0.7:1, bob.local ,[::1]:2".parse().unwrap();
        let ports: Vec<_> = named.iter().map(|named| named.port).collect();
        assert_eq!(ports, [Some(1), None, Some(2)]);
        assert_eq!(named[0].host, v4());
        assert!("10.0.0.7,".parse::<From>().is_err());
    }

    #[test]
    fn a_refusal_says_what_to_change() {
        assert_eq!(refusal("tcp://10.9.0.1:48556/"), "leave out tcp:// and give 10.9.0.1:48556");
        assert!(refusal("2001:db8::7:48556:x").contains("brackets"));
        // The system would take what follows the colon for a label, and the port would be lost.
        assert_eq!(refusal("fe80::1%lo:48600"), BRACKETS);
        assert!(refusal("[fe80::1%lo:junk]:48600").contains("no interface lo:junk"));
        assert!(refusal("fe80::1%nosuch").contains("no interface nosuch"));
        assert!(refusal("[2001:db8::7%lo]:1").contains("leave out %"));
        assert!(refusal("10.0.0").contains("192.168.1.7:48556"));
    }
}
