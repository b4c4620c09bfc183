//! Drops that go from hosts to boards, from boards to hosts, and between boards.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use testbed::noise::noise;
use testbed::process::Process;
use testbed::{Failure, PATIENCE};

use super::board_testbed::BoardTestbed;
use super::case::Case;

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

/// Starts a sender on a host and waits until it is ready. Gives the process and the drop's token.
pub(super) fn offered(
    bed: &BoardTestbed<'_>,
    host: usize,
    words: &[&str],
) -> Result<(Process, String), Failure> {
    let mut peer = bed.peer(host, words)?;
    let ready = peer.await_event("ready", PATIENCE)?;
    let token = ready["token"].as_str().ok_or_else(|| Failure(format!("no token: {ready}")))?;
    Ok((peer, token.to_owned()))
}

fn message_to_board(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let mut board = bed.member(0)?;
    let (mut peer, token) = offered(bed, 0, &["send-msg", MESSAGE])?;
    board.sees(&token)?;
    board.fetch(&token)?;
    board.until(MESSAGE, PATIENCE)?;
    peer.await_event("fetched", PATIENCE)?;
    peer.ends_with(0, PATIENCE)?;
    bed.finish(board)?;
    Ok(String::new())
}

fn message_to_host(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let mut board = bed.member(0)?;
    let token = board.send(MESSAGE)?;
    let mut peer = bed.peer(0, &["fetch", "--wait", "30"])?;
    let received = peer.await_event("received", PATIENCE)?;
    if received["text"] != MESSAGE || received["token"] != token.as_str() {
        return Err(Failure(format!("the board sent {MESSAGE:?} as {token}, and there came {received}")));
    }
    peer.ends_with(0, PATIENCE)?;
    board.is_fetched()?;
    board.holds_nothing()?;
    bed.finish(board)?;
    Ok(String::new())
}

fn shown(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let mut board = bed.member(0)?;
    let mut listener = bed.peer(0, &["run"])?;
    listener.await_event("ready", PATIENCE)?;
    let token = board.send(MESSAGE)?;
    let offer = listener.await_event("offer", PATIENCE)?;
    let from = offer["from"].as_str().unwrap_or_default();
    let right = offer["token"] == token.as_str()
        && offer["size"] == MESSAGE.len()
        && from.starts_with(&format!("{}:", bed.tap(0).ip));
    if !right {
        return Err(Failure(format!("the board offers {token}, and the listener shows {offer}")));
    }
    board.command("forget #1")?;
    board.does("Wiped: ", PATIENCE)?;
    let gone = listener.await_event("gone", PATIENCE)?;
    if gone["token"] != token.as_str() || gone["reason"] != "withdrawn" {
        return Err(Failure(format!("the board withdrew {token}, and the listener shows {gone}")));
    }
    bed.finish(board)?;
    Ok(String::new())
}

fn file(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let mut board = bed.member(0)?;
    let bytes = noise(1, FILE);
    let path = bed.path("flowers.bin");
    fs::write(&path, &bytes).map_err(Failure::at(path.display()))?;
    let (mut sender, token) = offered(bed, 0, &["send-file", &path.to_string_lossy()])?;
    board.sees(&token)?;
    let start = Instant::now();
    board.fetch(&token)?;
    sender.await_event("fetched", PATIENCE)?;
    let there = start.elapsed().as_millis();
    sender.ends_with(0, PATIENCE)?;

    let token = board.offer("flowers.bin")?;
    let start = Instant::now();
    let mut fetcher = bed.peer(1, &["fetch", "--token", &token, "--wait", "30"])?;
    let received = fetcher.await_event("received", PATIENCE)?;
    let back = start.elapsed().as_millis();
    fetcher.ends_with(0, PATIENCE)?;
    let path = received["path"].as_str().unwrap_or_default();
    let path = bed.inbox(1)?.join(path);
    let returned = fs::read(&path).map_err(Failure::at(path.display()))?;
    if Sha256::digest(&returned) != Sha256::digest(&bytes) {
        return Err(Failure(format!("{} bytes came back, and they are others", returned.len())));
    }
    bed.finish(board)?;
    Ok(format!("to the board in {there} ms, back in {back} ms with the start of the command"))
}

fn pasted(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let mut board = bed.member(0)?;
    let bytes = noise(1, FILE);
    board.command("put-hex pasted.bin")?;
    for line in bytes.chunks(32) {
        board.command(&line.iter().map(|byte| format!("{byte:02x}")).collect::<String>())?;
    }
    board.command(".")?;
    board.does("Kept file", PATIENCE)?;
    let token = board.offer("pasted.bin")?;
    let mut fetcher = bed.peer(0, &["fetch", "--token", &token, "--wait", "30"])?;
    let received = fetcher.await_event("received", PATIENCE)?;
    let path = bed.inbox(0)?.join(received["path"].as_str().unwrap_or_default());
    if Sha256::digest(fs::read(&path).map_err(Failure::at(path.display()))?) != Sha256::digest(&bytes) {
        return Err(Failure::new("the fetched file differs from the pasted one"));
    }
    // Ended before its sender is told, it would leave a record from which the next fetch here goes on.
    fetcher.ends_with(0, PATIENCE)?;
    board.is_fetched()?;
    bed.finish(board)?;
    Ok(String::new())
}

fn between_boards(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let (mut one, mut two) = (bed.member(0)?, bed.member(1)?);
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
    bed.finish(one)?;
    bed.finish(two)?;
    Ok(String::new())
}

fn wrong_room(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    const OTHER: &str = "another room altogether";
    let mut board = bed.member(0)?;
    let token = board.send(MESSAGE)?;
    let mut listener = bed.peer_of(1, OTHER, &["run"])?;
    listener.await_event("ready", PATIENCE)?;
    let from = bed.tap(0).ip.to_string();
    let mut stranger = bed.peer_of(0, OTHER, &["fetch", "--from", &from, "--wait", "20"])?;
    stranger.ends_with(6, PATIENCE)?;
    if listener.await_event("offer", Duration::from_secs(3)).is_ok() {
        return Err(Failure::new("a listener in another room shows the offer"));
    }
    // Members can still fetch it.
    let mut member = bed.peer(2, &["fetch", "--token", &token, "--wait", "30"])?;
    member.ends_with(0, PATIENCE)?;
    bed.finish(board)?;
    Ok(String::new())
}

fn race(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let mut board = bed.member(0)?;
    let token = board.send(MESSAGE)?;
    let from = bed.tap(0).ip.to_string();
    let words = ["fetch", "--from", &from, "--token", &token, "--wait", "20"];
    let mut racers = (0..8).map(|n| bed.peer(n, &words)).collect::<Result<Vec<_>, _>>()?;
    let codes = racers.iter_mut().map(|racer| racer.await_exit(PATIENCE)).collect::<Result<Vec<_>, _>>()?;
    let winners = codes.iter().filter(|code| **code == 0).count();
    // The others end because the drop is gone or claimed, or because the board was busy until their time was over.
    let fair = codes.iter().all(|code| [0, 4, 5, 7].contains(code));
    if winners != 1 || !fair {
        return Err(Failure(format!("8 hosts raced for one drop and ended with {codes:?}")));
    }
    board.is_fetched()?;
    board.holds_nothing()?;
    bed.finish(board)?;
    Ok(format!("exit codes {codes:?}"))
}

fn lapse(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let mut board = bed.member(0)?;
    let (mut peer, token) = offered(bed, 0, &["send-msg", "--ttl", "6", MESSAGE])?;
    board.sees(&token)?;
    peer.ends_with(3, PATIENCE)?;
    board.until(&format!("Gone (expired): {token}"), PATIENCE)?;
    bed.finish(board)?;
    Ok(String::new())
}

fn cable(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let mut board = bed.member(0)?;
    let path = bed.path("cable.bin");
    let bytes = noise(1, FILE);
    fs::write(&path, &bytes).map_err(Failure::at(path.display()))?;
    // At this rate the file takes seconds, which leaves time to pull the cable.
    bed.lan.host(0)?.limit_rate(64)?;
    let (mut sender, token) = offered(bed, 0, &["send-file", &path.to_string_lossy()])?;
    board.sees(&token)?;
    board.command(&format!("fetch {token}"))?;
    board.does("Fetching ", PATIENCE)?;
    thread::sleep(Duration::from_millis(1_000));
    let tap = bed.tap(0);
    bed.lan.board_cable(&tap, false)?;
    thread::sleep(Duration::from_secs(4));
    bed.lan.board_cable(&tap, true)?;
    // Either the connection survived, or the claim has lapsed.
    if board.until_any(&["Received ", "Not done: "], PATIENCE)? == 1 {
        thread::sleep(deaddrop_core::limits::LEASE);
        board.fetch(&token)?;
    }
    sender.await_event("fetched", PATIENCE)?;
    sender.ends_with(0, PATIENCE)?;
    bed.lan.host(0)?.unlimit_rate()?;
    let token = board.offer("cable.bin")?;
    let mut fetcher = bed.peer(1, &["fetch", "--token", &token, "--wait", "30"])?;
    let received = fetcher.await_event("received", PATIENCE)?;
    let path = bed.inbox(1)?.join(received["path"].as_str().unwrap_or_default());
    if fs::read(&path).map_err(Failure::at(path.display()))? != bytes {
        return Err(Failure::new("the file came through, and it is another"));
    }
    fetcher.ends_with(0, PATIENCE)?;
    bed.finish(board)?;
    Ok(String::new())
}
