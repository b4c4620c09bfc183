//! Messages, files and folders arrive as they were, both ways.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use crate::scene::{Scene, WAYS};
use crate::support::{names, noise, write};

/// Of more than one script, with a line end of Windows and one of Unix.
const MESSAGE: &str = "Grüße, 世界 🪴\r\nand the rest\n";

#[test]
#[ignore = "cargo xtask windows"]
fn a_message_is_found_and_fetched() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in WAYS {
        let (mut sending, token, _) = scene.send(from, folder.path(), &["send-msg"], MESSAGE.as_bytes());
        // By its beacons, since no address is given.
        let mut fetching = scene.spawn(to, folder.path(), &["fetch", "--json"], b"");
        let received = fetching.event("received");
        assert_eq!((received["token"].as_str(), received["text"].as_str()), (Some(&*token), Some(MESSAGE)));
        assert_eq!(sending.event("fetched")["by"], "127.0.0.1");
        assert_eq!((fetching.exit_code(), sending.exit_code()), (0, 0), "{from:?}");
        assert_eq!(names(folder.path()), [""; 0]);
    }
}

#[test]
#[ignore = "cargo xtask windows"]
fn listeners_hear_what_is_offered_and_that_it_is_gone() {
    // Wine passes on what is broadcast on a network, and not on loopback.
    let scene = Scene::on_a_network();
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in WAYS {
        // Two on each host, which share the UDP port there.
        let mut listeners = [from, to, from, to].map(|system| {
            let mut listener = scene.spawn(system, folder.path(), &["run", "--json"], b"");
            listener.event("ready");
            listener
        });
        let (mut sending, token, _) = scene.send(from, folder.path(), &["send-msg", "hello"], b"");
        for listener in &mut listeners {
            assert_eq!(listener.event("offer")["token"], token, "{from:?}");
        }
        // This one comes late, and asks who offers something.
        let mut late = scene.spawn(to, folder.path(), &["run", "--json"], b"");
        assert_eq!(late.event("offer")["token"], token, "{from:?}");
        let mut fetching = scene.spawn(to, folder.path(), &["fetch", "--json"], b"");
        assert_eq!(fetching.event("received")["text"], "hello");
        assert_eq!(sending.event("fetched")["by"], scene.host(to).ip, "{from:?}");
        assert_eq!((fetching.exit_code(), sending.exit_code()), (0, 0), "{from:?}");
        for listener in listeners.iter_mut().chain([&mut late]) {
            assert_eq!(listener.event("gone")["reason"], "fetched", "{from:?}");
        }
    }
}

#[test]
#[ignore = "cargo xtask windows"]
fn a_message_is_found_by_multicast_dns() {
    let scene = Scene::on_a_network();
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in WAYS {
        let arguments = ["send-msg", "--mdns", "--udp-port", "48601", "hello"];
        let (mut sending, token, _) = scene.send(from, folder.path(), &arguments, b"");
        // On another port for beacons, so that there is no other way.
        let arguments = ["fetch", "--json", "--mdns", "--udp-port", "48602"];
        let mut fetching = scene.spawn(to, folder.path(), &arguments, b"");
        assert_eq!(fetching.event("received")["token"], token, "{from:?}");
        assert_eq!((fetching.exit_code(), sending.exit_code()), (0, 0), "{from:?}");
    }
}

#[test]
#[ignore = "cargo xtask windows"]
fn files_of_telling_sizes_arrive_equal() {
    let scene = Scene::new();
    for (from, to) in WAYS {
        for size in [0, 1, 65_537, (5 << 20) + 3] {
            let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let (name, content) = (format!("Größe {size}.bin"), noise(size as u64, size));
            write(folder.path(), &name, &content);
            let (mut sending, token, _) = scene.send(from, folder.path(), &["send-file", &name], b"");
            let mut fetching = scene.fetch(to, here.path(), &token, &[]);
            let received = fetching.event("received");
            assert_eq!(
                (received["size"].as_u64(), received["path"].as_str()),
                (Some(size as u64), Some(&*name))
            );
            assert_eq!((fetching.exit_code(), sending.exit_code()), (0, 0), "{from:?}");
            assert_eq!(names(here.path()), [&*name]);
            assert!(fs::read(here.path().join(&name)).unwrap() == content, "{from:?}: {size} bytes differ");
        }
    }
}

/// 1 GiB each way: offsets past what a short exchange has. With `DEADDROP_TEST_LONG` only.
#[test]
#[ignore = "cargo xtask windows"]
fn a_gibibyte_arrives_equal() {
    const PARTS: u64 = 64;
    const PART: usize = 16 << 20;
    if std::env::var_os("DEADDROP_TEST_LONG").is_none() {
        return;
    }
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let mut file = File::create(folder.path().join("large.bin")).unwrap();
    for seed in 0..PARTS {
        file.write_all(&noise(seed, PART)).unwrap();
    }
    for (from, to) in WAYS {
        let here = tempfile::tempdir().unwrap();
        let (mut sending, token, _) = scene.send(from, folder.path(), &["send-file", "large.bin"], b"");
        let mut fetching = scene.fetch(to, here.path(), &token, &[]);
        assert_eq!(fetching.await_exit(Duration::from_secs(600)).unwrap(), 0);
        assert_eq!(sending.exit_code(), 0);
        let mut saved = File::open(here.path().join("large.bin")).unwrap();
        let mut part = vec![0; PART];
        for seed in 0..PARTS {
            saved.read_exact(&mut part).unwrap();
            assert!(part == noise(seed, PART), "{from:?}: part {seed} differs");
        }
        assert_eq!(saved.read(&mut part).unwrap(), 0, "nothing follows");
    }
}

#[test]
#[ignore = "cargo xtask windows"]
fn standard_input_and_output_are_bytes() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    // With all that a text mode would take for something else: line ends, Ctrl-Z, zeros.
    let content = [&b"a\nb\r\nc\x1a\0"[..], &noise(7, 300_000)].concat();
    let path = write(folder.path(), "input", &content);
    for (from, to) in WAYS {
        let mut sending = scene.command(from, folder.path(), &["send-file", "--name", "x", "-"]);
        let mut sending = sending.stdin(File::open(&path).unwrap()).spawn().unwrap();
        let output = folder.path().join("output");
        let mut fetching = scene.command(to, folder.path(), &["fetch", "--wait", "30", "--out", "-"]);
        let fetched = fetching.stdout(File::create(&output).unwrap()).status().unwrap();
        assert!(fetched.success() && sending.wait().unwrap().success(), "{from:?}");
        assert!(fs::read(output).unwrap() == content, "{from:?}: the bytes differ");
    }
}

/// A folder with something of each kind that both systems have.
fn photos(at: &Path) {
    fs::create_dir_all(at.join("photos/2026/empty")).unwrap();
    write(&at.join("photos"), "a.jpg", &noise(1, 300_000));
    write(&at.join("photos"), "nothing", b"");
    write(&at.join("photos/2026"), "Ελλάδα 🏝.jpg", b"picture");
}

#[test]
#[ignore = "cargo xtask windows"]
fn a_folder_arrives_equal() {
    let scene = Scene::new();
    for (from, to) in WAYS {
        let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        photos(folder.path());
        write(folder.path(), "notes.txt", b"notes");
        for (arguments, files) in [(&["photos"][..], 3), (&["photos", "notes.txt"], 4)] {
            let arguments = [&["send-file"], arguments].concat();
            let (mut sending, token, _) = scene.send(from, folder.path(), &arguments, b"");
            let mut fetching = scene.fetch(to, here.path(), &token, &[]);
            assert_eq!(fetching.event("received")["files"], files);
            assert_eq!((fetching.exit_code(), sending.exit_code()), (0, 0), "{from:?}");
        }
        // The second comes into a folder of its own name, beside the first.
        assert_eq!(names(here.path()), ["notes.txt", "photos", "photos (1)"]);
        for root in ["photos", "photos (1)"].map(|name| here.path().join(name)) {
            assert_eq!(names(&root), ["2026", "a.jpg", "nothing"]);
            assert_eq!(names(&root.join("2026")), ["empty", "Ελλάδα 🏝.jpg"]);
            assert!(fs::read(root.join("a.jpg")).unwrap() == noise(1, 300_000), "{from:?}: the bytes differ");
            assert_eq!(fs::read(root.join("2026/Ελλάδα 🏝.jpg")).unwrap(), b"picture");
            let modified = |root: &Path| fs::metadata(root.join("a.jpg")).unwrap().modified().unwrap();
            let seconds =
                |at: std::time::SystemTime| at.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            assert_eq!(seconds(modified(&root)), seconds(modified(&folder.path().join("photos"))));
        }
    }
}
