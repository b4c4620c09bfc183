//! Drops that go from hosts to boards, from boards to hosts, and between boards.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::Case;
use crate::firmware::lab::{Lab, PATIENCE};
use crate::firmware::peer::Peer;
use crate::repo::Failure;

pub(super) const CASES: &[Case] = &[
    Case { name: "a message goes from host to board", run: message_to_board },
    Case { name: "a message goes from board to host", run: message_to_host },
    Case { name: "a host's list shows the board's offer", run: shown },
    Case { name: "a file of 16 KiB goes to the board and back", run: file },
    Case { name: "a file that was pasted goes to a host", run: pasted },
    Case { name: "a drop goes from board to board", run: between_boards },
    Case { name: "another room sees nothing and is refused", run: wrong_room },
    Case { name: "of 8 hosts that race for a drop one gets it", run: race },
    Case { name: "a drop is gone from the board when its time is over", run: lapse },
    Case { name: "a cable that was out in mid-transfer loses nothing", run: cable },
];

/// Bytes of the file.
const FILE: usize = 16 * 1024;
const MESSAGE: &str = "the key is under the third flower pot";

/// A message on offer on a host: who offers it, and its token.
fn offered(lab: &Lab<'_>, host: usize, words: &[&str]) -> Result<(Peer, String), Failure> {
    let mut peer = lab.peer(host, words)?;
    let ready = peer.event("ready", PATIENCE)?;
    let token = ready["token"].as_str().ok_or_else(|| Failure(format!("no token: {ready}")))?;
    Ok((peer, token.to_owned()))
}

fn message_to_board(lab: &mut Lab<'_>) -> Result<String, Failure> {
    let mut board = lab.member(0)?;
    let (mut peer, token) = offered(lab, 0, &["send-msg", MESSAGE])?;
    board.sees(&token)?;
    board.fetch(&token)?;
    board.until(MESSAGE, PATIENCE)?;
    peer.event("fetched", PATIENCE)?;
    peer.ends_with(0, PATIENCE)?;
    lab.finish(board)?;
    Ok(String::new())
}

fn message_to_host(lab: &mut Lab<'_>) -> Result<String, Failure> {
    let mut board = lab.member(0)?;
    let token = board.send(MESSAGE)?;
    let mut peer = lab.peer(0, &["fetch", "--wait", "30"])?;
    let received = peer.event("received", PATIENCE)?;
    if received["text"] != MESSAGE || received["token"] != token.as_str() {
        return Err(Failure(format!("the board sent {MESSAGE:?} as {token}, and there came {received}")));
    }
    peer.ends_with(0, PATIENCE)?;
    board.is_fetched()?;
    board.holds_nothing()?;
    lab.finish(board)?;
    Ok(String::new())
}

fn shown(lab: &mut Lab<'_>) -> Result<String, Failure> {
    let mut board = lab.member(0)?;
    let mut listener = lab.peer(0, &["run"])?;
    listener.event("ready", PATIENCE)?;
    let token = board.send(MESSAGE)?;
    let offer = listener.event("offer", PATIENCE)?;
    let from = offer["from"].as_str().unwrap_or_default();
    let right = offer["token"] == token.as_str()
        && offer["size"] == MESSAGE.len()
        && from.starts_with(&format!("{}:", lab.port(0).ip));
    if !right {
        return Err(Failure(format!("the board offers {token}, and the listener shows {offer}")));
    }
    board.order("forget #1")?;
    board.does("Wiped: ", PATIENCE)?;
    let gone = listener.event("gone", PATIENCE)?;
    if gone["token"] != token.as_str() || gone["reason"] != "withdrawn" {
        return Err(Failure(format!("the board withdrew {token}, and the listener shows {gone}")));
    }
    lab.finish(board)?;
    Ok(String::new())
}

fn file(lab: &mut Lab<'_>) -> Result<String, Failure> {
    let mut board = lab.member(0)?;
    let bytes = noise(FILE);
    let path = lab.path("flowers.bin");
    fs::write(&path, &bytes).map_err(Failure::at(path.display()))?;
    let (mut sender, token) = offered(lab, 0, &["send-file", &path.to_string_lossy()])?;
    board.sees(&token)?;
    let start = Instant::now();
    board.fetch(&token)?;
    sender.event("fetched", PATIENCE)?;
    let time = start.elapsed();
    sender.ends_with(0, PATIENCE)?;

    let token = board.offer("flowers.bin")?;
    let mut fetcher = lab.peer(1, &["fetch", "--token", &token, "--wait", "30"])?;
    let received = fetcher.event("received", PATIENCE)?;
    fetcher.ends_with(0, PATIENCE)?;
    let path = received["path"].as_str().unwrap_or_default();
    let path = lab.inbox(1)?.join(path);
    let back = fs::read(&path).map_err(Failure::at(path.display()))?;
    if Sha256::digest(&back) != Sha256::digest(&bytes) {
        return Err(Failure(format!("{} bytes came back, and they are others", back.len())));
    }
    lab.finish(board)?;
    Ok(format!("to the board in {:.1} s", time.as_secs_f64()))
}

fn pasted(lab: &mut Lab<'_>) -> Result<String, Failure> {
    let mut board = lab.member(0)?;
    let bytes = noise(FILE);
    board.order("put-hex pasted.bin")?;
    for line in bytes.chunks(32) {
        board.order(&line.iter().map(|byte| format!("{byte:02x}")).collect::<String>())?;
    }
    board.order(".")?;
    board.does("Kept file", PATIENCE)?;
    let token = board.offer("pasted.bin")?;
    let mut fetcher = lab.peer(0, &["fetch", "--token", &token, "--wait", "30"])?;
    let received = fetcher.event("received", PATIENCE)?;
    let path = lab.inbox(0)?.join(received["path"].as_str().unwrap_or_default());
    if Sha256::digest(fs::read(&path).map_err(Failure::at(path.display()))?) != Sha256::digest(&bytes) {
        return Err(Failure::new("what was fetched is not what was pasted"));
    }
    board.is_fetched()?;
    lab.finish(board)?;
    Ok(String::new())
}

fn between_boards(lab: &mut Lab<'_>) -> Result<String, Failure> {
    let (mut one, mut two) = (lab.member(0)?, lab.member(1)?);
    let token = one.send(MESSAGE)?;
    two.sees(&token)?;
    two.fetch(&token)?;
    two.until(MESSAGE, PATIENCE)?;
    one.is_fetched()?;
    let token = two.send("and back")?;
    one.sees(&token)?;
    one.fetch(&token)?;
    one.until("and back", PATIENCE)?;
    two.is_fetched()?;
    lab.finish(one)?;
    lab.finish(two)?;
    Ok(String::new())
}

fn wrong_room(lab: &mut Lab<'_>) -> Result<String, Failure> {
    const OTHER: &str = "another room altogether";
    let mut board = lab.member(0)?;
    let token = board.send(MESSAGE)?;
    let mut listener = lab.peer_of(1, OTHER, &["run"])?;
    listener.event("ready", PATIENCE)?;
    let from = lab.port(0).ip.to_string();
    let mut stranger = lab.peer_of(0, OTHER, &["fetch", "--from", &from, "--wait", "20"])?;
    stranger.ends_with(6, PATIENCE)?;
    if listener.event("offer", Duration::from_secs(3)).is_ok() {
        return Err(Failure::new("who is in another room sees an offer"));
    }
    // It is there for members all the same.
    let mut member = lab.peer(2, &["fetch", "--token", &token, "--wait", "30"])?;
    member.ends_with(0, PATIENCE)?;
    lab.finish(board)?;
    Ok(String::new())
}

fn race(lab: &mut Lab<'_>) -> Result<String, Failure> {
    let mut board = lab.member(0)?;
    let token = board.send(MESSAGE)?;
    let from = lab.port(0).ip.to_string();
    let words = ["fetch", "--from", &from, "--token", &token, "--wait", "20"];
    let mut racers = (0..8).map(|n| lab.peer(n, &words)).collect::<Result<Vec<_>, _>>()?;
    let codes = racers.iter_mut().map(|racer| racer.code(PATIENCE)).collect::<Result<Vec<_>, _>>()?;
    let winners = codes.iter().filter(|code| **code == 0).count();
    // The others hear that it is gone, or is being taken, or find the board busy until their time is over.
    let fair = codes.iter().all(|code| [0, 4, 5, 7].contains(code));
    if winners != 1 || !fair {
        return Err(Failure(format!("8 hosts raced for one drop and ended with {codes:?}")));
    }
    board.is_fetched()?;
    board.holds_nothing()?;
    lab.finish(board)?;
    Ok(format!("exit codes {codes:?}"))
}

fn lapse(lab: &mut Lab<'_>) -> Result<String, Failure> {
    let mut board = lab.member(0)?;
    let (mut peer, token) = offered(lab, 0, &["send-msg", "--ttl", "6", MESSAGE])?;
    board.sees(&token)?;
    peer.ends_with(3, PATIENCE)?;
    board.until(&format!("Gone (expired): {token}"), PATIENCE)?;
    lab.finish(board)?;
    Ok(String::new())
}

fn cable(lab: &mut Lab<'_>) -> Result<String, Failure> {
    let mut board = lab.member(0)?;
    let path = lab.path("cable.bin");
    let bytes = noise(FILE);
    fs::write(&path, &bytes).map_err(Failure::at(path.display()))?;
    // So slow that there is time to pull the cable: a file takes some seconds.
    lab.network.host(0)?.slow(64)?;
    let (mut sender, token) = offered(lab, 0, &["send-file", &path.to_string_lossy()])?;
    board.sees(&token)?;
    board.order(&format!("fetch {token}"))?;
    board.does("Fetching ", PATIENCE)?;
    thread::sleep(Duration::from_millis(1_000));
    let port = lab.port(0);
    lab.network.cable(&port, false)?;
    thread::sleep(Duration::from_secs(4));
    lab.network.cable(&port, true)?;
    // Either the connection outlived it, or the drop is free again.
    if board.until_any(&["Received ", "Not done: "], PATIENCE)? == 1 {
        thread::sleep(deaddrop_core::limits::LEASE);
        board.fetch(&token)?;
    }
    sender.event("fetched", PATIENCE)?;
    sender.ends_with(0, PATIENCE)?;
    lab.network.host(0)?.at_full_speed()?;
    let token = board.offer("cable.bin")?;
    let mut fetcher = lab.peer(1, &["fetch", "--token", &token, "--wait", "30"])?;
    let received = fetcher.event("received", PATIENCE)?;
    let path = lab.inbox(1)?.join(received["path"].as_str().unwrap_or_default());
    if fs::read(&path).map_err(Failure::at(path.display()))? != bytes {
        return Err(Failure::new("the file came through, and it is another"));
    }
    lab.finish(board)?;
    Ok(String::new())
}

/// Bytes with no pattern that a mistake in offsets could hide in.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        // xorshift32: plenty for telling bytes apart.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    (0..length.div_ceil(4)).flat_map(|_| next()).take(length).collect()
}
