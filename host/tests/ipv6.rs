//! Discovery and transfer over IPv6: on networks that have nothing else, beside IPv4, and behind several interfaces.

mod support;

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use deaddrop::Address;
use deaddrop_core::token::Instance;
use serde_json::{Value, json};
use support::{
    Beacon, BeaconKind, Capture, Host, Lan, Neighbour, Process, ROOM, Until, fetch, listener, send_message,
    spawn,
};

/// The prefix of link-local addresses.
const LINK_LOCAL: &str = "fe80::";
/// One that is valid on every link.
const GLOBAL: &str = "2001:db8:77::";

#[test]
fn neighbour() {
    support::play(&[("capture", support::capture), ("forge", forge), ("crowd", crowd)]);
}

/// A fetch that finds the sender by itself.
fn search(host: &Host, folder: &Path, token: &str) -> Process {
    spawn(host, folder, ROOM, &["fetch", "--json", "--wait", "20", "--token", token], b"")
}

/// A fetch from what `--from` says.
fn fetch_from(host: &Host, folder: &Path, from: &str, token: &str, more: &[&str]) -> Process {
    let arguments = [&["fetch", "--json", "--from", from, "--token", token], more].concat();
    spawn(host, folder, ROOM, &arguments, b"")
}

/// Runs a line of a shell in which deaddrop is found by its name, as a person does that copies a command.
fn shell(host: &Host, folder: &Path, line: &str) -> Process {
    let programs = Path::new(support::deaddrop()).parent().expect("a folder");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = host.command("sh");
    command.args(["-c", line]).current_dir(folder).env("DEADDROP_ROOM", ROOM).env("PATH", path);
    Process::from_command(command, line.into())
}

fn text(event: &Value, key: &str) -> String {
    event[key].as_str().unwrap_or_default().to_owned()
}

/// A message found by a listener and fetched by its offer's address, and one that a fetch finds by itself.
fn hand_over(lan: &Lan, expected_from: &str) {
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut listening = listener(receiver, folder.path());
    let (mut sending, token, port) = send_message(sender, folder.path(), "over six", &["--fetches", "3"]);
    let offer = listening.event("offer");
    assert_eq!(offer["token"], token);
    assert_eq!(offer["from"], expected_from, "{offer}");
    let mut fetching = fetch_from(receiver, folder.path(), &text(&offer, "from"), &token, &[]);
    assert_eq!(fetching.event("received")["text"], "over six");
    let by = text(&sending.event("fetched"), "by");
    assert!(by.starts_with(receiver.ip.split('%').next().unwrap()), "{by}");
    // Without its port: every default port is asked.
    assert_eq!(port, 48_556);
    let mut fetching = fetch(receiver, folder.path(), sender, &token, &[]);
    assert_eq!(fetching.event("received")["text"], "over six");
    let mut fetching = search(receiver, folder.path(), &token);
    assert_eq!(fetching.event("received")["text"], "over six");
    assert_eq!(sending.exit_code(), 0);
    assert_eq!(listening.event("gone")["reason"], "fetched");
    let offers = listening.events.iter().filter(|event| event["event"] == "offer").count();
    assert_eq!(offers, 1, "{:?}", listening.events);
}

#[test]
fn hosts_with_ipv6_alone() {
    let lan = Lan::of(2).with_ipv6_alone(&[LINK_LOCAL, GLOBAL]);
    hand_over(&lan, "[fe80::1%eth0]:48556");
    let folder = tempfile::tempdir().unwrap();
    let (sending, token, _) = send_message(&lan.hosts[0], folder.path(), "by the other", &[]);
    let addresses = &sending.events.last().unwrap()["addresses"];
    assert_eq!(*addresses, json!(["2001:db8:77::1", "fe80::1%eth0", "127.0.0.1"]));
    let mut fetching = fetch_from(&lan.hosts[1], folder.path(), "[2001:db8:77::1]:48556", &token, &[]);
    assert_eq!(fetching.event("received")["text"], "by the other");
}

#[test]
fn hosts_with_link_local_addresses_alone() {
    hand_over(&Lan::of(2).with_ipv6_alone(&[LINK_LOCAL]), "[fe80::1%eth0]:48556");
}

#[test]
fn a_sender_without_a_link_local_address() {
    let lan = Lan::of(2).with_ipv6_alone(&[GLOBAL]);
    lan.hosts[1].add_ipv6("eth0", &[LINK_LOCAL], 2);
    hand_over(&lan, "[2001:db8:77::1]:48556");
}

/// What the system says of the addresses of an interface with this flag.
fn addresses_with(host: &Host, flag: &str) -> String {
    let shown = host.command("ip").args(["-6", "address", "show", "dev", "eth0", flag]).output().unwrap();
    assert!(shown.status.success(), "{shown:?}");
    String::from_utf8(shown.stdout).unwrap()
}

#[test]
fn an_address_that_another_machine_has_is_not_used_and_one_that_is_being_checked_is_later() {
    let lan = Lan::of(2).with_ipv6_alone(&[GLOBAL]);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    sender.ip_command("address flush dev eth0");
    receiver.add_ipv6("eth0", &[LINK_LOCAL], 5);
    // The sender looks for duplicates, as every system does, and there is one.
    sender.ip_command("address add fe80::5/64 dev eth0");
    support::wait_for(|| addresses_with(sender, "dadfailed").contains("fe80::5"));
    let mut refused = spawn(sender, folder.path(), ROOM, &["run", "--json", "--interface", "eth0"], b"");
    assert_eq!(refused.exit_code(), 7);
    let message = text(refused.last(), "message");
    let said = "eth0 cannot be used: another machine on its link has its only address, fe80::5";
    assert!(message.contains(said), "{message}");

    // Another of its addresses takes the place of that one. One that is deprecated is named after the others.
    sender.ip_command("address add 2001:db8:77::a/64 dev eth0 preferred_lft 0 nodad");
    sender.add_ipv6("eth0", &[GLOBAL], 9);
    let mut listening = listener(receiver, folder.path());
    let (mut sending, token, _) = send_message(sender, folder.path(), "unmistakable", &[]);
    let addresses = &sending.events.last().unwrap()["addresses"];
    assert_eq!(*addresses, json!(["2001:db8:77::9", "2001:db8:77::a", "127.0.0.1"]));
    assert_eq!(listening.event("offer")["from"], "[2001:db8:77::9]:48556");

    // An address is used once the system has found that nobody else has it, and no sooner.
    sender.ip_command("address add fe80::6/64 dev eth0");
    let ready = sending.event("ready");
    assert!(!addresses_with(sender, "tentative").contains("fe80::6"), "{ready}");
    let expected = json!(["2001:db8:77::9", "2001:db8:77::a", "fe80::6%eth0", "127.0.0.1"]);
    assert_eq!(ready["addresses"], expected);
    let mut fetching = search(receiver, folder.path(), &token);
    assert_eq!(fetching.event("received")["text"], "unmistakable");
    assert_eq!(sending.exit_code(), 0);
}

#[test]
fn a_sender_at_both_families_is_shown_once_by_ipv4() {
    hand_over(&Lan::of(2).with_ipv6(&[LINK_LOCAL, GLOBAL]), "10.77.0.1:48556");
}

#[test]
fn where_broadcasts_are_kept_out_multicast_finds_a_drop_and_a_name_needs_neither() {
    let lan = Lan::of(2).with_ipv6(&[LINK_LOCAL]);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    lan.hosts.iter().for_each(|host| host.filter("meta pkttype broadcast udp dport 48555").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut listening = listener(receiver, folder.path());
    let (mut sending, token, _) = send_message(sender, folder.path(), "to the group", &["--fetches", "2"]);
    assert_eq!(listening.event("offer")["from"], "[fe80::1%eth0]:48556");
    let mut fetching = search(receiver, folder.path(), &token);
    assert_eq!(fetching.event("received")["text"], "to the group");
    assert!(receiver.filtered().unwrap() > 0, "broadcasts came");
    // Nor is the group heard.
    lan.hosts.iter().for_each(|host| host.filter("udp dport 48555").unwrap());
    let mut fetching = fetch(receiver, folder.path(), sender, &token, &[]);
    assert_eq!(fetching.event("received")["text"], "to the group");
    assert_eq!(sending.exit_code(), 0);
}

#[test]
fn a_sender_of_which_ipv4_is_cut_off_is_reached_by_ipv6() {
    let lan = Lan::of(2).with_ipv6(&[LINK_LOCAL]);
    lan.hosts[0].filter("ip version 4 tcp dport 48556").unwrap();
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut listening = listener(receiver, folder.path());
    let (mut sending, token, _) = send_message(sender, folder.path(), "round about", &["--fetches", "2"]);
    assert_eq!(listening.event("offer")["from"], "[fe80::1%eth0]:48556");
    let mut fetching = search(receiver, folder.path(), &token);
    assert_eq!(fetching.event("received")["text"], "round about");
    // A place of a list that nobody answers at does not keep the other.
    let mut fetching = fetch_from(receiver, folder.path(), "10.77.0.1,fe80::1%eth0", &token, &[]);
    assert_eq!(fetching.event("received")["text"], "round about");
    assert_eq!(sending.exit_code(), 0);
    assert!(sender.filtered().unwrap() > 0, "IPv4 was tried");
}

#[test]
fn the_commands_that_are_printed_work_as_they_stand() {
    for networks in [&[LINK_LOCAL][..], &[LINK_LOCAL, GLOBAL]] {
        let lan = Lan::of(2).with_ipv6_alone(networks);
        let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
        let folder = tempfile::tempdir().unwrap();
        let mut listening = spawn(receiver, folder.path(), ROOM, &["run"], b"");
        let mut sending = shell(sender, folder.path(), "exec deaddrop send-msg --fetches 2 copied 2>&1");
        let printed = [&mut listening, &mut sending].map(|process| process.line("deaddrop fetch --from"));
        for line in printed {
            assert!(line.contains("--from '["), "some shells take bare brackets for a pattern: {line}");
            let mut copied = shell(receiver, folder.path(), line.trim());
            copied.line("copied");
            assert_eq!(copied.exit_code(), 0, "{line}");
        }
        assert_eq!(sending.exit_code(), 0);
    }
}

#[test]
fn the_same_address_behind_two_interfaces_is_two_senders() {
    let mut lan = Lan::of(3);
    // In the middle is host 1: host 0 is behind its eth0, and host 2 behind its eth1.
    lan.join(1, 2);
    lan.cable(2, false);
    lan = lan.with_ipv6_alone(&[LINK_LOCAL]);
    let [one, middle, two] = &lan.hosts[..] else { unreachable!("three hosts") };
    middle.add_ipv6("eth1", &[LINK_LOCAL], 9);
    two.add_ipv6("eth1", &[LINK_LOCAL], 1);
    let folder = tempfile::tempdir().unwrap();
    let mut listening = listener(middle, folder.path());
    let (mut first, first_token, _) = send_message(one, folder.path(), "one", &[]);
    assert_eq!(listening.event("offer")["from"], "[fe80::1%eth0]:48556");
    let (mut second, second_token, _) = send_message(two, folder.path(), "two", &[]);
    assert_eq!(listening.event("offer")["from"], "[fe80::1%eth1]:48556");

    // The other machine has another drop.
    let mut wrong = fetch_from(middle, folder.path(), "fe80::1%eth0", &second_token, &[]);
    assert_eq!(wrong.exit_code(), 4);
    let mut wrong =
        fetch_from(middle, folder.path(), "fe80::1%eth1", &second_token, &["--interface", "eth0"]);
    let message = text(&wrong.event("error"), "message");
    assert!(message.starts_with("fe80::1%eth1 is not behind eth0"), "{message}");
    assert_eq!(wrong.exit_code(), 2);
    let mut wrong = fetch_from(middle, folder.path(), "fe80::1", &second_token, &[]);
    assert!(text(&wrong.event("error"), "message").contains("%eth0"), "{:?}", wrong.events);
    assert_eq!(wrong.exit_code(), 2);
    // The interface says which is meant.
    let mut fetching = fetch_from(middle, folder.path(), "fe80::1", &second_token, &["--interface", "eth1"]);
    assert_eq!(fetching.event("received")["text"], "two");
    assert_eq!(second.exit_code(), 0);
    let mut fetching = fetch_from(middle, folder.path(), "[fe80::1%eth0]:48556", &first_token, &[]);
    assert_eq!(fetching.event("received")["text"], "one");
    assert_eq!(first.exit_code(), 0);
}

#[test]
fn a_fetch_takes_the_interface_that_was_chosen() {
    let lan = Lan::of(2).with_ipv6(&[GLOBAL]);
    lan.join(0, 1);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    // The system takes the cable, on which the sender does not have that address.
    receiver.ip_command("route add 2001:db8:77::1/128 dev eth1");
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, _) = send_message(sender, folder.path(), "by switch", &["--fetches", "2"]);
    let by_switch = ["--interface", "eth0"];
    let mut fetching = fetch_from(receiver, folder.path(), "[2001:db8:77::1]:48556", &token, &by_switch);
    assert_eq!(fetching.event("received")["text"], "by switch");
    let mut elsewhere =
        fetch_from(receiver, folder.path(), "127.0.0.1:48556", &token, &["--interface", "eth0"]);
    assert_eq!(elsewhere.exit_code(), 2);
    let mut nowhere = fetch_from(receiver, folder.path(), "10.77.0.1", &token, &["--interface", "eth7"]);
    assert_eq!(nowhere.exit_code(), 7);
    let mut at_home = fetch_from(sender, folder.path(), "127.0.0.1:48556", &token, &["--interface", "lo"]);
    assert_eq!(at_home.event("received")["text"], "by switch");
    assert_eq!(sending.exit_code(), 0);
    // A sender that was given the loopback interface takes connections at all of its addresses, and at no other.
    let (mut sending, token, _) = send_message(sender, folder.path(), "at home", &["--interface", "lo"]);
    let mut refused = fetch_from(receiver, folder.path(), "10.77.0.1:48556", &token, &["--wait", "0"]);
    assert_eq!(refused.exit_code(), 7);
    let mut at_home = fetch_from(sender, folder.path(), "::1", &token, &[]);
    assert_eq!(at_home.event("received")["text"], "at home");
    assert_eq!(sending.exit_code(), 0);
}

/// A fetch on a host whose table of names is `hosts`.
fn fetch_by_name(host: &Host, folder: &Path, hosts: &str, from: &str, token: &str) -> Process {
    support::write(folder, "hosts", hosts.as_bytes());
    let line = format!(
        "mount --bind hosts /etc/hosts && exec {} fetch --json --from {from} --token {token}",
        support::deaddrop()
    );
    let mut command = host.command("unshare");
    command.args(["--mount", "sh", "-c", &line]).current_dir(folder).env("DEADDROP_ROOM", ROOM);
    Process::from_command(command, line)
}

#[test]
fn a_sender_is_named_as_people_name_it() {
    let lan = Lan::of(2).with_ipv6(&[GLOBAL]);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, _) = send_message(sender, folder.path(), "by name", &["--fetches", "9"]);
    for from in ["localhost", "LOCALHOST:48556", " 127.0.0.1:48556 ", "::1"] {
        let mut fetching = fetch_from(sender, folder.path(), from, &token, &[]);
        assert_eq!(fetching.event("received")["text"], "by name", "{from}");
        assert_eq!(fetching.exit_code(), 0, "{from}");
    }
    // The same sender, named twice or at two addresses, has one drop to take.
    for from in ["127.0.0.1,127.0.0.1", "127.0.0.1,::1"] {
        let mut fetching = spawn(sender, folder.path(), ROOM, &["fetch", "--json", "--from", from], b"");
        assert_eq!(fetching.event("received")["text"], "by name", "{from}");
        assert_eq!(fetching.exit_code(), 0, "{from}");
    }
    // An address of a list that cannot be asked does not keep the others.
    let mut fetching = fetch_from(receiver, folder.path(), "[fe80::1]:1,10.77.0.1", &token, &[]);
    let warning = fetching.event("warning");
    assert_eq!(warning["code"], "sender-not-usable");
    assert!(text(&warning, "message").contains("%eth0"), "{warning}");
    assert_eq!(fetching.event("received")["text"], "by name");
    // Nobody has the first two addresses, and the third is that of the sender.
    let hosts = "10.77.0.98 bob.local\n2001:db8:77::99 bob.local\n10.77.0.1 bob.local\n";
    let mut fetching = fetch_by_name(receiver, folder.path(), hosts, "bob.local:48556", &token);
    assert_eq!(fetching.event("received")["text"], "by name");
    // A name of a list that is not found does not keep the others.
    let mut fetching =
        fetch_by_name(receiver, folder.path(), hosts, "nobody.invalid,bob.local:48556", &token);
    assert_eq!(fetching.event("warning")["code"], "name-not-found");
    assert_eq!(fetching.event("received")["text"], "by name");
    assert_eq!(sending.exit_code(), 0);
    let mut nobody = fetch_by_name(receiver, folder.path(), hosts, "nobody.invalid", &token);
    let message = text(&nobody.event("error"), "message");
    assert_eq!(nobody.exit_code(), 7);
    assert!(message.starts_with("nobody.invalid is not found") && message.contains("address"), "{message}");
}

#[test]
fn another_room_beside_both_families_is_no_attack() {
    let lan = Lan::of(3).with_ipv6(&[LINK_LOCAL, GLOBAL]);
    let [sender, member, stranger] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    let capture = Capture::start(&lan);
    let mut other = spawn(stranger, folder.path(), "some other room of this house", &["run", "--json"], b"");
    other.event("ready");
    let mut listening = listener(member, folder.path());
    let (mut sending, token, _) = send_message(sender, folder.path(), "not for all", &[]);
    assert_eq!(listening.event("offer")["token"], token);
    let mut fetching = fetch(member, folder.path(), sender, &token, &[]);
    assert_eq!(fetching.exit_code(), 0);
    assert_eq!(sending.exit_code(), 0);
    let names: Vec<String> = sending.events.iter().map(|event| text(event, "event")).collect();
    assert_eq!(names, ["ready", "claimed", "fetched"], "a failed handshake of each family is a neighbour");
    // It has looked once at each address, and then knew.
    let own = ["10.77.0.3", "fe80::3"];
    let connects = capture.end().connects();
    let looks = connects.iter().filter(|(from, _)| own.contains(&from.ip().to_string().as_str())).count();
    assert_eq!(looks, 2, "{connects:?}");
}

#[test]
fn one_host_of_a_network_locks_no_other_out() {
    let lan = Lan::of(3).with_ipv6_alone(&[LINK_LOCAL, GLOBAL]);
    let [sender, member, crowd] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, port) = send_message(sender, folder.path(), "for all", &[]);
    let at = format!("[2001:db8:77::1]:{port}");
    let crowding = Neighbour::start(crowd, "crowd", &[&at]);
    let mut fetching = fetch_from(member, folder.path(), &at, &token, &[]);
    assert_eq!(fetching.event("received")["text"], "for all");
    let flooded = fetching.events.iter().any(|event| event["code"] == "flooded");
    assert!(!flooded, "it has a token of its own: {:?}", fetching.events);
    assert_eq!(fetching.exit_code(), 0);
    assert_eq!(sending.exit_code(), 0);
    crowding.end();
}

/// How many connections the crowd holds at once: more than a server gives tokens and parks, of one source.
const CROWD: u32 = 100;

/// The role of one who holds many connections from one address, each with half of a handshake, and opens each again when
/// the server closes it.
fn crowd(words: &[&str]) {
    let to: SocketAddr = words[0].parse().expect("an address and a port");
    let halves = Arc::new(AtomicU32::new(0));
    for _ in 0..CROWD {
        let halves = halves.clone();
        thread::spawn(move || {
            let room = support::wrong_room();
            while let Ok(mut stream) = TcpStream::connect(to) {
                if support::shake_hands(&mut stream, &room, Until::Half).is_ok() {
                    halves.fetch_add(1, Ordering::Relaxed);
                    // Until the server has had enough of it.
                    let _ = stream.read_to_end(&mut Vec::new());
                }
            }
        });
    }
    support::wait_for(|| halves.load(Ordering::Relaxed) >= CROWD / 2);
    support::say("ready");
    support::wait_for_end();
}

/// A port of the forger, on which nobody listens.
const FORGED: u16 = 40_000;

#[test]
fn beacons_from_beyond_the_link_are_not_heard() {
    let lan = Lan::of(3).with_ipv6_alone(&[LINK_LOCAL, GLOBAL]);
    let [sender, receiver, forger] = &lan.hosts[..] else { unreachable!("three hosts") };
    // An address of no prefix that the receiver has.
    forger.add_ipv6("eth0", &["2001:db8:99::"], 9);
    let folder = tempfile::tempdir().unwrap();
    let capture = Capture::start(&lan);
    let mut listening = listener(receiver, folder.path());
    let forging = Neighbour::start(forger, "forge", &[]);
    let (_sending, token, _) = send_message(sender, folder.path(), "real", &[]);
    assert_eq!(listening.event("offer")["token"], token);
    forging.end();
    let traffic = capture.end();
    let forged = |(_, to): &&(SocketAddr, SocketAddr)| (FORGED..FORGED + 3).contains(&to.port());
    let sent = traffic.datagrams().iter().filter(|((_, to), _)| to.port() == 48_555).count();
    assert!(sent >= 3, "the forged beacons are on the wire");
    let mut probed: Vec<u16> = traffic.connects().iter().filter(forged).map(|(_, to)| to.port()).collect();
    probed.sort_unstable();
    probed.dedup();
    assert_eq!(probed, [FORGED + 2], "only the beacon that was sent on the link, from an attached address");
}

/// The role of one who sends three beacons: to the receiver's own address, as from beyond a router; to the group, from an
/// address that is not attached; and to the group, from one that is.
fn forge(_: &[&str]) {
    let group = "[ff12::4444:5250]:48555";
    let beacons =
        [("2001:db8:77::3", "[2001:db8:77::2]:48555"), ("2001:db8:99::9", group), ("2001:db8:77::3", group)];
    for ((from, to), port) in beacons.into_iter().zip(FORGED..) {
        let socket = UdpSocket::bind((from.parse::<IpAddr>().unwrap(), 0)).expect("an address");
        let mut to: SocketAddr = to.parse().unwrap();
        if let SocketAddr::V6(to) = &mut to
            && to.ip().is_multicast()
        {
            let own: Address = "fe80::3%eth0".parse().expect("an interface");
            to.set_scope_id(own.zone().map_or(0, NonZeroU32::get));
        }
        let instance = Instance::random(&mut support::random());
        let beacon = Beacon { kind: BeaconKind::Announce, port, instance, revision: 1 };
        socket.send_to(&beacon.emit(), to).expect("send a beacon");
    }
    support::say("ready");
    support::wait_for_end();
}
