//! `firmware run`: runs the emulated board with its console on this terminal.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use argh::FromArgs;
use deaddrop_provisioning::record::Mode;
use deaddrop_provisioning::{Address, Ipv4Network};
use testbed::emulator::{Machine, PROGRAM};
use testbed::lan::PREFIX;

use super::board::EMULATED;
use super::build;
use super::{provision, room};
use crate::environment::random::random;
use crate::environment::repo::{Failure, Repo, captured, succeeds};

/// Start the emulated board, a member of your room, with its console on this terminal. As root it gets a
/// network that this machine is on, and the deaddrop of this machine and the board find each other; otherwise
/// the board can only be fetched from.
#[derive(FromArgs)]
#[argh(subcommand, name = "run")]
pub(crate) struct Run {
    /// file with the passphrase of the room; without it, a random room
    #[argh(option, arg_name = "path")]
    room_file: Option<PathBuf>,
    /// lan: a network with this machine, which takes root; ports: the board's TCP port, forwarded.
    /// Default: lan as root, else ports
    #[argh(option, from_str_fn(net), arg_name = "lan|ports")]
    net: Option<Net>,
    /// have the board fetch messages as they are offered
    #[argh(switch)]
    auto: bool,
}

/// How the board is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Net {
    /// By an interface of this machine.
    Lan,
    /// By one forwarded TCP port.
    Ports,
}

fn net(word: &str) -> Result<Net, String> {
    match word {
        "lan" => Ok(Net::Lan),
        "ports" => Ok(Net::Ports),
        _ => Err(format!("no network {word:?}; there are: lan, ports")),
    }
}

/// This machine's interface on the board's network. Gone with the emulator.
const INTERFACE: &str = "deaddrop0";
/// Its address, and the board's.
const OURS: Ipv4Addr = Ipv4Addr::new(10, 79, 55, 1);
const BOARD: Ipv4Addr = Ipv4Addr::new(10, 79, 55, 2);
/// The forwarded port of this machine; a deaddrop of this machine does not use it.
const PASSED_ON: u16 = 48_600;

/// Builds, provisions, and waits until the emulator ends.
pub(crate) fn run(repo: &Repo, run: &Run) -> Result<(), Failure> {
    let root = succeeds(repo.program("sh").args(["-c", "test \"$(id -u)\" = 0"]));
    let net = run.net.unwrap_or(if root { Net::Lan } else { Net::Ports });
    if net == Net::Lan && !root {
        return Err(Failure::new(
            "--net lan makes a network interface, which takes root: use sudo, or --net ports",
        ));
    }
    println!("building the image");
    let image = build::image(repo, EMULATED)?;
    let folder = repo.cache("firmware-run");
    fs::create_dir_all(&folder).map_err(Failure::at(folder.display()))?;
    let room = room_file(run.room_file.as_deref(), &folder)?;
    let passphrase = room::passphrase(&room)?;

    let map = provision::memory_map(repo, EMULATED)?;
    let record = provision::record(&passphrase, address(net)?, Mode { auto: run.auto })?;
    let record = provision::write(&folder.join("record.bin"), &record)?;
    let slots = provision::slots(&map, &provision::seed(random()?));
    let seeds = provision::write(&folder.join("seeds.bin"), &slots)?;
    let machine = Machine {
        image: &image,
        flash: vec![(map.record.origin, record)],
        seeds: Some(seeds),
        ram: None,
        nic: nic(net),
    };
    // The console is QEMU's standard input and output; Ctrl-A starts QEMU's own keys.
    let mut emulator = repo.program(PROGRAM);
    emulator.args(machine.words()).args(["-serial", "mon:stdio"]).stdin(Stdio::inherit());
    println!("{}", words(net, &room));
    let mut emulator = emulator.spawn().map_err(Failure::at(PROGRAM))?;
    if net == Net::Lan
        && let Err(failure) = bring_up(repo)
    {
        let _ = emulator.kill();
        let _ = emulator.wait();
        return Err(failure);
    }
    let status = emulator.wait().map_err(Failure::at(PROGRAM))?;
    if status.success() { Ok(()) } else { Err(Failure(format!("the emulator ended with {status}"))) }
}

/// The file given, or a room of the board's own.
fn room_file(given: Option<&Path>, folder: &Path) -> Result<PathBuf, Failure> {
    if let Some(given) = given {
        return fs::canonicalize(given).map_err(Failure::at(format!("the room file {}", given.display())));
    }
    let path = folder.join("room.txt");
    if !path.exists() {
        provision::write(&path, format!("{:032x}\n", u128::from_le_bytes(random()?)).as_bytes())?;
    }
    Ok(path)
}

fn address(net: Net) -> Result<Address, Failure> {
    match net {
        Net::Lan => Ipv4Network::new(BOARD.octets().into(), PREFIX, None)
            .map(Address::Static)
            .map_err(Failure::at("the board's address")),
        // QEMU's own DHCP server.
        Net::Ports => Ok(Address::Dhcp),
    }
}

fn nic(net: Net) -> String {
    match net {
        Net::Lan => format!("tap,ifname={INTERFACE},script=no,downscript=no,mac=02:dd:00:00:00:02"),
        Net::Ports => format!(
            "user,restrict=on,hostfwd=tcp:127.0.0.1:{PASSED_ON}-:{}",
            deaddrop_core::limits::TCP_PORT_FIRST
        ),
    }
}

/// Gives this machine its address on the board's network, once the emulator has made the interface.
fn bring_up(repo: &Repo) -> Result<(), Failure> {
    let there = || succeeds(repo.program("ip").args(["link", "show", INTERFACE]));
    for _ in 0..100 {
        if there() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let ip = |words: &str| captured(Command::new("ip").args(words.split(' '))).map(drop);
    ip(&format!("address add {OURS}/{PREFIX} broadcast + dev {INTERFACE}"))?;
    ip(&format!("link set {INTERFACE} up"))
}

/// Instructions for the person at the terminal.
fn words(net: Net, room: &Path) -> String {
    let room = room.display();
    let what = match net {
        Net::Lan => format!(
            "The board is {BOARD}, on {INTERFACE} of this machine. In another terminal:\n    \
             deaddrop run --room-file {room}\n    \
             deaddrop send-msg --room-file {room} \"hello, board\""
        ),
        Net::Ports => format!(
            "The board cannot receive this machine's offers (that takes root), but its own can be fetched. In another \
             terminal:\n    deaddrop fetch --room-file {room} --from 127.0.0.1:{PASSED_ON}"
        ),
    };
    format!("{what}\nThis is its console: type help. Ctrl-A X ends it.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_named() {
        assert_eq!(net("lan"), Ok(Net::Lan));
        assert!(net("wan").unwrap_err().contains("lan, ports"));
    }

    #[test]
    fn a_person_is_told_what_to_type() {
        let room = Path::new("room.txt");
        assert!(words(Net::Lan, room).contains("deaddrop run --room-file room.txt"));
        assert!(words(Net::Ports, room).contains("fetch --room-file room.txt --from 127.0.0.1:48600"));
        assert!(nic(Net::Ports).contains(":48600-:48556"));
    }
}
