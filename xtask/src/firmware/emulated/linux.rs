//! The firmware's app as a Linux process on a tap, against hosts.

use std::fs;
use std::time::Instant;

use deaddrop_provisioning::Address;

use testbed::{Failure, PATIENCE};

use super::board_testbed::BoardTestbed;
use super::case::Case;

/// The host that has a link-local address from then on, and no other test.
const LINK_LOCAL_HOST: usize = 8;

pub(super) const CASES: &[Case] = &[
    Case { name: "the app on Linux and a host give each other a message", run: hosts },
    Case { name: "the app on Linux takes a file from a host that loses one frame in ten", run: lossy },
    Case { name: "the app on Linux without a DHCP server and a host exchange a message", run: link_local },
    Case { name: "the app on Linux takes no processor time when it has nothing to do", run: idle },
];

/// Stack and app are tasks of their own: in one task they would wake each other for ever, and take all of a processor.
fn idle(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let mut app = bed.on_linux(0)?;
    // After its start it sends solicits.
    std::thread::sleep(std::time::Duration::from_secs(6));
    let load = app.load(std::time::Duration::from_secs(5))?;
    app.runs()?;
    if load > 3.0 {
        return Err(Failure(format!("it uses {load:.1} % of a processor")));
    }
    Ok(format!("{load:.1} % of a processor"))
}

/// A LAN without a DHCP server, whose host has a link-local address too.
fn link_local(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let host = bed.lan.host(LINK_LOCAL_HOST)?;
    host.ip_command("address flush dev eth0");
    host.ip_command("address add 169.254.7.7/16 broadcast + dev eth0");
    let mut app = bed.on_linux_at(1, Address::Dhcp)?;
    let started = Instant::now();
    app.until("On the network as 169.254.", PATIENCE)?;
    let seconds = started.elapsed().as_secs();
    let token = app.send("from 169.254")?;
    let mut peer = bed.peer(LINK_LOCAL_HOST, &["fetch", "--token", &token, "--wait", "30"])?;
    let received = peer.await_event("received", PATIENCE)?;
    if received["text"] != "from 169.254" {
        return Err(Failure(format!("the app sent another message than {received}")));
    }
    peer.ends_with(0, PATIENCE)?;
    app.is_fetched()?;
    app.runs()?;
    Ok(format!("an address after {seconds} s"))
}

fn hosts(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let mut app = bed.on_linux(0)?;
    let token = app.send("from the app")?;
    let mut peer = bed.peer(0, &["fetch", "--token", &token, "--wait", "30"])?;
    let received = peer.await_event("received", PATIENCE)?;
    if received["text"] != "from the app" {
        return Err(Failure(format!("the app sent another message than {received}")));
    }
    peer.ends_with(0, PATIENCE)?;
    app.is_fetched()?;

    let mut peer = bed.peer(1, &["send-msg", "from a host"])?;
    let ready = peer.await_event("ready", PATIENCE)?;
    let token = ready["token"].as_str().unwrap_or_default();
    app.sees(token)?;
    app.fetch(token)?;
    app.until("from a host", PATIENCE)?;
    peer.ends_with(0, PATIENCE)?;
    app.runs()?;
    Ok(String::new())
}

fn lossy(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let mut app = bed.on_linux(0)?;
    let path = bed.path("lossy.bin");
    fs::write(&path, [0x5A; 16 * 1_024]).map_err(Failure::at(path.display()))?;
    bed.lan.host(2)?.filter("numgen inc mod 10 == 0")?;
    let mut peer = bed.peer(2, &["send-file", &path.to_string_lossy()])?;
    let ready = peer.await_event("ready", PATIENCE)?;
    let token = ready["token"].as_str().unwrap_or_default();
    app.sees(token)?;
    app.fetch(token)?;
    peer.await_event("fetched", PATIENCE)?;
    bed.lan.host(2)?.unfilter()?;
    app.runs()?;
    Ok(String::new())
}
