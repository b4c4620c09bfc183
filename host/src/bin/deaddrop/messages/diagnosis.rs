//! The last sentence of `deaddrop doctor`: what is most likely in the way, and what to do about it.

use deaddrop::diagnosis::{Closed, Contact, Verdict};

use crate::platform::{AS_ADMINISTRATOR, SMALLER_MTU};

/// The word for a verdict, and the sentence. `mdns`: whether multicast DNS was spoken too.
pub(crate) fn diagnosis(verdict: &Verdict, mdns: bool) -> (&'static str, String) {
    let (code, advice) = match verdict {
        Verdict::Nobody { listeners: 0 } => (
            "nobody",
            format!(
                ": run deaddrop doctor on the other machine at the same time; if neither hears the other, {}give --from and \
                 the address of the other machine here; if that fails too, this network keeps its devices apart (client \
                 isolation)",
                if mdns { "" } else { "give --mdns on both, which some networks pass, or " }
            ),
        ),
        Verdict::Nobody { .. } => ("nobody", ": offer something with deaddrop send-msg or send-file".into()),
        Verdict::Found { .. } => ("found", String::new()),
        other => fault(other),
    };
    (code, format!("{verdict}{advice}"))
}

/// Why `fetch` has found nothing, in one line.
pub(crate) fn not_found(verdict: Option<&Verdict>, mdns: bool) -> String {
    let reason = match verdict {
        None | Some(Verdict::Nobody { .. }) => format!(
            "no sender was heard; check that one is running, look longer with --wait, name it with --from, {}or run \
             deaddrop doctor on both machines",
            if mdns { "" } else { "give --mdns on both sides, " }
        ),
        Some(Verdict::Found { .. }) => {
            "members are there, and offer nothing now; look longer with --wait".into()
        }
        Some(verdict) => diagnosis(verdict, mdns).1,
    };
    format!("nothing is offered in this room on this network: {reason}")
}

/// The word for what is in the way, and what to do about it.
fn fault(verdict: &Verdict) -> (&'static str, String) {
    match verdict {
        Verdict::NoInterface => {
            ("no-interface", ": plug in a cable or join a Wi-Fi, and wait until it has an address".into())
        }
        Verdict::NoneNamed => {
            ("no-interface", ": name another with --interface, or leave the flag out".into())
        }
        Verdict::PortTaken { .. } => {
            ("port-taken", ": end that program, or agree with the others on another --udp-port".into())
        }
        Verdict::NoTcpPort(_) => {
            ("no-tcp-port", ": end a program that holds one, or send with another --tcp-port".into())
        }
        Verdict::BeaconsBarred { port, .. } => {
            ("beacons-barred", format!(": let UDP to port {port} out in its rules"))
        }
        Verdict::BeaconsKeptOut { port, commands, .. } if commands.is_empty() => (
            "beacons-kept-out",
            format!(
                ": let UDP port {port} in, and TCP ports 48556 to 48571 if others are to fetch from here"
            ),
        ),
        Verdict::BeaconsKeptOut { commands, .. } => ("beacons-kept-out", opened(commands)),
        Verdict::Closed(Closed { commands, .. }) => ("firewall-closed", opened(commands)),
        Verdict::NoOwnConnection { .. } => {
            ("no-own-connection", ": let TCP ports 48556 to 48571 in and out in its rules".into())
        }
        Verdict::Sender { named, contact, .. } => sender(*named, contact),
        // A later version of the library may know more.
        _ => ("unknown", String::new()),
    }
}

/// The word for what is in the way of a sender, and what to do about it.
fn sender(named: bool, contact: &Contact) -> (&'static str, String) {
    let (code, advice) = match contact {
        Contact::Unreachable if named => (
            "unreachable",
            ": check that it is on and has that address; if deaddrop doctor runs there now, this network keeps its \
             devices apart (client isolation), so use a cable or another network",
        ),
        Contact::Unreachable => (
            "isolated",
            ": use a cable or another network, or switch client isolation off in the access point",
        ),
        Contact::Refused if named => (
            "refused",
            ": no sender runs there, or its firewall refuses; run deaddrop doctor there at the same time",
        ),
        Contact::Unanswered | Contact::Refused => (
            if *contact == Contact::Refused { "refused" } else { "unanswered" },
            ": open TCP ports 48556 to 48571 in the firewall of that machine, and let them out if this one filters what goes out",
        ),
        Contact::Barred => ("connection-barred", ": let TCP to ports 48556 to 48571 out in its rules"),
        Contact::NoGreeting(_) => (
            "no-greeting",
            ": check that deaddrop and no other program has that port, and that nothing between the two cuts connections",
        ),
        Contact::Busy => ("busy", ": try again in a minute, because somebody may be flooding it"),
        Contact::OtherRoom => ("other-room", ": compare the passphrases of the two machines"),
        Contact::LargePacketsLost => ("large-packets-lost", SMALLER_MTU),
        Contact::Stalled => (
            "stalled",
            ": the network between the two loses too much; try a cable, or nearer to the access point",
        ),
        _ => ("not-understood", super::NOT_UNDERSTOOD),
    };
    (code, advice.into())
}

fn opened(commands: &[String]) -> String {
    format!(": open it {AS_ADMINISTRATOR} with: {}", commands.join(" && "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = include_str!("../../../../docs/troubleshooting.md");

    #[test]
    fn every_fault_has_a_word_advice_and_a_section_in_the_guide() {
        let at = "10.0.0.7:48556".parse().map(deaddrop::Endpoint).unwrap();
        let contacts = [
            Contact::Unreachable,
            Contact::Unanswered,
            Contact::Refused,
            Contact::Barred,
            Contact::NoGreeting("x".into()),
            Contact::Busy,
            Contact::OtherRoom,
            Contact::LargePacketsLost,
            Contact::Stalled,
            Contact::Failed("x".into()),
        ];
        let (interface, address, port) = ("eth0".to_owned(), "10.0.0.1".parse().unwrap(), 48_555);
        let mut verdicts = vec![
            Verdict::NoInterface,
            Verdict::NoneNamed,
            Verdict::PortTaken { port, by: Vec::new() },
            Verdict::NoTcpPort("x".into()),
            Verdict::BeaconsBarred { interface: interface.clone(), address, port },
            Verdict::BeaconsKeptOut { interface, address, port, commands: Vec::new() },
            Verdict::NoOwnConnection { to: at, error: "x".into() },
            Verdict::Nobody { listeners: 0 },
            Verdict::Nobody { listeners: 1 },
        ];
        for named in [false, true] {
            verdicts.extend(contacts.iter().map(|contact| {
                let contact = contact.clone();
                Verdict::Sender { at, named, contact }
            }));
        }
        for verdict in verdicts {
            let (code, sentence) = diagnosis(&verdict, false);
            assert!(sentence.len() > verdict.to_string().len() + 20, "{sentence}");
            assert!(!sentence.contains('\n') && code != "unknown", "{sentence}");
            assert!(GUIDE.contains(&format!("`{code}`")), "{code} is not in the guide");
        }
        for code in ["found", "firewall-closed", "room", "name-not-found"] {
            assert!(GUIDE.contains(&format!("`{code}`")), "{code} is not in the guide");
        }
    }

    #[test]
    fn a_fetch_says_the_same_in_one_line() {
        let taken = Verdict::PortTaken { port: 48_555, by: Vec::new() };
        assert!(not_found(Some(&taken), false).contains(&diagnosis(&taken, false).1));
        for nothing in [None, Some(&Verdict::Nobody { listeners: 0 })] {
            assert!(not_found(nothing, false).contains("--wait"));
        }
    }

    #[test]
    fn where_nobody_is_heard_mdns_is_named_unless_it_was_tried() {
        let nobody = Verdict::Nobody { listeners: 0 };
        for mdns in [false, true] {
            assert_eq!(diagnosis(&nobody, mdns).1.contains("--mdns"), !mdns);
            assert_eq!(not_found(Some(&nobody), mdns).contains("--mdns"), !mdns);
        }
    }
}
