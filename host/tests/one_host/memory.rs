//! What a sender's memory holds, looked at from outside while it lives.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::{BASE64, HEXLOWER, HEXUPPER};

use crate::support::{Host, Lan, Process, ROOM, deaddrop, fetch, write};

/// A message that is nowhere else, with bytes in it that JSON escapes.
const MARKER: &str = "Marker-5f1d\t\"quarry\" lantern\u{e9}-93b7e0";
/// A passphrase that is nowhere else.
const PASSPHRASE: &str = "umbra-quince zephyr-7741 lodestone";

/// All forms in which a secret may lie about.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let json = serde_json::to_string(secret).unwrap();
    let mut forms = vec![
        secret.as_bytes().to_vec(),
        json.trim_matches('"').as_bytes().to_vec(),
        HEXLOWER.encode(secret.as_bytes()).into_bytes(),
        HEXUPPER.encode(secret.as_bytes()).into_bytes(),
        secret.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    ];
    // Base64 at each of the three alignments, less what depends on its neighbours.
    for skip in 0..3 {
        let whole = secret.as_bytes().get(skip..).unwrap();
        let whole = &whole[..whole.len() / 3 * 3];
        forms.push(BASE64.encode(whole).into_bytes());
    }
    // Parts of it: a buffer may have been overwritten from its front or its end.
    forms.extend(secret.as_bytes().chunks_exact(12).map(<[u8]>::to_vec));
    forms
}

/// Where in a process's memory any form of the secret lies.
fn found(process: &Process, secret: &str) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{}/maps", process.id())).expect("it lives");
    let memory = File::open(format!("/proc/{}/mem", process.id())).expect("its memory may be read");
    let forms = forms(secret);
    let mut found = Vec::new();
    let mut seen = 0;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        let what = fields.nth(3).unwrap_or("");
        if !rights.starts_with('r') || what.starts_with("[v") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|end| u64::from_str_radix(end, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        // What was unmapped meanwhile, or lies past the end of a mapped file, holds nothing.
        if memory.read_exact_at(&mut bytes, start).is_err() {
            continue;
        }
        seen += bytes.len();
        for (i, form) in forms.iter().enumerate() {
            if contains(&bytes, form) {
                found.push(format!("form {i} in {what} {range}"));
            }
        }
    }
    assert!(seen > 1 << 20, "only {seen} bytes could be read");
    found
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    let Some((first, _)) = part.split_first() else { return false };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = &rest[at..];
        if rest.starts_with(part) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// Sends the marker with this build, and gives what is found before and after it was fetched.
fn before_and_after(host: &Host, folder: &Path, program: &str) -> (Vec<String>, Vec<String>) {
    let arguments = ["send-msg", "--json"];
    let mut sending = Process::start_program(host, folder, program, ROOM, &arguments, MARKER.as_bytes());
    let token = sending.event("ready")["token"].as_str().unwrap().to_owned();
    let before = found(&sending, MARKER);
    let mut fetching = fetch(host, folder, host, &token, &[]);
    assert_eq!(fetching.event("received")["text"], MARKER);
    // Told once the drop is burned; from then on the sender answers for three seconds more.
    sending.event("fetched");
    let after = found(&sending, MARKER);
    assert_eq!(sending.exit_code(), 0);
    (before, after)
}

#[test]
fn a_message_is_wiped_once_it_is_burned() {
    let lan = Lan::alone();
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = before_and_after(&lan.hosts[0], folder.path(), deaddrop());
    assert!(!before.is_empty(), "the scan finds nothing at all");
    assert!(after.is_empty(), "{after:?}");
}

#[test]
fn without_wiping_the_message_would_be_found() {
    let lan = Lan::alone();
    let folder = tempfile::tempdir().unwrap();
    let program = build_that_keeps_secrets();
    let (before, after) = before_and_after(&lan.hosts[0], folder.path(), program.to_str().unwrap());
    assert!(!before.is_empty() && !after.is_empty(), "{before:?}, {after:?}");
}

/// The build whose messages are not wiped: the one named in the environment, or made here.
fn build_that_keeps_secrets() -> PathBuf {
    if let Some(path) = std::env::var_os("DEADDROP_KEEP_SECRETS_BIN") {
        return path.into();
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--locked", "--quiet", "--package", "deaddrop"])
        .args(["--example", "keep-secrets", "--features", "keep-secrets"])
        .arg("--manifest-path")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .status()
        .expect("cargo");
    assert!(status.success(), "the build that keeps secrets failed");
    target.join("debug/examples/keep-secrets")
}

#[test]
fn a_message_that_expires_is_wiped_too() {
    let lan = Lan::alone();
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["send-msg", "--json", "--ttl", "2"];
    let mut sending = Process::start(&lan.hosts[0], folder.path(), ROOM, &arguments, MARKER.as_bytes());
    sending.event("ready");
    assert!(!found(&sending, MARKER).is_empty());
    sending.event("expired");
    let after = found(&sending, MARKER);
    assert!(after.is_empty(), "{after:?}");
}

#[test]
fn the_passphrase_from_a_file_is_gone_once_the_room_is_known() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "room.txt", format!("{PASSPHRASE}\n").as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    for verb in ["send-msg", "run"] {
        let mut command = host.command(deaddrop());
        command.args([verb, "--json", "--room-file", "room.txt"]);
        command.current_dir(folder.path()).env_remove("DEADDROP_ROOM");
        let mut process = Process::from_command(command, verb.into());
        process.say(MARKER.as_bytes());
        process.close_input();
        process.event("ready");
        let left = found(&process, PASSPHRASE);
        assert!(left.is_empty(), "{verb}: {left:?}");
    }
}

#[test]
fn the_scan_finds_a_passphrase_that_the_process_cannot_wipe() {
    // The kernel's copy of the environment is the process's own memory, and stays: hence --room-file.
    let lan = Lan::alone();
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(&lan.hosts[0], folder.path(), PASSPHRASE, &["run", "--json"], b"");
    process.event("ready");
    assert!(!found(&process, PASSPHRASE).is_empty());
}
