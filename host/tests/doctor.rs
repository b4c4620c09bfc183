//! `deaddrop doctor` says what is in the way, and calls nothing ill that is not.

mod support;

use std::path::Path;

use serde_json::Value;
use support::{Host, Lan, Neighbour, Process, ROOM, send_message, spawn};

/// The prefix of link-local addresses.
const LINK_LOCAL: &str = "fe80::";
/// One that is valid on every link.
const GLOBAL: &str = "2001:db8:77::";

#[test]
fn neighbour() {
    support::play(&[("hold", hold)]);
}

/// The role of a program that has the shared port and does not share it.
fn hold(_: &[&str]) {
    let _socket = std::net::UdpSocket::bind("0.0.0.0:48555").expect("a port");
    support::say("ready");
    support::wait_for_end();
}

/// How a doctor has ended: its exit code, its last event, and all of them.
struct Diagnosis {
    exit: i32,
    code: String,
    sentence: String,
    events: Vec<Value>,
}

fn start(host: &Host, folder: &Path, room: &str, more: &[&str]) -> Process {
    spawn(host, folder, room, &[&["doctor", "--json"], more].concat(), b"")
}

fn diagnosed(mut doctor: Process) -> Diagnosis {
    let exit = doctor.exit_code();
    let last = doctor.events.last().expect("an event").clone();
    let text = |key: &str| last[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(last["event"], if exit == 0 { "diagnosis" } else { "error" }, "{:?}", doctor.events);
    Diagnosis { exit, code: text("code"), sentence: text("message"), events: doctor.events.clone() }
}

/// Examines a host in the usual room, listening for a second.
fn examine(host: &Host, folder: &Path, more: &[&str]) -> Diagnosis {
    diagnosed(start(host, folder, ROOM, &[&["--wait", "1"], more].concat()))
}

impl Diagnosis {
    /// It is this one, and its sentence has these parts.
    #[track_caller]
    fn is(&self, code: &str, parts: &[&str]) {
        assert_eq!(self.code, code, "{}: {:#?}", self.sentence, self.events);
        assert_eq!(self.exit, if matches!(code, "found" | "nobody") { 0 } else { 1 }, "{:?}", self.events);
        for part in parts {
            assert!(self.sentence.contains(part), "no {part} in: {}", self.sentence);
        }
        // What is called well has no check that is not.
        if self.exit == 0 {
            let faults = self.events.iter().filter(|event| event["ok"] == false).count();
            assert_eq!(faults, 0, "{:#?}", self.events);
        }
    }

    /// The messages of a check.
    fn of(&self, check: &str) -> Vec<String> {
        let of = self.events.iter().filter(|event| event["check"] == check);
        of.map(|event| event["message"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// A sender and a doctor beside it, which finds nothing wrong.
#[track_caller]
fn is_healthy(lan: &Lan, what: &str) {
    let [sender, receiver, ..] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (_sending, _, _) = send_message(sender, folder.path(), what, &[]);
    let diagnosis = examine(receiver, folder.path(), &[]);
    diagnosis.is("found", &["nothing is in the way: a sender answers"]);
    assert!(diagnosis.of("sender").iter().all(|message| message.contains("offers a drop")), "{what}");
}

#[test]
fn a_healthy_network_is_never_called_ill() {
    is_healthy(&Lan::of(2), "IPv4 alone");
    is_healthy(&Lan::of(2).with_ipv6_alone(&[LINK_LOCAL]), "link-local IPv6 alone");
    is_healthy(&Lan::of(2).with_ipv6_alone(&[LINK_LOCAL, GLOBAL]), "IPv6 alone");
    is_healthy(&Lan::of(2).with_ipv6(&[LINK_LOCAL, GLOBAL]), "both");
}

#[test]
fn interfaces_of_all_kinds_are_not_called_ill() {
    let lan = Lan::of(2).with_ipv6(&[LINK_LOCAL]);
    lan.join(0, 1);
    for (host, n) in lan.hosts.iter().zip(1..) {
        // Another network beside the first, and a second address on the same.
        host.ip_command(&format!("address add 192.0.2.{n}/24 broadcast + dev eth1"));
        host.ip_command(&format!("address add 10.77.0.{}/24 broadcast + dev eth0 label eth0:1", n + 50));
        // Two addresses and no third for everybody; one address alone; no neighbour at all; no address.
        host.ip_command("link add name pair0 type veth peer name pair1");
        host.ip_command("address add 198.51.100.0/31 dev pair0");
        host.ip_command("address add 198.51.100.9/32 dev lo");
        host.ip_command("link set pair0 addrgenmode none");
        host.ip_command("link set pair1 addrgenmode none");
        host.ip_command("link set pair0 up");
        host.ip_command("link set pair1 up");
        host.ip_command("link add name lonely type bridge");
        host.ip_command("address add 203.0.113.1/24 dev lonely");
        host.ip_command("link set lonely addrgenmode none");
        host.ip_command("link set lonely up");
        host.ip_command("link add name unused type bridge");
    }
    is_healthy(&lan, "interfaces of all kinds");
    let folder = tempfile::tempdir().unwrap();
    let diagnosis = examine(&lan.hosts[1], folder.path(), &["--interface", "eth0"]);
    let interfaces = diagnosis.of("interface");
    let has = |part: &str| interfaces.iter().any(|message| message.contains(part));
    assert!(has("eth0 (10.77.0.2") && has("eth1 (192.0.2.2) is not used: others were named"));
    assert!(has("unused is not used: others were named"), "{interfaces:?}");
}

#[test]
fn loopback_that_is_down_is_no_firewall() {
    let lan = Lan::of(2);
    lan.hosts[1].ip_command("link set lo down");
    is_healthy(&lan, "without loopback");
}

#[test]
fn two_doctors_find_each_other() {
    let lan = Lan::of(2);
    let folder = tempfile::tempdir().unwrap();
    let both: Vec<Process> =
        lan.hosts.iter().map(|host| start(host, folder.path(), ROOM, &["--wait", "4"])).collect();
    for doctor in both {
        let diagnosis = diagnosed(doctor);
        diagnosis.is("found", &["a sender answers"]);
        assert!(diagnosis.of("sender")[0].ends_with("is in the room, and offers nothing now"));
    }
}

#[test]
fn two_doctors_find_each_other_by_mdns_where_no_beacon_passes() {
    let lan = Lan::of(2);
    let folder = tempfile::tempdir().unwrap();
    // As an access point does it that drops broadcast: each hears its own, and not the other's.
    for (host, other) in lan.hosts.iter().zip(["10.77.0.2", "10.77.0.1"]) {
        host.filter(&format!("ip saddr {other} udp dport 48555")).unwrap();
    }
    let both: Vec<Process> =
        lan.hosts.iter().map(|host| start(host, folder.path(), ROOM, &["--wait", "3", "--mdns"])).collect();
    both.into_iter().for_each(|doctor| diagnosed(doctor).is("found", &["a sender answers"]));
    // Where it was not tried, it is named.
    let here = &lan.hosts[0];
    examine(here, folder.path(), &[]).is("nobody", &["--mdns"]);
    // What comes back by it is not taken for a beacon.
    here.filter("udp dport 48555").unwrap();
    examine(here, folder.path(), &["--mdns"])
        .is("beacons-kept-out", &["broadcast to UDP port 48555 in by eth0"]);
}

#[test]
fn nobody_there_is_nothing_in_the_way() {
    let lan = Lan::of(2);
    let [here, there] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    examine(here, folder.path(), &[]).is("nobody", &["nobody else was heard", "client isolation"]);
    // A machine that was named has to be there. Here it is on, and has no sender.
    let named = examine(here, folder.path(), &["--from", &there.ip]);
    named.is("refused", &["10.77.0.2:48556 refuses the connection", "no sender runs there"]);
    // A machine that looks for senders is no sender, and is not nobody.
    let mut listening = spawn(there, folder.path(), ROOM, &["run", "--json"], b"");
    listening.event("ready");
    let diagnosis = examine(here, folder.path(), &[]);
    assert_eq!(diagnosis.exit, 0);
    let mut fetching = spawn(here, folder.path(), ROOM, &["fetch", "--json", "--wait", "1"], b"");
    assert_eq!(fetching.exit_code(), 7);
    assert!(reason(&fetching).contains("no sender was heard"), "{}", reason(&fetching));
}

#[test]
fn a_name_that_is_not_found_is_a_check_that_has_failed() {
    let lan = Lan::of(1);
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let diagnosis = examine(host, folder.path(), &["--from", "nosuch.invalid"]);
    diagnosis.is("name-not-found", &["nosuch.invalid", "check the name, or give the sender's address"]);
    assert!(!diagnosis.of("interface").is_empty() && !diagnosis.of("echo").is_empty());
    assert!(diagnosis.of("sender").iter().any(|message| message.contains("nosuch.invalid")));
    // What is wrong with this machine comes first.
    host.ip_command("link set eth0 down");
    examine(host, folder.path(), &["--from", "nosuch.invalid"]).is("no-interface", &[]);
    // An interface that is not there may be there later. What no interface is called is a fault of the command line.
    for (name, code) in [("nonesuch", 7), ("none/such", 2)] {
        let mut wrong = start(host, folder.path(), ROOM, &["--interface", name]);
        assert_eq!(wrong.exit_code(), code, "{name}");
    }
}

/// What a fetch that has found nothing says.
fn reason(fetching: &Process) -> String {
    fetching.events.last().expect("an error")["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn without_a_room_senders_are_tried_up_to_their_greeting() {
    let lan = Lan::of(2);
    let [sender, here] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, _, _) = send_message(sender, folder.path(), "unseen", &[]);
    let mut command = here.command(support::deaddrop());
    command.args(["doctor", "--json", "--wait", "1"]).env_remove("DEADDROP_ROOM");
    let diagnosis = diagnosed(Process::from_command(command, "doctor".into()));
    diagnosis.is("found", &[]);
    assert!(diagnosis.of("room")[0].contains("none is given"), "{:?}", diagnosis.events);
    assert!(diagnosis.of("sender")[0].contains("greets"), "{:?}", diagnosis.events);
    sending.signal(rustix::process::Signal::TERM);
    assert_eq!(sending.exit_code(), 143);
    let names: Vec<&str> = sending.events.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(names, ["ready", "error"], "to look is no guess");
}

#[test]
fn what_is_wrong_with_this_machine_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let lan = Lan::of(1);
    let host = &lan.hosts[0];
    host.ip_command("link set eth0 down");
    examine(host, folder.path(), &[]).is("no-interface", &["plug in a cable"]);

    let lan = Lan::of(1);
    let host = &lan.hosts[0];
    examine(host, folder.path(), &["--interface", "lo"])
        .is("no-interface", &["name another with --interface"]);
    let holding = Neighbour::start(host, "hold", &[]);
    let taken = examine(host, folder.path(), &[]);
    taken.is("port-taken", &["UDP port 48555 is taken by", "(process ", "--udp-port"]);
    let mut fetching = spawn(host, folder.path(), ROOM, &["fetch", "--json", "--wait", "0"], b"");
    assert_eq!(fetching.exit_code(), 7);
    assert!(reason(&fetching).contains(&taken.sentence), "{}", reason(&fetching));
    holding.end();

    // A port that deaddrop shares is no fault.
    let mut listening = spawn(host, folder.path(), ROOM, &["run", "--json"], b"");
    listening.event("ready");
    let shared = examine(host, folder.path(), &[]);
    shared.is("nobody", &[]);
    assert!(shared.of("udp-port")[0].contains("is shared with deaddrop"), "{:?}", shared.of("udp-port"));

    let room = support::write(folder.path(), "room.txt", b"copper lantern harbour ninety\n");
    std::fs::set_permissions(&room, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let open = examine(host, folder.path(), &["--room-file", "room.txt"]);
    open.is("room", &["others can reach the room file", "chmod 600"]);
    assert_eq!(open.of("sender").len(), 1, "the network is looked at all the same");
}

/// The rules of a host's firewall, its beacons' way alone or more.
fn rules(hook: &str, policy: &str, rules: &str) -> String {
    format!(
        "table inet filter {{\n chain here {{\n type filter hook {hook} priority 0; policy {policy};\n {rules}\n }}\n}}\n"
    )
}

#[test]
fn what_the_firewall_of_this_machine_does_is_named() {
    let beacons = "udp dport 48555 drop";
    let lo = "iifname lo accept\n";
    let table: &[(&str, String, &str, &[&str])] = &[
        (
            "broadcast does not come in",
            rules("input", "accept", beacons),
            "beacons-kept-out",
            &[
                "broadcast to UDP port 48555 in by eth0",
                "nft insert rule inet filter here udp dport 48555 accept",
            ],
        ),
        (
            "broadcast does not go out",
            rules("output", "accept", beacons),
            "beacons-barred",
            &["broadcast to UDP port 48555 out of eth0"],
        ),
        (
            "multicast alone does not come in",
            rules("input", "accept", "ip6 daddr ff00::/8 udp dport 48555 drop"),
            "beacons-kept-out",
            &["multicast to UDP port 48555 in by eth0"],
        ),
        (
            "established connections alone",
            rules(
                "input",
                "drop",
                &format!("{lo}ct state established,related accept\nmeta l4proto 58 accept"),
            ),
            "beacons-kept-out",
            &["nft insert rule"],
        ),
        (
            "beacons come in, and connections do not",
            rules(
                "input",
                "drop",
                &format!("{lo}ct state established accept\nmeta l4proto {{ 17, 58 }} accept"),
            ),
            "firewall-closed",
            &["connections to TCP port 48556", "tcp dport 48556-48571 accept"],
        ),
        (
            "answers do not come in",
            rules("input", "drop", &format!("{lo}meta l4proto {{ 6, 58 }} accept\nudp dport 48555 accept")),
            "firewall-closed",
            &["answers from UDP port 48555", "udp sport 48555 udp dport 32768-60999 accept"],
        ),
        (
            "not even to itself",
            rules("output", "accept", "tcp dport 48556-48571 drop"),
            "no-own-connection",
            &["connect to itself at"],
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (what, rules, code, parts) in table {
        let lan = Lan::of(1).with_ipv6(&[LINK_LOCAL]);
        lan.hosts[0].load_rules(rules);
        let diagnosis = examine(&lan.hosts[0], folder.path(), &[]);
        assert_eq!(&diagnosis.code, code, "{what}: {}", diagnosis.sentence);
        diagnosis.is(code, parts);
    }
}

#[test]
fn what_a_fetch_finds_in_its_way_is_said_in_its_error() {
    let lan = Lan::of(1);
    let host = &lan.hosts[0];
    host.load_rules(&rules("input", "accept", "udp dport 48555 drop"));
    let folder = tempfile::tempdir().unwrap();
    let mut fetching = spawn(host, folder.path(), ROOM, &["fetch", "--json", "--wait", "0"], b"");
    assert_eq!(fetching.exit_code(), 7);
    let reason = reason(&fetching);
    assert!(
        reason.starts_with("nothing is offered in this room on this network: the firewall of this machine")
    );
    assert!(reason.contains("nft insert rule inet filter here udp dport 48555 accept"), "{reason}");
}

#[test]
fn what_is_in_the_way_at_a_sender_is_named() {
    let unanswered: &[&str] =
        &["10.77.0.1:48556 announces itself, but does not answer on TCP", "open TCP ports"];
    let refused: &[&str] =
        &["10.77.0.1:48556 announces itself, but refuses the connection", "open TCP ports"];
    let established = "ct state established accept\nudp dport 48555 accept";
    let table: &[(&str, String, &str, &[&str])] = &[
        ("dropped", rules("input", "accept", "iifname eth0 tcp dport 48556 drop"), "unanswered", unanswered),
        (
            "reset",
            rules("input", "accept", "iifname eth0 tcp dport 48556 reject with tcp reset"),
            "refused",
            refused,
        ),
        (
            "prohibited",
            rules("input", "accept", "iifname eth0 tcp dport 48556 reject with icmpx admin-prohibited"),
            "refused",
            refused,
        ),
        ("established alone", rules("input", "drop", established), "unanswered", unanswered),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (what, rules, code, parts) in table {
        let lan = Lan::of(2);
        let [sender, here] = &lan.hosts[..] else { unreachable!("two hosts") };
        let (_sending, token, _) = send_message(sender, folder.path(), "unreached", &[]);
        sender.load_rules(rules);
        let diagnosis = examine(here, folder.path(), &[]);
        assert_eq!(&diagnosis.code, code, "{what}: {}: {:#?}", diagnosis.sentence, diagnosis.events);
        diagnosis.is(code, parts);
        let arguments = ["fetch", "--json", "--wait", "3", "--token", &token];
        let mut fetching = spawn(here, folder.path(), ROOM, &arguments, b"");
        assert_eq!(fetching.exit_code(), 7);
        assert!(reason(&fetching).contains(parts[0]), "{what}: {}", reason(&fetching));
    }
}

#[test]
fn another_room_is_named_whatever_the_clock() {
    let lan = Lan::of(2);
    let [sender, here] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (_sending, _, _) = send_message(sender, folder.path(), "not for all", &[]);
    let diagnosis = diagnosed(start(here, folder.path(), "some other room of this house", &["--wait", "1"]));
    diagnosis.is("other-room", &["10.77.0.1:48556 is in another room", "compare the passphrases"]);
    assert!(diagnosis.of("clock")[0].contains("none is compared"));
    let room = "yet another room of this house";
    let mut fetching = spawn(here, folder.path(), room, &["fetch", "--json", "--wait", "1"], b"");
    assert_eq!(fetching.exit_code(), 7);
    assert!(reason(&fetching).contains("is in another room"), "{}", reason(&fetching));
}

#[test]
fn client_isolation_is_told_from_nobody_there() {
    let lan = Lan::of(3);
    let [here, there, wired] = &lan.hosts[..] else { unreachable!("three hosts") };
    let folder = tempfile::tempdir().unwrap();
    lan.isolate(0);
    lan.isolate(1);
    // Both examine their machines at the same time, and each is told of the other's address.
    let from = [["--wait", "1", "--from", &there.ip], ["--wait", "1", "--from", &here.ip]];
    let both: Vec<Process> =
        [here, there].iter().zip(&from).map(|(host, more)| start(host, folder.path(), ROOM, more)).collect();
    for doctor in both {
        diagnosed(doctor)
            .is("unreachable", &["does not answer on this network", "client isolation", "a cable"]);
    }
    // What is on the cable is reached.
    let (_sending, _, _) = send_message(wired, folder.path(), "by cable", &[]);
    examine(here, folder.path(), &[]).is("found", &[]);
}

#[test]
fn large_packets_that_are_lost_are_named() {
    let lan = Lan::of(2);
    let [sender, here] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let (_sending, _, _) = send_message(sender, folder.path(), "too wide", &[]);
    lan.narrow(0, 1_400);
    let diagnosis = examine(here, folder.path(), &[]);
    diagnosis.is("large-packets-lost", &["10.77.0.1:48556", "large packets do not reach it", "mtu 1280"]);
}

#[test]
fn a_machine_that_answers_one_datagram_a_second_gets_large_packets() {
    let lan = Lan::of(2);
    let [sender, here] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    // As Linux does it after the first six, so that a doctor that is run again finds.
    sender.load_rules(
        "table inet t {\n chain output {\n type filter hook output priority 0;\n \
         icmp type destination-unreachable limit rate over 1/second burst 1 packets drop\n }\n}\n",
    );
    let (_sending, _, _) = send_message(sender, folder.path(), "slow to answer", &[]);
    examine(here, folder.path(), &[]).is("found", &["a sender answers"]);
}

/// The rules that the guide gives, as they stand there.
fn rules_of_the_guide() -> &'static str {
    const GUIDE: &str = include_str!("../docs/troubleshooting.md");
    let (_, behind) = GUIDE.split_once("```nft\n").expect("rules in the guide");
    behind.split_once("```").expect("an end of the rules").0
}

#[test]
fn with_the_rules_of_the_guide_every_fetch_finds_its_drop() {
    for lan in [Lan::of(2), Lan::of(2).with_ipv6_alone(&[LINK_LOCAL])] {
        let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
        for host in &lan.hosts {
            host.load_rules(rules_of_the_guide());
        }
        let folder = tempfile::tempdir().unwrap();
        let (mut sending, token, _) = send_message(sender, folder.path(), "let in", &["--fetches", "20"]);
        // As if the next announcement were far away: its answers alone lead to the sender.
        sender.load_rules(
            "table inet quiet { chain out { type filter hook output priority 0; udp dport 48555 drop; }; }\n",
        );
        for n in 1..=20 {
            let arguments = ["fetch", "--json", "--token", &token];
            let mut fetching = spawn(receiver, folder.path(), ROOM, &arguments, b"");
            assert_eq!(fetching.exit_code(), 0, "fetch {n}: {:?}", fetching.events);
        }
        assert_eq!(sending.exit_code(), 0);
        sender.load_rules("delete table inet quiet\n");
        let both: Vec<Process> =
            lan.hosts.iter().map(|host| start(host, folder.path(), ROOM, &["--wait", "3"])).collect();
        for doctor in both {
            diagnosed(doctor).is("found", &[]);
        }
    }
}

#[test]
fn the_rules_of_the_guide_keep_out_what_they_do_not_name() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    sender.load_rules(rules_of_the_guide());
    let folder = tempfile::tempdir().unwrap();
    let (_sending, _, port) = send_message(sender, folder.path(), "elsewhere", &["--tcp-port", "40000"]);
    assert_eq!(port, 40_000);
    examine(receiver, folder.path(), &[]).is("unanswered", &["10.77.0.1:40000"]);
}
