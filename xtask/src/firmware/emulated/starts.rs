//! Starts and restarts of a board, its address by DHCP, and an idle board.

use std::fs;
use std::time::Duration;

use deaddrop_provisioning::Address;
use deaddrop_provisioning::record::Mode;

use testbed::{Failure, PATIENCE, ROOM};

use super::board_testbed::{BoardTestbed, Provisioned, Seeds};
use super::case::Case;

use crate::firmware::provision;

pub(super) const CASES: &[Case] = &[
    Case { name: "a board that was given no address gets one by DHCP", run: dhcp },
    Case { name: "two starts from one provisioning record use different scalars", run: two_starts },
    Case { name: "a board that is reset comes back and holds nothing", run: reset },
    Case { name: "a board that has nothing to do leaves its emulator idle", run: idle },
];

/// QEMU has a DHCP server, which gives the first address of its pool.
fn dhcp(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let record = Some(provision::record(ROOM, Address::Dhcp, Mode::default())?);
    let provisioned = Provisioned { record, seeds: Seeds::File(bed.seeds(0)?) };
    let mut board = bed.start_with(0, provisioned, "user,restrict=on".to_owned())?;
    board.until("On the network as 10.0.2.15", PATIENCE)?;
    bed.finish(board)?;
    Ok(String::new())
}

/// The greeting, and the share that answers one and the same message 2, show the random values of a start.
fn two_starts(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let Provisioned { record, .. } = bed.provisioned(0, ROOM, Mode::default())?;
    let seeds = bed.path(SEEDS);
    fs::copy(bed.seeds(0)?, &seeds).map_err(Failure::at(seeds.display()))?;
    let first = fs::read(&seeds).map_err(Failure::at(seeds.display()))?;
    let one = hello_of_start(bed, &record, &first)?;
    let second = fs::read(&seeds).map_err(Failure::at("the seeds"))?;
    let two = hello_of_start(bed, &record, &second)?;
    let again = hello_of_start(bed, &record, &first)?;
    if second == first {
        return Err(Failure::new("the seed is the same after a start"));
    }
    if one.instance == two.instance || one.nonce == two.nonce || one.share == two.share {
        return Err(Failure::new("two starts drew the same"));
    }
    // Without this the comparison above would prove nothing about the seed.
    if one.instance != again.instance {
        return Err(Failure::new(
            "a start with the seed of another did not draw the same: the test is blunt",
        ));
    }
    Ok(String::new())
}

/// The file of its seeds.
const SEEDS: &str = "seeds-of-starts.bin";

/// Starts a board with these seeds, has it serve a drop, and gives the random values of its handshake.
fn hello_of_start(
    bed: &mut BoardTestbed<'_>,
    record: &Option<Vec<u8>>,
    seeds: &[u8],
) -> Result<Hello, Failure> {
    let file = provision::write(&bed.path(SEEDS), seeds)?;
    let mut board = bed.start(0, Provisioned { record: record.clone(), seeds: Seeds::File(file) })?;
    board.is_up()?;
    board.send("something to serve")?;
    let to = bed.tap(0).ip.to_string();
    let said = bed.ourselves(0, &["firmware", "adversary", "--to", &to, "--hello"])?;
    bed.finish(board)?;
    Hello::parse(&said).ok_or_else(|| Failure(format!("no hello of the board: {said}")))
}

/// The random values of a board's handshake, in hexadecimal digits.
struct Hello {
    instance: String,
    nonce: String,
    share: String,
}

impl Hello {
    fn parse(said: &str) -> Option<Self> {
        let word =
            |name: &str| said.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
        Some(Self { instance: word("instance ")?, nonce: word("nonce ")?, share: word("share ")? })
    }
}

fn reset(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let mut board = bed.member(0)?;
    board.send("gone with the power")?;
    board.console().skip();
    board.reset()?;
    board.is_up()?;
    board.holds_nothing()?;
    bed.finish(board)?;
    Ok(String::new())
}

fn idle(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let board = bed.member(0)?;
    // After its start it sends solicits.
    std::thread::sleep(Duration::from_secs(6));
    let load = board.load(Duration::from_secs(5))?;
    bed.finish(board)?;
    if load > 5.0 {
        return Err(Failure(format!("it uses {load:.1} % of a processor")));
    }
    Ok(format!("{load:.1} % of a processor"))
}
