//! Boards among those who mean harm.

use super::Case;
use crate::firmware::lab::{Lab, PATIENCE};
use crate::repo::Failure;

pub(super) const CASES: &[Case] =
    &[Case { name: "after junk of every sort a board still serves", run: junk }];

/// Beacons of senders that are not there; connections that say nothing, or nonsense; and SYNs whose sender
/// does not hear the answer.
fn junk(lab: &mut Lab<'_>) -> Result<String, Failure> {
    const PORT: u16 = deaddrop_core::limits::TCP_PORT_FIRST;
    let mut board = lab.member(0)?;
    let token = board.send("still here")?;
    let to = lab.port(0).ip.to_string();
    let mut said = lab.ourselves(1, &["firmware", "junk", "--to", &to, "--beacons", "30000"])?;
    said += &lab.ourselves(1, &["firmware", "junk", "--to", &to, "--connections", "1000"])?;
    lab.network.host(1)?.deaf_to(PORT, true)?;
    said += &lab.ourselves(1, &["firmware", "junk", "--to", &to, "--connections", "50"])?;
    lab.network.host(1)?.deaf_to(PORT, false)?;
    // Whoever knows the room and has done nothing wrong is served, though maybe not at once.
    let mut peer = lab.peer(0, &["fetch", "--token", &token, "--wait", "60"])?;
    let received = peer.event("received", PATIENCE)?;
    if received["text"] != "still here" {
        return Err(Failure(format!("something else came: {received}")));
    }
    peer.ends_with(0, PATIENCE)?;
    board.is_fetched()?;
    lab.finish(board)?;
    Ok(said.trim().replace('\n', "; "))
}
