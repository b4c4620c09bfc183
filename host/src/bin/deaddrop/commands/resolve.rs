//! The places that `--from` names, with the addresses of those that are named by a host name.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use deaddrop::{Address, Place, Receiver};
use smol::{Timer, future};

use crate::cli::{Host, Named};
use crate::exit::Failure;
use crate::signals::Signals;
use crate::ui::{Event, Ui};

/// How long the system may take to resolve a name.
const WITHIN: Duration = Duration::from_secs(5);

/// The places. A name that is not found is passed over with a warning if another place is left.
pub(super) async fn places(ui: &Ui, signals: &Signals, named: &[Named]) -> Result<Vec<Place>, Failure> {
    let (places, unresolved) = look_up_all(signals, named).await?;
    for message in unresolved {
        if places.is_empty() {
            return Err(Failure::unreachable(message));
        }
        ui.show(&Event::Warning { code: "name-not-found", message: &message }).await?;
    }
    Ok(places)
}

/// The places, and for each name that is not found what to say of it.
pub(super) async fn look_up_all(
    signals: &Signals,
    named: &[Named],
) -> Result<(Vec<Place>, Vec<String>), Failure> {
    let names = named.iter().filter_map(|Named { host, .. }| match host {
        Host::Name(name) => Some(name.clone()),
        Host::Address(_) | Host::Here => None,
    });
    let resolved = all_resolved(names, WITHIN, look_up);
    let resolved = future::or(async { Err(signals.wait().await) }, async { Ok(resolved.await) }).await?;
    let mut resolved = resolved.into_iter();
    let mut places = Vec::new();
    let mut unresolved = Vec::new();
    for Named { host, port } in named {
        let addresses = match host {
            Host::Address(address) => Ok(vec![*address]),
            Host::Here => Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
            Host::Name(_) => resolved.next().unwrap_or_else(|| Ok(Vec::new())),
        };
        match addresses {
            Ok(addresses) => places.push(Place::new(addresses, *port)),
            Err(message) => unresolved.push(message),
        }
    }
    Ok((places, unresolved))
}

/// The places that can be asked. Another is passed over with a warning if one is left.
pub(super) async fn askable(ui: &Ui, receiver: &Receiver, places: Vec<Place>) -> Result<Vec<Place>, Failure> {
    let (mut askable, mut refused) = (Vec::new(), Vec::new());
    for place in places {
        match receiver.can_ask(&place) {
            Ok(()) => askable.push(place),
            Err(error) => refused.push(Failure::from(error)),
        }
    }
    for failure in refused {
        if askable.is_empty() {
            return Err(failure);
        }
        ui.show(&Event::Warning { code: "sender-not-usable", message: &failure.message }).await?;
    }
    Ok(askable)
}

/// Asks the system: its table of hosts, multicast DNS and name servers, as it is set up.
fn look_up(name: &str) -> std::io::Result<Vec<SocketAddr>> {
    (name, 0).to_socket_addrs().map(Iterator::collect)
}

/// The addresses of the machines with these names, in the order of the names. All are looked up at once, within that time
/// together.
async fn all_resolved(
    names: impl Iterator<Item = String>,
    within: Duration,
    look_up: impl Fn(&str) -> std::io::Result<Vec<SocketAddr>> + Clone + Send + 'static,
) -> Vec<Result<Vec<Address>, String>> {
    let until = Instant::now() + within;
    let begin = |name: String| {
        let (asked, look_up) = (name.clone(), look_up.clone());
        (name, smol::unblock(move || look_up(&asked)))
    };
    let begun: Vec<_> = names.map(begin).collect();
    let mut resolved = Vec::new();
    for (name, found) in begun {
        let late = async {
            Timer::at(until).await;
            None
        };
        // What was found in time counts, although it is looked at late.
        let found = future::or(async { Some(found.await) }, late).await;
        resolved.push(addresses(&name, within, found));
    }
    resolved
}

/// The addresses of a machine with this name, each once, in the order in which they are to be tried: the system's. A
/// message for a person if there is none, or nothing was found within that time.
///
/// A look-up cannot be stopped, so that it goes on in its thread.
fn addresses(
    name: &str,
    within: Duration,
    found: Option<std::io::Result<Vec<SocketAddr>>>,
) -> Result<Vec<Address>, String> {
    let advice = "check the name, or give the sender's address";
    let found = match found {
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
    use std::sync::{Arc, Barrier, Mutex, mpsc};

    use super::*;

    fn resolve(
        within: Duration,
        look_up: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Clone + Send + 'static,
    ) -> Result<Vec<Address>, String> {
        let name = std::iter::once("bob.local".into());
        smol::block_on(all_resolved(name, within, look_up)).remove(0)
    }

    #[test]
    fn all_addresses_of_a_name_are_kept_in_order_and_once() {
        let texts = ["[2001:db8::7]:0", "10.0.0.7:0", "[::ffff:10.0.0.7]:0", "[fe80::1%1]:0", "0.0.0.0:0"];
        let found = texts.map(|text| text.parse().unwrap()).to_vec();
        let addresses = resolve(WITHIN, move |name| {
            assert_eq!(name, "bob.local");
            Ok(found.clone())
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
        let ended = Arc::new(Mutex::new(ended));
        let late = resolve(Duration::from_millis(1), move |_| {
            // Until the test ends.
            let _ = ended.lock().unwrap().recv();
            Ok(Vec::new())
        });
        assert!(late.unwrap_err().contains("no answer within"));
        drop(end);
    }

    #[test]
    fn all_names_are_looked_up_at_once() {
        // Each look-up ends when all have begun.
        let begun = Arc::new(Barrier::new(3));
        let names = ["a.test", "b.test", "c.test"];
        let found = smol::block_on(all_resolved(names.map(Into::into).into_iter(), WITHIN, move |name| {
            begun.wait();
            Ok(vec![SocketAddr::from(([10, 0, 0, name.as_bytes()[0]], 0))])
        }));
        let expected = [b'a', b'b', b'c'].map(|last| Ok(vec![Ipv4Addr::new(10, 0, 0, last).into()]));
        assert_eq!(found, expected, "in the order of the names");
    }
}
