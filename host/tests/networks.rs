//! Networks that are not one plain LAN: each interface is used or not by a rule that can be asked for, and a drop is found
//! wherever the kernel can reach everybody.

mod support;

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use support::{
    Host, Lan, Process, ROOM, fetch, listener, noise, send_file, send_message, spawn, wait_for, write,
};
use testbed::tunnel::{self, Tunnel, Weather};

#[test]
fn neighbour() {
    support::play(&[tunnel::ROLE]);
}

fn search(host: &Host, folder: &Path, token: &str) -> Process {
    spawn(host, folder, ROOM, &["fetch", "--json", "--wait", "60", "--token", token], b"")
}

/// A message from the first host that the second one is shown, once, at `from`, and fetches.
fn hand_over(lan: &Lan, from: &str) {
    let [sender, receiver] = &lan.hosts[..2] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut listening = listener(receiver, folder.path());
    let (mut sending, token, _) = send_message(sender, folder.path(), "over there", &[]);
    assert_eq!(listening.event("offer")["from"], from);
    let mut fetching = search(receiver, folder.path(), &token);
    assert_eq!(fetching.event("received")["text"], "over there");
    assert_eq!(sending.exit_code(), 0);
    assert_eq!(listening.event("gone")["reason"], "fetched");
    let offers = listening.events.iter().filter(|event| event["event"] == "offer").count();
    assert_eq!(offers, 1, "{:?}", listening.events);
}

/// What is said of interfaces that are not used.
fn skipped(process: &Process) -> Vec<&str> {
    let skipped = process.events.iter().filter(|event| event["code"] == "interface-skipped");
    skipped.filter_map(|event| event["message"].as_str()).collect()
}

#[test]
fn a_network_of_two_addresses() {
    let lan = Lan::of(2);
    lan.join(0, 1);
    for (host, ip) in lan.hosts.iter().zip(["192.0.2.0", "192.0.2.1"]) {
        host.ip_command("address flush dev eth0");
        host.ip_command(&format!("address add {ip}/31 dev eth1"));
    }
    hand_over(&lan, "192.0.2.0:48556");
}

#[test]
fn an_address_that_is_alone_in_its_network_and_a_route() {
    let lan = Lan::of(2);
    lan.join(0, 1);
    for (host, [own, other]) in lan.hosts.iter().zip([["10.9.0.1", "10.9.0.2"], ["10.9.0.2", "10.9.0.1"]]) {
        host.ip_command("address flush dev eth0");
        host.ip_command(&format!("address add {own}/32 dev eth1"));
        host.ip_command(&format!("route add {other}/32 dev eth1"));
    }
    hand_over(&lan, "10.9.0.1:48556");
}

/// A tunnel with nothing beside it.
fn tunnelled(weather: Weather) -> (Lan, Tunnel) {
    let lan = Lan::of(2);
    let tunnel = Tunnel::new(&lan, weather);
    for (host, [own, other]) in lan.hosts.iter().zip([["10.9.0.1", "10.9.0.2"], ["10.9.0.2", "10.9.0.1"]]) {
        host.ip_command(&format!("address add {own} peer {other} dev tun0"));
        // The LAN carries the tunnel and nothing else.
        host.filter("udp dport 48555").unwrap();
        host.filter("tcp dport 48556").unwrap();
    }
    (lan, tunnel)
}

#[test]
fn a_link_that_is_point_to_point() {
    let (lan, _tunnel) = tunnelled(Weather::default());
    hand_over(&lan, "10.9.0.1:48556");
}

#[test]
fn a_third_of_all_packets_lost_and_the_others_late_out_of_order_and_doubled() {
    let weather = Weather { lost: 30, doubled: 10, delay: Duration::from_millis(200) };
    let (lan, _tunnel) = tunnelled(weather);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = noise(3, 20_000);
    let path = write(folder.path(), "small.bin", &content);
    let (mut sending, token, _) = send_file(sender, folder.path(), &path, &[]);
    let mut fetching = search(receiver, here.path(), &token);
    assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
    assert_eq!(std::fs::read(here.path().join("small.bin")).unwrap(), content);
    // The confirmation may be lost on the way back.
    let ended = sending.exit_code();
    assert!(ended == 0 || ended == 3, "{:?}", sending.events);
}

#[test]
fn three_interfaces_and_receivers_behind_two_of_them() {
    let lan = Lan::of(3);
    let [sender, one, two] = &lan.hosts[..] else { unreachable!("three hosts") };
    // The switch, and a cable to each of the others.
    lan.join(0, 1);
    sender.ip_command("link set eth1 down");
    sender.ip_command("link set eth1 name eth2");
    lan.join(0, 2);
    for (host, interface, ip) in [
        (sender, "eth2", "10.78.0.1"),
        (one, "eth1", "10.78.0.2"),
        (sender, "eth1", "10.79.0.1"),
        (two, "eth1", "10.79.0.2"),
    ] {
        host.ip_command(&format!("link set {interface} up"));
        host.ip_command(&format!("address add {ip}/24 broadcast + dev {interface}"));
    }
    two.ip_command("link set eth0 down");
    let folder = tempfile::tempdir().unwrap();
    let mut listening = [one, two].map(|host| listener(host, folder.path()));
    let (mut sending, token, _) = send_message(sender, folder.path(), "all around", &["--fetches", "2"]);
    assert_eq!(sending.events.last().unwrap()["addresses"].as_array().map(Vec::len), Some(4));
    // One is reached by the switch and by a cable; either will do, once.
    let from = listening[0].event("offer")["from"].to_string();
    assert!(from.contains("10.77.0.1:48556") || from.contains("10.78.0.1:48556"), "{from}");
    assert_eq!(listening[1].event("offer")["from"], "10.79.0.1:48556");
    for host in [one, two] {
        let mut fetching = search(host, folder.path(), &token);
        assert_eq!(fetching.event("received")["text"], "all around");
        assert_eq!(fetching.exit_code(), 0);
    }
    assert_eq!(sending.exit_code(), 0);
    for listening in &mut listening {
        listening.event("gone");
        assert_eq!(listening.events.iter().filter(|event| event["event"] == "offer").count(), 1);
    }
}

#[test]
fn two_interfaces_on_one_network_of_which_one_goes_down() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    lan.plug_in_again(0, "eth1", "10.77.0.11");
    let folder = tempfile::tempdir().unwrap();
    let mut listening = listener(receiver, folder.path());
    let (mut sending, token, _) = send_message(sender, folder.path(), "twice here", &[]);
    let offer = listening.event("offer");
    let (first, other) = match offer["from"].as_str() {
        Some("10.77.0.1:48556") => ("eth0", "10.77.0.11:48556"),
        Some("10.77.0.11:48556") => ("eth1", "10.77.0.1:48556"),
        _ => panic!("{offer}"),
    };
    // Linux would go on answering for the address of an interface that is down by way of the other one.
    sender.ip_command(&format!("address flush dev {first}"));
    sender.ip_command(&format!("link set {first} down"));
    sending.event("ready");
    let again = listening.event("offer");
    assert_eq!((&again["from"], &again["token"]), (&json!(other), &json!(token)));
    let mut fetching = search(receiver, folder.path(), &token);
    assert_eq!(fetching.event("received")["text"], "twice here");
    assert_eq!(sending.exit_code(), 0);
}

#[test]
fn small_packets_beside_large_ones() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    for (host, n, mtu) in [(sender, 1, 9_000), (receiver, 2, 1_280)] {
        lan.switch().ip_command(&format!("link set port{n} mtu {mtu}"));
        host.ip_command(&format!("link set eth0 mtu {mtu}"));
    }
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = noise(9, 3 << 20);
    let path = write(folder.path(), "large.bin", &content);
    let (mut sending, token, _) = send_file(sender, folder.path(), &path, &[]);
    let mut fetching = search(receiver, here.path(), &token);
    assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
    assert_eq!(sending.exit_code(), 0);
    assert!(std::fs::read(here.path().join("large.bin")).unwrap() == content);
}

#[test]
fn a_switch_whose_port_is_blocked_at_first() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    // The spanning tree protocol blocks a port for twice the forward delay, of 2 s at least, while its host sees a carrier.
    lan.switch().ip_command("link set br0 type bridge stp_state 1 forward_delay 200");
    let folder = tempfile::tempdir().unwrap();
    lan.cable(1, false);
    let mut listening = listener(receiver, folder.path());
    lan.cable(1, true);
    let (mut sending, token, _) = send_message(sender, folder.path(), "patience", &[]);
    assert!(listening.event_within("offer", Duration::from_secs(2)).is_none(), "the port is open");
    assert_eq!(listening.event("offer")["token"], token);
    let mut fetching = search(receiver, folder.path(), &token);
    assert_eq!(fetching.event("received")["text"], "patience");
    assert_eq!(sending.exit_code(), 0);
}

#[test]
fn two_listeners_and_two_senders_on_one_host() {
    let lan = Lan::of(2);
    let [host, other] = &lan.hosts[..] else { unreachable!("two hosts") };
    let folder = tempfile::tempdir().unwrap();
    let mut listening = [host, host, other].map(|host| listener(host, folder.path()));
    let (mut one, first, _) = send_message(host, folder.path(), "one", &[]);
    let (mut two, second, _) = send_message(host, folder.path(), "two", &[]);
    for listening in &mut listening {
        let mut shown: Vec<String> = (0..2)
            .map(|_| listening.event("offer")["token"].as_str().unwrap_or_default().to_owned())
            .collect();
        shown.sort();
        let mut expected = [first.clone(), second.clone()];
        expected.sort();
        assert_eq!(shown, expected);
    }
    for (token, text) in [(&first, "one"), (&second, "two")] {
        let mut fetching = search(host, folder.path(), token);
        assert_eq!(fetching.event("received")["text"], text);
        assert_eq!(fetching.exit_code(), 0);
    }
    assert_eq!((one.exit_code(), two.exit_code()), (0, 0));
}

#[test]
fn a_bridge_is_used_and_its_ports_are_not_and_that_can_be_asked_for() {
    let lan = Lan::of(2);
    let [sender, receiver] = &lan.hosts[..] else { unreachable!("two hosts") };
    // As containers have it: a bridge with the address, and a port of it with a link-local one. eth0 is a port too.
    for words in [
        "link add name home type bridge",
        "link set home addrgenmode none",
        "link set home up",
        "link set eth0 master home",
        "address flush dev eth0",
        "address add fe80::7/64 dev eth0 nodad",
        "address add 10.77.0.1/24 broadcast + dev home",
        "link add name off type bridge",
        "link add name pair0 type veth peer name pair1",
        "link set pair0 addrgenmode none",
        "link set pair1 addrgenmode none",
        "link set pair0 up",
        "link set pair1 up",
        "link add name cut0 type veth peer name cut1",
        "link set cut0 addrgenmode none",
        "link set cut0 up",
    ] {
        sender.ip_command(words);
    }
    // The system takes a moment to tell that there is a carrier.
    let is_up = |name: &str| {
        let shown = sender.command("ip").args(["link", "show", name]).output().unwrap();
        String::from_utf8_lossy(&shown.stdout).contains("state UP")
    };
    wait_for(|| ["home", "pair0", "pair1"].iter().all(|name| is_up(name)));
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, _) = send_message(sender, folder.path(), "behind the bridge", &["-v"]);
    let expected = [
        "eth0 is not used: it is a port of home, which stands for it",
        "off is not used: it is down",
        "cut0 is not used: it has no carrier: its cable is out, or it has joined no network",
        "cut1 is not used: it is down",
        "pair1 is not used: it has no address",
        "pair0 is not used: it has no address",
    ];
    let said = skipped(&sending);
    assert!(expected.iter().all(|line| said.contains(line)) && said.len() == expected.len(), "{said:?}");
    assert_eq!(sending.events.last().unwrap()["addresses"], json!(["10.77.0.1", "127.0.0.1"]));
    let mut fetching = fetch(receiver, folder.path(), sender, &token, &[]);
    assert_eq!(fetching.event("received")["text"], "behind the bridge");
    assert_eq!(sending.exit_code(), 0);

    // Without the request there is no word of it.
    let (quiet, ..) = send_message(sender, folder.path(), "no word", &[]);
    assert_eq!(skipped(&quiet), [] as [&str; 0]);
    // A port that is named is used.
    let (named, ..) = send_message(sender, folder.path(), "by name", &["--interface", "eth0"]);
    assert_eq!(named.events.last().unwrap()["addresses"], json!(["fe80::7%eth0"]));
    // One that cannot be used says why.
    for (name, why) in [("off", "it is down"), ("cut0", "it has no carrier"), ("pair0", "it has no address")]
    {
        let mut refused = spawn(sender, folder.path(), ROOM, &["run", "--json", "--interface", name], b"");
        assert_eq!(refused.exit_code(), 7);
        let message = refused.last()["message"].to_string();
        assert!(message.contains(&format!("{name} cannot be used: {why}")), "{message}");
    }
}

#[test]
fn no_default_route() {
    let lan = Lan::of(2);
    for host in &lan.hosts {
        let routes = host.command("ip").args(["route", "show", "default"]).output().unwrap();
        assert!(routes.status.success() && routes.stdout.is_empty(), "{routes:?}");
    }
    hand_over(&lan, "10.77.0.1:48556");
}
