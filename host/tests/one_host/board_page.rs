//! `deaddrop board-page`: what a board is given, and where the command puts it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::terminal::terminal;
use crate::support::{deaddrop, event};

const PASSPHRASE: &str = "correct horse battery staple";
const SETTINGS: [&str; 5] = ["--address", "192.168.1.7/24", "--gateway", "192.168.1.1", "--auto"];

/// The record of that room and those settings, from the document.
fn documented() -> Vec<u8> {
    block("page")
}

/// The bytes of a block of the document, without its comments.
fn block(name: &str) -> Vec<u8> {
    let document = include_str!("../../../firmware/docs/provisioning.md");
    let block =
        document.split("```").find_map(|block| block.strip_prefix(&format!("hex {name}\n")[..])).unwrap();
    let digits = block.lines().flat_map(|line| line.split('|').next().unwrap().split_whitespace());
    digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(deaddrop());
    command.arg("board-page").args(words).current_dir(folder).env("DEADDROP_ROOM", PASSPHRASE);
    command.env("XDG_CONFIG_HOME", "/dev/null").stdin(Stdio::null());
    command
}

fn run(folder: &Path, words: &[&str]) -> Output {
    command(folder, words).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_page_is_the_documented_one_in_a_pipe_and_in_a_private_file() {
    let folder = tempfile::tempdir().unwrap();
    let piped = run(folder.path(), &SETTINGS);
    assert_eq!((piped.status.code(), &piped.stdout), (Some(0), &documented()), "{}", said(&piped));

    let to_file = [&SETTINGS[..], &["--out", "page.bin"]].concat();
    let filed = run(folder.path(), &to_file);
    assert_eq!((filed.status.code(), &filed.stdout[..]), (Some(0), &b""[..]), "{}", said(&filed));
    assert!(said(&filed).contains("the region RECORD of the board's flash"), "{}", said(&filed));
    let path = folder.path().join("page.bin");
    assert_eq!(fs::read(&path).unwrap(), documented());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let again = run(folder.path(), &["--out", "page.bin"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("is there already, and is not overwritten"), "{}", said(&again));
    assert_eq!(fs::read(&path).unwrap(), documented());
}

#[test]
fn a_page_with_wifi_has_the_documented_record_behind_it_from_a_private_file_or_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.txt");
    fs::write(&key, "open sesame\n").unwrap();
    let network = ["--ssid", "home", "--wifi-country", "DE", "--wifi-key-file"];
    let from_file = [&SETTINGS[..], &network, &["key.txt"]].concat();

    let exposed = run(folder.path(), &from_file);
    assert_eq!((exposed.status.code(), &exposed.stdout[..]), (Some(2), &b""[..]));
    assert!(said(&exposed).contains("chmod 600"), "{}", said(&exposed));

    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let expected = [documented(), block("wifi")].concat();
    let filed = run(folder.path(), &from_file);
    assert_eq!((filed.status.code(), &filed.stdout), (Some(0), &expected), "{}", said(&filed));

    for stdin in ["-", "/dev/stdin"] {
        let mut piped = command(folder.path(), &[&SETTINGS[..], &network, &[stdin]].concat());
        let piped = piped.stdin(fs::File::open(&key).unwrap()).output().unwrap();
        assert_eq!((piped.status.code(), &piped.stdout), (Some(0), &expected), "{}", said(&piped));
    }

    fs::write(&key, "secret!").unwrap();
    let short = run(folder.path(), &from_file);
    assert_eq!(short.status.code(), Some(2));
    assert!(
        said(&short).contains("8 to 63 characters") && said(&short).contains("key.txt"),
        "{}",
        said(&short)
    );
    assert!(!said(&short).contains("secret!"), "{}", said(&short));

    // The key in the place of its path is not repeated.
    let mistaken = run(folder.path(), &[&network[..], &["open sesame"]].concat());
    assert_eq!(mistaken.status.code(), Some(2));
    assert!(said(&mistaken).contains("give the path of a file with the key"), "{}", said(&mistaken));
    assert!(!said(&mistaken).contains("sesame"), "{}", said(&mistaken));

    let both = [&["--room-file", "/dev/stdin"], &network[..], &["-"]].concat();
    let both = run(folder.path(), &both);
    assert!(said(&both).contains("the passphrase and the Wi-Fi key would both come"), "{}", said(&both));
}

#[test]
fn a_script_is_told_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for (words, size, seed) in
        [(&["--out", "page", "--json"][..], 80, false), (&["--seed", "--out", "seed", "--json"], 64, true)]
    {
        let output = run(folder.path(), words);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let lines = String::from_utf8(output.stdout).unwrap();
        let told = lines.lines().map(event).find(|event| event["event"] == "page").unwrap();
        assert_eq!((&told["size"], &told["seed"]), (&Value::from(size), &Value::from(seed)));
        let path = told["path"].as_str().unwrap();
        assert_eq!(fs::metadata(folder.path().join(path)).unwrap().len(), size);
    }
}

#[test]
fn each_seed_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let seed = || {
        let output = run(folder.path(), &["--seed"]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        output.stdout
    };
    let (one, other) = (seed(), seed());
    assert_eq!((one.len(), other.len()), (64, 64));
    assert!(one.starts_with(b"DDSD\0\0\0\0") && other.starts_with(b"DDSD\0\0\0\0"));
    assert_ne!(one, other);
}

#[test]
fn neither_goes_to_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let (_ours, theirs) = terminal();
    for words in [&[][..], &["--seed"]] {
        let mut command = command(folder.path(), words);
        command.stdout(theirs.try_clone().unwrap()).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains("name a file with --out"), "{}", said(&output));
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (words, wrong) in [
        (&["--address", "10.1.2.3"][..], "192.168.1.7/24"),
        (&["--address", "10.1.2.3/31"], "1 to 30 bits"),
        (&["--address", "10.1.2.3/24", "--gateway", "10.1.3.1"], "same network"),
        (&["--gateway", "10.1.3.1"], "goes with --address"),
        (&["--seed", "--auto"], "has no room, no address and no Wi-Fi"),
        (&["--seed", "--room-file", "room"], "has no room, no address and no Wi-Fi"),
        (&["--seed", "--ssid", "home"], "has no room, no address and no Wi-Fi"),
        (&["--ssid", "home"], "give --wifi-key-file, or --wifi-open"),
        (&["--ssid", "home", "--wifi-key-file", "key", "--wifi-open"], "leave one of the two out"),
        (&["--ssid", ""], "1 to 32 bytes"),
        (&["--wifi-key-file", "key"], "go with --ssid"),
        (&["--wifi-country", "Germany"], "two capital letters"),
        (&["--json"], "give --out too"),
        (&["--out", "-"], "without --out"),
    ] {
        let output = run(folder.path(), words);
        let shown = format!("{}{}", said(&output), String::from_utf8(output.stdout.clone()).unwrap());
        assert_eq!(output.status.code(), Some(2), "{words:?}: {shown}");
        assert!(shown.contains(wrong), "{words:?}: {shown}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
