//! `run` as a service: what it tells the service manager, and how it reads its room again.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::signals::{SIGNALS, ends};
use crate::support::terminal::terminal;
use crate::support::{Host, Lan, Process, ROOM, send_message, spawn, write};

const OTHER_ROOM: &str = "another lantern harbour eighty";

fn room(folder: &Path, passphrase: &str, mode: u32) {
    let path = write(folder, "room.txt", format!("{passphrase}\n").as_bytes());
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A room file that is a pipe.
fn pipe(folder: &Path) {
    let path = folder.join("room.txt");
    let _ = fs::remove_file(&path);
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

/// A listener without a terminal, as a service manager starts it, with a room file and this environment.
fn service(host: &Host, folder: &Path, environment: &[(&str, &str)], more: &[&str]) -> Process {
    room(folder, ROOM, 0o600);
    let mut service = starting(host, folder, environment, more);
    service.event("ready");
    service
}

/// The same, not ready yet, with the room file as it is.
fn starting(host: &Host, folder: &Path, environment: &[(&str, &str)], more: &[&str]) -> Process {
    let mut command = host.command("setsid");
    command.arg(crate::support::deaddrop()).args(["run", "--json", "--room-file", "room.txt"]).args(more);
    command.current_dir(folder).env_remove("DEADDROP_ROOM").envs(environment.iter().copied());
    Process::from_command(command, "run as a service".into())
}

/// Reads what the service manager is told until there is a line like this.
fn told(manager: &UnixDatagram, line: &str) {
    let mut bytes = [0; 4096];
    loop {
        let length = manager.recv(&mut bytes).unwrap_or_else(|error| panic!("no {line}: {error}"));
        if std::str::from_utf8(&bytes[..length]).unwrap().lines().any(|told| told == line) {
            return;
        }
    }
}

#[test]
fn a_service_manager_is_told_how_it_does() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    fs::create_dir(folder.path().join("inbox")).unwrap();
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "400000")];
    // A program that it runs is no part of that.
    let more = [
        "--auto-fetch",
        "all",
        "--out",
        "inbox",
        "--exec",
        "sh",
        "--",
        "-c",
        "test -z \"$NOTIFY_SOCKET$WATCHDOG_USEC\"",
    ];
    let mut service = service(host, folder.path(), &environment, &more);
    told(&manager, "READY=1");
    told(&manager, "WATCHDOG=1");
    told(&manager, "WATCHDOG=1");
    let (mut sending, ..) = send_message(host, folder.path(), "x", &[]);
    assert_eq!(service.event("executed")["code"], 0);
    assert_eq!(sending.exit_code(), 0);
    told(&manager, "STATUS=0 offered, 1 fetched");
    ends(&mut service, SIGNALS[1]);
    told(&manager, "STOPPING=1");
}

#[test]
fn an_abstract_socket_is_told_too() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;
    let folder = tempfile::tempdir().unwrap();
    // Such a name belongs to a network namespace: this one is that of the test, and of the program.
    let name = format!("deaddrop-test-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    room(folder.path(), ROOM, 0o600);
    let mut command = std::process::Command::new(crate::support::deaddrop());
    command.args(["run", "--json", "--room-file", "room.txt", "--interface", "lo"]);
    command.current_dir(folder.path()).env("NOTIFY_SOCKET", format!("@{name}"));
    let mut process = Process::from_command(command, "run".into());
    process.event("ready");
    told(&manager, "READY=1");
}

#[test]
fn no_manager_or_one_that_is_gone_is_no_reason_to_stop() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    for socket in ["/no/such/socket", "relative", ""] {
        let mut service = service(host, folder.path(), &[("NOTIFY_SOCKET", socket)], &[]);
        ends(&mut service, SIGNALS[1]);
    }
}

#[test]
fn a_hang_up_has_the_room_file_read_again() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let mut service = service(host, folder.path(), &[], &[]);
    let (_first, first, _) = send_message(host, folder.path(), "in the first room", &[]);
    assert_eq!(service.event("offer")["token"], first);

    // What cannot be read changes nothing.
    room(folder.path(), OTHER_ROOM, 0o644);
    service.signal(Signal::HUP);
    let warning = service.event("warning");
    assert_eq!(warning["code"], "room-file");
    let message = warning["message"].as_str().unwrap();
    assert!(message.contains("chmod 600") && !message.contains("lantern"), "{message}");
    let (_second, second, _) = send_message(host, folder.path(), "still there", &[]);
    assert_eq!(service.event("offer")["token"], second);

    room(folder.path(), OTHER_ROOM, 0o600);
    service.signal(Signal::HUP);
    let mut gone: Vec<_> = (0..2).map(|_| service.event("gone")["token"].clone()).collect();
    gone.sort_by_key(ToString::to_string);
    let mut both = vec![json!(first), json!(second)];
    both.sort_by_key(ToString::to_string);
    assert_eq!(gone, both);
    service.event("ready");
    let arguments = ["send-msg", "--json", "in the other room"];
    let mut sending = spawn(host, folder.path(), OTHER_ROOM, &arguments, b"");
    let token = sending.event("ready")["token"].clone();
    assert_eq!(service.event("offer")["token"], token);
    ends(&mut service, SIGNALS[1]);
}

#[test]
fn a_room_file_that_makes_no_room_changes_nothing() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let mut service = service(host, folder.path(), &[], &[]);
    // It can be read, and a passphrase has no control characters.
    room(folder.path(), "another lantern\tharbour", 0o600);
    service.signal(Signal::HUP);
    let warning = service.event("warning");
    assert_eq!(warning["code"], "room-file");
    assert!(warning["message"].as_str().unwrap().contains("still in the room of before"), "{warning}");

    // Nothing comes out of a pipe to which nobody writes: the offers of before are shown all the same.
    pipe(folder.path());
    service.signal(Signal::HUP);
    let (_sending, token, _) = send_message(host, folder.path(), "still there", &[]);
    assert_eq!(service.event("offer")["token"], token);

    // Each request begins anew. What is written then to the same pipe is read, whichever of them it comes to.
    service.signal(Signal::HUP);
    fs::write(folder.path().join("room.txt"), OTHER_ROOM).unwrap();
    assert_eq!(service.event("gone")["token"], token);
    service.event("ready");
    pipe(folder.path());
    service.signal(Signal::HUP);
    let arguments = ["send-msg", "--json", "in the other room"];
    let mut sending = spawn(host, folder.path(), OTHER_ROOM, &arguments, b"");
    sending.event("ready");
    service.event("offer");
    fs::remove_file(folder.path().join("room.txt")).unwrap();
    room(folder.path(), ROOM, 0o600);
    service.signal(Signal::HUP);
    assert_eq!(service.event("offer")["token"], token);
    ends(&mut service, SIGNALS[1]);
}

#[test]
fn a_hang_up_that_comes_before_it_listens_is_heeded_then() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    pipe(folder.path());
    let mut service = starting(host, folder.path(), &[], &[]);
    let mut pipe = fs::OpenOptions::new().write(true).open(folder.path().join("room.txt")).unwrap();
    // It is reading.
    service.signal(Signal::HUP);
    fs::remove_file(folder.path().join("room.txt")).unwrap();
    room(folder.path(), OTHER_ROOM, 0o600);
    pipe.write_all(ROOM.as_bytes()).unwrap();
    drop(pipe);
    service.event("ready");
    service.event("ready");
    let mut sending = spawn(host, folder.path(), OTHER_ROOM, &["send-msg", "--json", "hello"], b"");
    let token = sending.event("ready")["token"].clone();
    assert_eq!(service.event("offer")["token"], token);
    ends(&mut service, SIGNALS[1]);
}

#[test]
fn an_interface_that_is_down_when_the_room_file_is_read_again_changes_nothing() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    host.ip_command("link add name pair0 type veth peer name pair1");
    host.ip_command("link set pair1 up");
    host.ip_command("link set pair0 up");
    host.ip_command("address add 10.78.0.1/24 broadcast + dev pair0");
    let mut service = service(host, folder.path(), &[], &["--interface", "lo", "--interface", "pair0"]);
    host.ip_command("link set pair0 down");
    room(folder.path(), OTHER_ROOM, 0o600);
    service.signal(Signal::HUP);
    let warning = service.event("warning");
    assert_eq!(warning["code"], "room-file", "{warning}");
    let message = warning["message"].as_str().unwrap();
    assert!(message.contains("pair0") && message.ends_with("; still in the room of before"), "{message}");
    let (_sending, token, _) = send_message(host, folder.path(), "still there", &[]);
    assert_eq!(service.event("offer")["token"], token);

    // The same once more, with the interface.
    host.ip_command("link set pair0 up");
    crate::support::wait_for(|| {
        let shown = host.command("ip").args(["link", "show", "pair0"]).output().unwrap();
        String::from_utf8_lossy(&shown.stdout).contains("state UP")
    });
    service.signal(Signal::HUP);
    assert_eq!(service.event("gone")["token"], token);
    ends(&mut service, SIGNALS[1]);
}

#[test]
fn the_end_of_its_terminal_ends_it_also_with_a_room_file() {
    let lan = Lan::alone();
    let folder = tempfile::tempdir().unwrap();
    room(folder.path(), ROOM, 0o600);
    let (_ours, theirs) = terminal();
    let name = fs::read_link(format!("/proc/self/fd/{}", theirs.as_raw_fd())).unwrap();
    let mut command = lan.hosts[0].command("sh");
    command.args(["-c", "exec setsid --ctty \"$@\" < \"$0\"", name.to_str().unwrap()]);
    command.args([crate::support::deaddrop(), "run", "--json", "--room-file", "room.txt"]);
    command.current_dir(folder.path()).env_remove("DEADDROP_ROOM");
    let mut listening = Process::from_command(command, "run on a terminal".into());
    listening.event("ready");
    ends(&mut listening, (Signal::HUP, 143, "terminated"));
}

#[test]
fn what_is_not_on_a_terminal_has_no_control_characters() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    fs::create_dir(folder.path().join("inbox")).unwrap();
    let arguments = ["run", "--auto-fetch", "all", "--out", "inbox"];
    let mut command = host.command(crate::support::deaddrop());
    command
        .args(arguments)
        .current_dir(folder.path())
        .env("DEADDROP_ROOM", ROOM)
        .env("TERM", "xterm-256color");
    let mut fetching = Process::from_command(command, "run".into());
    let large = folder.path().join("large\u{1b}[31m.bin");
    fs::File::create(&large).unwrap().set_len(64 << 20).unwrap();
    let (mut sending, ..) = crate::support::send_file(host, folder.path(), &large, &[]);
    assert_eq!(sending.exit_code(), 0);
    fetching.line("Gone (fetched)");
    fetching.signal(Signal::TERM);
    let (code, errors) = fetching.exit_and_errors();
    assert_eq!(code, 143, "{errors}");
    assert!(errors.contains("Saved inbox/large") && errors.ends_with("deaddrop: terminated\n"), "{errors}");
    let lines = fetching.events.iter().map(ToString::to_string).collect::<String>();
    assert!(!format!("{errors}{lines}").contains(['\u{1b}', '\r', '\u{7}']), "{errors}");
}
