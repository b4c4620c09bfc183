//! Files and folders that go to standard output, by way of a spool.

use std::fs::{self, File};
use std::process::Stdio;

use crate::standard_input::nameless;
use crate::support::actor::relay;
use crate::support::{Lan, ROOM, deaddrop, names, send_file, wait_for, write};

const MIB: usize = 1 << 20;

#[test]
fn what_is_spooled_is_not_readable_on_a_disk_and_is_whole_after_a_cut() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let marker = b"cobalt-heron 5519 in the clear! ";
    let content = marker.repeat(8 * MIB / marker.len());
    for name in ["a.bin", "tree"] {
        let (folder, spool) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(folder.path().join("tree")).unwrap();
        write(folder.path(), "a.bin", &content);
        write(&folder.path().join("tree"), "b.bin", &content);
        let (mut sending, token, port) = send_file(host, folder.path(), &folder.path().join(name), &[]);
        let (mut relay, by) = relay(host, port, Some(5 << 20), None);
        let out = folder.path().join("out");
        let mut command = host.command(deaddrop());
        command.args(["fetch", "--from", &format!("{}:{by}", host.ip), "--token", &token, "--out", "-"]);
        command.env("DEADDROP_ROOM", ROOM).env("TMPDIR", spool.path()).env("XDG_STATE_HOME", folder.path());
        let mut fetching = command.stdout(File::create(&out).unwrap()).stderr(Stdio::null()).spawn().unwrap();
        relay.event("stalled");
        wait_for(|| {
            let files = nameless(fetching.id());
            files.first().is_some_and(|file| fs::metadata(file).is_ok_and(|file| file.len() > 3 << 20))
        });
        let bytes = fs::read(&nameless(fetching.id())[0]).unwrap();
        for part in marker.chunks(8) {
            assert!(memchr::memmem::find(&bytes, part).is_none(), "{}", String::from_utf8_lossy(part));
        }
        assert_eq!(names(spool.path()), [""; 0]);
        // The sender is found without the relay.
        drop(relay);
        assert!(fetching.wait().unwrap().success(), "{name}");
        let output = fs::read(&out).unwrap();
        assert!(memchr::memmem::find(&output, &content).is_some(), "{name}: other bytes");
        assert!(name == "tree" || output.len() == content.len());
        assert_eq!(sending.exit_code(), 0, "{:?}", sending.events);
    }
}
