//! Which clients are on a link of this machine: the guard counts each of those by itself (protocol.md, section 4.5).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use deaddrop_core::guard::Source;
use deaddrop_core::time::Instant;

use super::interfaces::{Interface, interfaces};
use crate::address::Address;
use crate::clock;

/// How long what the system has said of its interfaces is taken for true, so that a flood of connections does not ask it
/// each time.
const FRESH: Duration = Duration::from_secs(1);

/// This machine's interfaces, as the system has named them last.
#[derive(Default)]
pub(crate) struct Neighbours {
    interfaces: Vec<Interface>,
    stale_at: Option<Instant>,
}

impl Neighbours {
    /// What a connection from there is counted with.
    pub(crate) fn source(&mut self, from: SocketAddr) -> Source {
        self.source_by(clock::now(), from, interfaces)
    }

    fn source_by(
        &mut self,
        now: Instant,
        from: SocketAddr,
        read: impl FnOnce() -> io::Result<Vec<Interface>>,
    ) -> Source {
        let address = Address::from(from);
        let source = address.to_source();
        // The others count by themselves wherever they are.
        if address.ip().is_ipv4() || address.is_link_local() {
            return source.into();
        }
        if self.stale_at.is_none_or(|at| at <= now) {
            self.stale_at = Some(now + FRESH);
            // What the system does not say now has most likely not changed.
            self.interfaces = read().unwrap_or_else(|_| std::mem::take(&mut self.interfaces));
        }
        if self.interfaces.iter().any(|interface| interface.attached(from)) {
            Source::on_link(source)
        } else {
            source.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lan(prefix: &str) -> io::Result<Vec<Interface>> {
        Ok(vec![Interface::for_tests("a", 2, &[("fe80::1", 64), (prefix, 64)])])
    }

    #[test]
    fn a_host_that_shares_a_prefix_counts_by_itself_and_another_with_its_network() {
        let mut neighbours = Neighbours::default();
        let mut source = |from: &str| {
            let from: SocketAddr = from.parse().unwrap();
            (neighbours.source_by(Instant::from_millis(0), from, || lan("2001:db8::1")), from.ip())
        };
        for near in ["[2001:db8::7]:1", "[2001:db8::8]:1"] {
            let (source, ip) = source(near);
            assert_eq!(source, Source::on_link(ip), "{near}");
        }
        for far in ["[2001:db8:0:1::7]:1", "10.0.0.7:1", "[fe80::7%2]:1"] {
            let (source, _) = source(far);
            assert_eq!(
                source,
                Source::from(Address::from(far.parse::<SocketAddr>().unwrap()).to_source()),
                "{far}"
            );
        }
    }

    #[test]
    fn the_system_is_asked_again_after_a_second_and_no_sooner() {
        let mut neighbours = Neighbours::default();
        let from: SocketAddr = "[2001:db8::7]:1".parse().unwrap();
        let (near, far) = (Source::on_link(from.ip()), Source::from(from.ip()));
        let mut source = |ms, found| neighbours.source_by(Instant::from_millis(ms), from, move || found);
        assert_eq!(source(0, lan("2001:db8:9::1")), far);
        assert_eq!(source(999, lan("2001:db8::1")), far);
        assert_eq!(source(1_000, lan("2001:db8::1")), near);
        assert_eq!(source(2_000, Err(io::Error::other("no"))), near, "as it was");
        assert_eq!(source(3_000, lan("2001:db8:9::1")), far);
    }
}
