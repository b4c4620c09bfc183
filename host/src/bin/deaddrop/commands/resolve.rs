//! The places that `--from` names, with the addresses of those that are named by a host name.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use deaddrop::{Address, Place};
use smol::{Timer, future};

use crate::cli::{Host, Named};
use crate::exit::Failure;
use crate::signals::Signals;
use crate::ui::{Event, Ui};

/// How long the system may take to resolve a name.
const WITHIN: Duration = Duration::from_secs(5);

/// The places. A name that is not found is passed over with a warning if another place is left.
pub(super) async fn places(ui: &Ui, signals: &Signals, named: &[Named]) -> Result<Vec<Place>, Failure> {
    let mut places = Vec::new();
    let mut unresolved = Vec::new();
    for Named { host, port } in named {
        let addresses = match host {
            Host::Address(address) => Ok(vec![*address]),
            Host::Here => Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
            Host::Name(name) => {
                let resolved = resolved(name.clone(), WITHIN, look_up);
                future::or(async { Err(signals.wait().await) }, async { Ok(resolved.await) }).await?
            }
        };
        match addresses {
            Ok(addresses) => places.push(Place::new(addresses, *port)),
            Err(message) => unresolved.push(message),
        }
    }
    for message in unresolved {
        if places.is_empty() {
            return Err(Failure::unreachable(message));
        }
        ui.show(&Event::Warning { code: "name-not-found", message: &message }).await?;
    }
    Ok(places)
}

/// Asks the system: its table of hosts, multicast DNS and name servers, as it is set up.
fn look_up(name: &str) -> std::io::Result<Vec<SocketAddr>> {
    (name, 0).to_socket_addrs().map(Iterator::collect)
}

/// The addresses of a machine with this name, each once, in the order in which they are to be tried: the system's. A
/// message for a person if there is none within that time.
///
/// The look-up cannot be stopped, so that it goes on in its thread.
async fn resolved(
    name: String,
    within: Duration,
    look_up: impl FnOnce(&str) -> std::io::Result<Vec<SocketAddr>> + Send + 'static,
) -> Result<Vec<Address>, String> {
    let asked = name.clone();
    let found = async { Some(smol::unblock(move || look_up(&asked)).await) };
    let late = async {
        Timer::after(within).await;
        None
    };
    let advice = "check the name, or give the sender's address";
    let found = match future::or(found, late).await {
        Some(Ok(found)) => found,
        Some(Err(error)) => return Err(format!("{name} is not found: {error}; {advice}")),
        None => {
            return Err(format!("{name} is not found: no answer within {} s; {advice}", within.as_secs()));
        }
    };
    let mut addresses: Vec<Address> = Vec::new();
    for address in found.into_iter().map(Address::from).filter(Address::is_one_machine) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        Err(format!("{name} has no address of a machine: {advice}"))
    } else {
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc;

    use super::*;

    fn resolve(
        within: Duration,
        look_up: impl FnOnce(&str) -> io::Result<Vec<SocketAddr>> + Send + 'static,
    ) -> Result<Vec<Address>, String> {
        smol::block_on(resolved("bob.local".into(), within, look_up))
    }

    #[test]
    fn all_addresses_of_a_name_are_kept_in_order_and_once() {
        let texts = ["[2001:db8::7]:0", "10.0.0.7:0", "[::ffff:10.0.0.7]:0", "[fe80::1%1]:0", "0.0.0.0:0"];
        let found = texts.map(|text| text.parse().unwrap()).to_vec();
        let addresses = resolve(WITHIN, move |name| {
            assert_eq!(name, "bob.local");
            Ok(found)
        });
        let shown: Vec<String> = addresses.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["2001:db8::7", "10.0.0.7", "fe80::1%lo"]);
    }

    #[test]
    fn a_name_without_an_address_says_so() {
        let refused = resolve(WITHIN, |_| Err(io::Error::other("no such name")));
        assert_eq!(
            refused.unwrap_err(),
            "bob.local is not found: no such name; check the name, or give the sender's address"
        );
        assert!(resolve(WITHIN, |_| Ok(Vec::new())).unwrap_err().contains("has no address"));
    }

    #[test]
    fn a_name_server_that_is_silent_is_not_waited_for() {
        let (end, ended) = mpsc::channel::<()>();
        let late = resolve(Duration::from_millis(1), move |_| {
            // Until the test ends.
            let _ = ended.recv();
            Ok(Vec::new())
        });
        assert!(late.unwrap_err().contains("no answer within"));
        drop(end);
    }
}
