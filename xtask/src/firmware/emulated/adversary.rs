//! Boards under attack.

use testbed::{Failure, PATIENCE};

use super::board_testbed::BoardTestbed;
use super::case::Case;

pub(super) const CASES: &[Case] =
    &[Case { name: "after a flood of beacons and connections a board still serves", run: junk }];

/// Beacons of senders that do not exist; connections that send nothing or nonsense; and SYNs whose sender
/// drops the answer.
fn junk(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    const PORT: u16 = deaddrop_core::limits::TCP_PORT_FIRST;
    let mut board = bed.member(0)?;
    let token = board.send("still here")?;
    let to = bed.tap(0).ip.to_string();
    let mut said = bed.ourselves(1, &["firmware", "adversary", "--to", &to, "--beacons", "30000"])?;
    said += &bed.ourselves(1, &["firmware", "adversary", "--to", &to, "--connections", "1000"])?;
    bed.lan.host(1)?.filter(&format!("tcp sport {PORT}"))?;
    said += &bed.ourselves(1, &["firmware", "adversary", "--to", &to, "--connections", "50"])?;
    bed.lan.host(1)?.unfilter()?;
    // A member that did not take part in the attack is served, though maybe after retries.
    let mut peer = bed.peer(0, &["fetch", "--token", &token, "--wait", "60"])?;
    let received = peer.await_event("received", PATIENCE)?;
    if received["text"] != "still here" {
        return Err(Failure(format!("something else came: {received}")));
    }
    peer.ends_with(0, PATIENCE)?;
    board.is_fetched()?;
    bed.finish(board)?;
    Ok(said.trim().replace('\n', "; "))
}
