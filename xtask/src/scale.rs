//! `scale`: how discovery grows with the LAN, simulated.

use argh::FromArgs;

use crate::environment::repo::{Failure, Repo};

/// Simulate discovery on LANs of many hosts, in virtual time, and print a table: beacons, airtime, handshakes,
/// guess budgets, times to an offer. The tables of core/docs/scale.md come from it.
#[derive(FromArgs)]
#[argh(subcommand, name = "scale")]
pub(crate) struct Scale {
    /// hosts, numbers with commas between (10,100,1000); 10000 takes minutes and 4 GB
    #[argh(option)]
    hosts: Option<String>,
    /// rooms side by side, numbers with commas between (1,200)
    #[argh(option)]
    rooms: Option<String>,
    /// networks, with commas between: wired, wifi, wifi-slow (wired,wifi)
    #[argh(option)]
    net: Option<String>,
    /// the seed of all randomness (1)
    #[argh(option)]
    seed: Option<u64>,
    /// hosts that send from the start, in percent (10)
    #[argh(option)]
    senders: Option<usize>,
    /// messages each host sends in an hour once things have settled (0)
    #[argh(option)]
    messages: Option<usize>,
    /// seconds from the start until the steady state is measured (60)
    #[argh(option)]
    settle: Option<u64>,
    /// measure on this machine the time that the simulation charges for a handshake, and do nothing else
    #[argh(switch)]
    costs: bool,
    /// flood one listener with forged beacons, and do nothing else
    #[argh(switch)]
    flood: bool,
}

/// Runs the simulation, in release mode.
pub(crate) fn run(repo: &Repo, scale: &Scale) -> Result<(), Failure> {
    let mut cargo = repo.cargo(["run", "--locked", "--release", "--quiet", "-p", "deaddrop-simulation"]);
    cargo.arg("--").args(words(scale));
    let status = cargo.status().map_err(Failure::at("cargo"))?;
    // The simulation has printed the reason.
    if status.success() { Ok(()) } else { Err(Failure::new("")) }
}

/// The options as the simulation takes them.
fn words(scale: &Scale) -> Vec<String> {
    let options = [
        ("--hosts", scale.hosts.clone()),
        ("--rooms", scale.rooms.clone()),
        ("--net", scale.net.clone()),
        ("--seed", scale.seed.map(|n| n.to_string())),
        ("--senders", scale.senders.map(|n| n.to_string())),
        ("--messages", scale.messages.map(|n| n.to_string())),
        ("--settle", scale.settle.map(|n| n.to_string())),
    ];
    let given = options.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?]));
    let switches = [("--costs", scale.costs), ("--flood", scale.flood)];
    let switches = switches.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned());
    given.flatten().chain(switches).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_passed_on() {
        let of = |words: &[&str]| super::words(&Scale::from_args(&["scale"], words).unwrap());
        assert!(of(&[]).is_empty());
        let all = ["--hosts", "10,100", "--rooms", "200", "--net", "wifi", "--seed", "7"];
        assert_eq!(of(&all), all);
        let rest = ["--senders", "5", "--messages", "6", "--settle", "90", "--costs", "--flood"];
        assert_eq!(of(&rest), rest);
        assert!(Scale::from_args(&["scale"], &["--seed", "x"]).is_err());
    }
}
