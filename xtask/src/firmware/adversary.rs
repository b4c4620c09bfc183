//! `firmware adversary`: attacks a board from a host of its network. The tests of the emulated board run it there.

use std::net::Ipv4Addr;

use argh::FromArgs;
use testbed::{Failure, adversary, flood};

/// For the tests of the emulated board: attack it with beacons of senders that do not exist, or with connections
/// that send nothing.
#[derive(FromArgs)]
#[argh(subcommand, name = "adversary")]
pub(crate) struct Adversary {
    /// the board
    #[argh(option, arg_name = "ip")]
    to: Ipv4Addr,
    /// beacons to send it, each of another sender
    #[argh(option, default = "0", arg_name = "n")]
    beacons: u32,
    /// connections to open to it
    #[argh(option, default = "0", arg_name = "n")]
    connections: u32,
    /// run a handshake up to its share, and print the random values that it drew
    #[argh(switch)]
    hello: bool,
}

/// Attacks.
pub(crate) fn run(attack: &Adversary) -> Result<(), Failure> {
    if attack.hello {
        let draws = adversary::server_draws(attack.to).map_err(Failure::at("a handshake"))?;
        let [instance, nonce, share] = [&draws.instance[..], &draws.nonce, &draws.share].map(hex);
        println!("instance {instance}\nnonce {nonce}\nshare {share}");
        return Ok(());
    }
    flood::beacons(attack.to, attack.beacons).map_err(Failure::at("beacons"))?;
    let opened = flood::connections(attack.to, attack.connections);
    println!("{} beacons sent, {opened} of {} connections opened", attack.beacons, attack.connections);
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
