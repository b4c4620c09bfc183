//! The app as a process of Linux, on a tap: against hosts, and against a board.

use std::fs;

use super::Case;
use crate::firmware::lab::{Lab, PATIENCE};
use crate::repo::Failure;

pub(super) const CASES: &[Case] = &[
    Case { name: "the app on Linux and a host give each other a message", run: hosts },
    Case { name: "the app on Linux takes a file from a host that loses one frame in ten", run: lossy },
];

fn hosts(lab: &mut Lab<'_>) -> Result<String, Failure> {
    let mut app = lab.on_linux(0)?;
    let token = app.send("from the app")?;
    let mut peer = lab.peer(0, &["fetch", "--token", &token, "--wait", "30"])?;
    let received = peer.event("received", PATIENCE)?;
    if received["text"] != "from the app" {
        return Err(Failure(format!("the app sent another message than {received}")));
    }
    peer.ends_with(0, PATIENCE)?;
    app.is_fetched()?;

    let mut peer = lab.peer(1, &["send-msg", "from a host"])?;
    let ready = peer.event("ready", PATIENCE)?;
    let token = ready["token"].as_str().unwrap_or_default();
    app.sees(token)?;
    app.fetch(token)?;
    app.until("from a host", PATIENCE)?;
    peer.ends_with(0, PATIENCE)?;
    app.runs()?;
    Ok(String::new())
}

fn lossy(lab: &mut Lab<'_>) -> Result<String, Failure> {
    let mut app = lab.on_linux(0)?;
    let path = lab.path("lossy.bin");
    fs::write(&path, [0x5A; 16 * 1_024]).map_err(Failure::at(path.display()))?;
    lab.network.host(2)?.lose_one_in(Some(10))?;
    let mut peer = lab.peer(2, &["send-file", &path.to_string_lossy()])?;
    let ready = peer.event("ready", PATIENCE)?;
    let token = ready["token"].as_str().unwrap_or_default();
    app.sees(token)?;
    app.fetch(token)?;
    peer.event("fetched", PATIENCE)?;
    lab.network.host(2)?.lose_one_in(None)?;
    app.runs()?;
    Ok(String::new())
}
