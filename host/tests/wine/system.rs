//! What the program for Windows keeps, says and starts in a way of its own.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::scene::{Scene, System};
use crate::support::{wait_for, write};
use crate::windows::Windows;

const WINDOWS: System = System::Windows;

#[test]
#[ignore = "cargo xtask windows"]
fn a_room_is_kept_and_used_and_not_overwritten() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        scene.command(WINDOWS, folder.path(), arguments).env_remove("DEADDROP_ROOM").output().unwrap()
    };
    for code in [0, 2] {
        let made = run(&["room", "new", "--name", "default"]);
        let said = String::from_utf8(made.stderr).unwrap();
        assert_eq!(made.status.code(), Some(code), "{said}");
        assert!(said.contains(r"AppData\Roaming\deaddrop\rooms\default"), "{said}");
    }
    let mut sending = scene.command(WINDOWS, folder.path(), &["send-msg", "--json", "hello"]);
    let mut sending = sending.env_remove("DEADDROP_ROOM").spawn().unwrap();
    let fetched = run(&["fetch", "--from", "127.0.0.1", "--wait", "30"]);
    assert_eq!((fetched.status.code(), &*fetched.stdout), (Some(0), &b"hello"[..]));
    assert!(sending.wait().unwrap().success());
}

#[test]
#[ignore = "cargo xtask windows"]
fn a_room_file_that_others_can_read_is_refused() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "room.txt", b"copper lantern harbour ninety\r\n");
    for (mode, code, said) in [(0o644, 2, "icacls \"room.txt\""), (0o600, 3, "Expired")] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let arguments = ["send-msg", "--room-file", "room.txt", "--ttl", "1", "hello"];
        let output = scene.command(WINDOWS, folder.path(), &arguments).env_remove("DEADDROP_ROOM").output();
        let output = output.unwrap();
        let all = [output.stdout, output.stderr].concat();
        let all = String::from_utf8_lossy(&all);
        assert_eq!(output.status.code(), Some(code), "{mode:o}: {all}");
        assert!(all.contains(said), "{mode:o}: {all}");
    }
}

#[test]
#[ignore = "cargo xtask windows"]
fn a_message_that_cannot_be_printed_is_kept_until_it_is() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, _) = scene.send(System::Linux, folder.path(), &["send-msg", "the secret"], b"");
    let arguments = ["fetch", "--from", "127.0.0.1", "--token", &token];
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = scene.command(WINDOWS, folder.path(), &arguments).stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(r"AppData\Local\deaddrop\"), "{said}");
    assert_eq!(sending.exit_code(), 0, "its sender need not wait");
    let again = scene.command(WINDOWS, folder.path(), &arguments).output().unwrap();
    assert_eq!((again.status.code(), &*again.stdout), (Some(0), &b"the secret"[..]));
}

#[test]
#[ignore = "cargo xtask windows"]
fn doctor_says_how_the_firewall_is_opened() {
    let scene = Scene::on_a_network();
    let folder = tempfile::tempdir().unwrap();
    let mut doctor = scene.spawn(WINDOWS, folder.path(), &["doctor", "--json", "--wait", "1"], b"");
    assert_eq!(doctor.exit_code(), 0, "{:?}", doctor.events);
    let firewall = doctor.events.iter().find(|event| event["check"] == "firewall").expect("the firewall");
    let commands = firewall["commands"].as_array().expect("commands");
    assert!(commands.len() == 2 && commands.iter().all(|it| it.as_str().unwrap().starts_with("netsh ")));
}

#[test]
#[ignore = "cargo xtask windows"]
fn a_program_is_run_for_a_drop_and_ended_with_all_that_it_started() {
    // On loopback it would hear of the drop only when it asks again.
    let scene = Scene::on_a_network();
    let (folder, inbox) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run = |program: &[&str]| {
        let arguments =
            ["run", "--json", "--auto-fetch", "all", "--out", "inbox", "--exec", "cmd.exe", "--", "/c"];
        let mut running = scene.spawn(WINDOWS, inbox.path(), &[&arguments, program].concat(), b"");
        running.event("ready");
        running
    };
    fs::create_dir(inbox.path().join("inbox")).unwrap();
    let mut running = run(&["echo", "%DEADDROP_KIND% is here"]);
    let (mut sending, ..) = scene.send(System::Linux, folder.path(), &["send-msg", "hi"], b"");
    let executed = running.event("executed");
    assert_eq!((sending.exit_code(), executed["code"].as_u64()), (0, Some(0)), "{executed}");
    running.signal(Signal::INT);
    let (code, said) = running.exit_and_errors();
    assert!(code == 130 && said.contains("message is here"), "{code}: {said}");

    // A program that waits for one that it has started, and that one waits for ever.
    let word = "48601";
    let mut running = run(&[&Windows::program(), "run", "--room", "another", "--udp-port", word]);
    let (mut sending, ..) = scene.send(System::Linux, folder.path(), &["send-msg", "hi"], b"");
    assert_eq!(sending.exit_code(), 0);
    wait_for(|| is_running(word) >= 2);
    running.signal(Signal::INT);
    assert_eq!(running.exit_code(), 130);
    wait_for(|| is_running(word) == 0);
}

/// How many programs, beside the one that is told of it, have this word alone in their command line.
fn is_running(word: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
    lines
        .filter(|line| !line.contains("--auto-fetch") && line.split(['\0', ' ']).any(|it| it == word))
        .count()
}
