//! A board without a valid provisioning record or seed reports it on the console and stays off the network.

use deaddrop_provisioning::record::Mode;

use testbed::{Failure, PATIENCE, ROOM};

use super::board_testbed::{BoardTestbed, Provisioned, Seeds};
use super::case::Case;

use crate::firmware::provision;

pub(super) const CASES: &[Case] = &[
    Case { name: "a blank provisioning record is said on the console", run: blank },
    Case { name: "a corrupt provisioning record is said on the console", run: corrupt },
    Case { name: "a newer provisioning record is said on the console", run: newer },
    Case { name: "a seed that does not stick is refused", run: does_not_stick },
    Case { name: "a missing seed is refused", run: no_seed },
];

fn blank(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let record = Some(vec![0xFF; bed.map.record.length as usize]);
    let seeds = Seeds::File(bed.seeds(0)?);
    refused(bed, Provisioned { record, seeds }, "the provisioning record is blank")
}

fn corrupt(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let mut provisioned = bed.provisioned(0, ROOM, Mode::default())?;
    if let Some(byte) = provisioned.record.as_mut().and_then(|record| record.get_mut(40)) {
        *byte ^= 1;
    }
    refused(bed, provisioned, "the provisioning record is corrupt")
}

fn newer(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let seeds = Seeds::File(bed.seeds(0)?);
    refused(
        bed,
        Provisioned { record: Some(provision::newer_record()), seeds },
        "the provisioning record has version 2",
    )
}

/// The seed is in flash, which QEMU cannot write, so that replacing it has no effect.
fn does_not_stick(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let Provisioned { record, .. } = bed.provisioned(0, ROOM, Mode::default())?;
    let seeds = Seeds::Flash(provision::seed([7; 32]).to_vec());
    refused(bed, Provisioned { record, seeds }, "the seed cannot be replaced in flash")
}

fn no_seed(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let Provisioned { record, .. } = bed.provisioned(0, ROOM, Mode::default())?;
    let seeds = Seeds::File(provision::write(&bed.path("none.bin"), &[0xFF; 2_048])?);
    refused(bed, Provisioned { record, seeds }, "there is no seed in flash")
}

/// Starts a board that must print the reason and the remedy, and then stay off the network.
fn refused(bed: &mut BoardTestbed<'_>, provisioned: Provisioned, why: &str) -> Result<String, Failure> {
    let mut board = bed.start(0, provisioned)?;
    board.until(why, PATIENCE)?;
    // The remedy follows.
    board.until("until then it does not talk on the network", PATIENCE)?;
    let mut peer = bed.peer(0, &["fetch", "--from", &bed.tap(0).ip.to_string(), "--wait", "2"])?;
    peer.ends_with(7, PATIENCE)?;
    // A terminal that is connected later shows it too.
    board.say("\r")?;
    board.until(why, PATIENCE)?;
    bed.finish(board)?;
    Ok(String::new())
}
