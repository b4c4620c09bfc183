//! Every recipe of `host/docs/recipes.md`, run from the text of the document: two people on a LAN, each with a home of
//! their own.

mod support;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use support::{Host, Lan, Process, ROOM, deaddrop, noise, write};

const DOCUMENT: &str = include_str!("../docs/recipes.md");

/// All blocks of the document. Each is run by a test of this file.
const BLOCKS: [&str; 17] = [
    "age-receive",
    "age-send",
    "class-receive",
    "class-send",
    "credential-send",
    "docker-receive",
    "docker-send",
    "inbox",
    "pass-receive",
    "pass-send",
    "receipts",
    "reporter-credential.service",
    "reporter.service",
    "room",
    "room-told",
    "ssh-key-receive",
    "ssh-key-send",
];

/// The blocks of the document with their names: the second word behind the fence.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fenced = DOCUMENT.split("\n```").skip(1).step_by(2);
    fenced
        .map(|block| {
            let (head, text) = block.split_once('\n').expect("a block with lines");
            (head.split(' ').nth(1).unwrap_or_default(), text)
        })
        .collect()
}

fn block(name: &str) -> &'static str {
    blocks().into_iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no block {name}")).1
}

/// Somebody at a host, with a home, the room, and programs of their own before those of the system.
struct Person<'a> {
    host: &'a Host,
    home: tempfile::TempDir,
}

impl<'a> Person<'a> {
    /// Somebody without a room.
    fn stranger(host: &'a Host) -> Self {
        let home = tempfile::tempdir().expect("a home");
        fs::create_dir(home.path().join("bin")).expect("a folder");
        std::os::unix::fs::symlink(deaddrop(), home.path().join("bin/deaddrop")).expect("a link");
        Self { host, home }
    }

    /// A member of the room.
    fn new(host: &'a Host) -> Self {
        let person = Self::stranger(host);
        person.succeeds("room-told", &format!("{ROOM}\n"));
        person
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        write(self.home.path(), name, bytes);
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Puts a program into this person's PATH.
    fn has_program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        // One that stands in for deaddrop takes the place of the link.
        let _ = fs::remove_file(&path);
        fs::write(&path, format!("#!/bin/sh\nset -eu\n{script}\n")).expect("a program");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("a mode");
    }

    /// A command in this home, with nothing of ours in its environment.
    fn command(&self, program: &str) -> Command {
        let mut command = self.host.command("env");
        let home = self.home.path().to_str().expect("a path");
        let system = std::env::var("PATH").expect("a PATH");
        command.args(["-i", &format!("HOME={home}"), &format!("PATH={home}/bin:{system}"), program]);
        command.current_dir(home);
        command
    }

    /// Starts the text of a block, with this on standard input.
    fn starts(&self, name: &str, input: &str) -> Process {
        let mut command = self.command("sh");
        command.args(["-euc", block(name)]);
        let mut process = Process::from_command(command, name.to_owned());
        process.say(input.as_bytes());
        process.close_input();
        process
    }

    /// The same, which is to end with success.
    fn succeeds(&self, name: &str, input: &str) -> Process {
        let mut process = self.starts(name, input);
        ended(&mut process, name);
        process
    }
}

/// Waits until a recipe has ended with success.
#[track_caller]
fn ended(process: &mut Process, name: &str) {
    let (code, errors) = process.exit_and_errors();
    assert_eq!(code, 0, "{name}: {:?}\n{errors}", process.events);
}

/// A LAN with two of its people.
fn two(lan: &Lan) -> [Person<'_>; 2] {
    [Person::new(&lan.hosts[0]), Person::new(&lan.hosts[1])]
}

#[test]
fn every_block_has_its_test() {
    let named: Vec<_> = blocks().into_iter().map(|(name, _)| name).collect();
    assert_eq!(named.iter().collect::<BTreeSet<_>>().len(), named.len(), "a name stands twice: {named:?}");
    assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), BLOCKS.into_iter().collect());
}

#[test]
fn a_room_is_made_here_and_told_there() {
    let lan = Lan::of(2);
    let (ann, bob) = (Person::stranger(&lan.hosts[0]), Person::stranger(&lan.hosts[1]));
    ann.succeeds("room", "");
    let kept = ".config/deaddrop/rooms/default";
    bob.succeeds("room-told", &ann.read(kept));
    assert_eq!(ann.read(kept), bob.read(kept));
}

#[test]
fn an_ssh_key_is_appended_once_it_is_confirmed() {
    let lan = Lan::of(2);
    let [ann, bob] = two(&lan);
    fs::create_dir(ann.path(".ssh")).unwrap();
    fs::create_dir(bob.path(".ssh")).unwrap();
    bob.write(".ssh/authorized_keys", b"ssh-ed25519 AAAA another\n");

    let mut sending = ann.starts("ssh-key-send", "");
    let mut receiving = bob.starts("ssh-key-receive", "no\n");
    assert_ne!(receiving.exit_code(), 0);
    ended(&mut sending, "ssh-key-send");
    assert_eq!(bob.read(".ssh/authorized_keys"), "ssh-ed25519 AAAA another\n");

    let mut sending = ann.starts("ssh-key-send", "");
    let receiving = bob.succeeds("ssh-key-receive", "yes\n");
    ended(&mut sending, "ssh-key-send");
    let key = ann.read(".ssh/id_ed25519.pub");
    assert_eq!(bob.read(".ssh/authorized_keys"), format!("ssh-ed25519 AAAA another\n{key}"));
    let mode = fs::metadata(bob.path(".ssh/authorized_keys")).unwrap().permissions().mode();
    assert_eq!(mode & 0o022, 0, "{mode:o}");
    assert_eq!(sending.events[0], receiving.events[0], "the same fingerprint on both screens");
}

#[test]
fn a_key_with_a_second_line_is_not_appended() {
    let lan = Lan::of(2);
    let [ann, bob] = two(&lan);
    fs::create_dir(ann.path(".ssh")).unwrap();
    let make = ["-q", "-t", "ed25519", "-N", "", "-f", ".ssh/id_ed25519"];
    assert!(ann.command("ssh-keygen").args(make).status().unwrap().success());
    let key = ann.read(".ssh/id_ed25519.pub");
    ann.write(".ssh/id_ed25519.pub", format!("{key}command=\"sh\" {key}").as_bytes());
    let mut sending = ann.starts("ssh-key-send", "");
    assert_ne!(bob.starts("ssh-key-receive", "yes\n").exit_code(), 0);
    ended(&mut sending, "ssh-key-send");
    assert!(!bob.path(".ssh/authorized_keys").exists());
}

/// A stand-in for pass: `show NAME`, and `insert --multiline NAME`, with files that are not encrypted.
const PASS: &str = r#"
store=$HOME/.password-store
case $1 in
    show) cat "$store/$2" ;;
    insert) test "$2" = --multiline; mkdir -p "$(dirname "$store/$3")"; cat > "$store/$3" ;;
    *) exit 2 ;;
esac"#;

#[test]
fn a_secret_goes_from_pass_into_pass() {
    let lan = Lan::of(2);
    let [ann, bob] = two(&lan);
    [&ann, &bob].iter().for_each(|person| person.has_program("pass", PASS));
    fs::create_dir_all(ann.path(".password-store/mail")).unwrap();
    ann.write(".password-store/mail/work", b"hunter2\nuser: ann\n");
    let mut sending = ann.starts("pass-send", "");
    bob.succeeds("pass-receive", "");
    ended(&mut sending, "pass-send");
    assert_eq!(bob.read(".password-store/mail/work"), "hunter2\nuser: ann\n");
}

#[test]
fn a_secret_goes_from_age_into_age() {
    let lan = Lan::of(2);
    let [ann, bob] = two(&lan);
    let sh = |person: &Person<'_>, script: &str| {
        let output = person.command("sh").args(["-euc", script]).output().unwrap();
        assert!(output.status.success(), "is age installed? {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    for person in [&ann, &bob] {
        sh(person, "age-keygen -o identity.txt 2>/dev/null && age-keygen -y identity.txt > recipients.txt");
    }
    sh(&ann, "echo 'a secret' | age -R recipients.txt -o database.age");
    let mut sending = ann.starts("age-send", "");
    bob.succeeds("age-receive", "");
    ended(&mut sending, "age-send");
    assert_eq!(sh(&bob, "age -d -i identity.txt database.age"), "a secret\n");
}

/// A stand-in for docker: `login` with its options, which keeps what it was called with.
const DOCKER: &str = r#"
test "$1 $2 $4" = "login --username --password-stdin"
printf '%s %s ' "$3" "$5" > "$HOME/login"
cat >> "$HOME/login""#;

#[test]
fn a_token_goes_into_docker_login() {
    let lan = Lan::of(2);
    let [ann, bob] = two(&lan);
    ann.write("registry-token.txt", b"dckr_pat_1\n");
    bob.has_program("docker", DOCKER);
    let mut sending = ann.starts("docker-send", "");
    bob.succeeds("docker-receive", "");
    ended(&mut sending, "docker-send");
    assert_eq!(bob.read("login"), "ann registry.example dckr_pat_1");
}

/// The value of a key of a unit.
fn value<'a>(unit: &'a str, key: &str) -> &'a str {
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.next().unwrap_or_else(|| panic!("no {key} in {unit}"))
}

/// The two units, with programs that are here and a root of their own.
fn units(root: &Path) -> [(&'static str, String); 2] {
    ["reporter-credential.service", "reporter.service"].map(|name| {
        let text = block(name)
            .replace("/usr/bin/deaddrop", deaddrop())
            .replace("/usr/local/bin/report", "/bin/true");
        (name, text.replace("/etc/", &format!("{}/etc/", root.display())))
    })
}

#[test]
fn systemd_takes_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let verified = |units: &[(&str, String)]| {
        let mut verify = Command::new("systemd-analyze");
        verify.args(["verify", "--man=no"]);
        for (name, text) in units {
            verify.arg(write(folder.path(), name, text.as_bytes()));
        }
        let output = verify.output().expect("systemd-analyze, of systemd");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let [first, (name, second)] = units(folder.path());
    assert_eq!(verified(&[first.clone(), (name, second.clone())]), (true, String::new()));
    let misspelled = second.replace("LoadCredential", "LoadCredentials");
    assert_ne!(verified(&[first, (name, misspelled)]).1, "");
}

#[test]
fn a_service_finds_its_credential_at_its_first_start() {
    let lan = Lan::of(2);
    let (admin, machine) = (Person::stranger(&lan.hosts[0]), &lan.hosts[1]);
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("etc/deaddrop")).unwrap();
    for room in [admin.path("machines.room"), root.path().join("etc/deaddrop/room")] {
        fs::write(&room, ROOM).unwrap();
        fs::set_permissions(&room, Permissions::from_mode(0o600)).unwrap();
    }
    admin.write("token.txt", b"s3cr3t\n");
    let [(_, first), (_, second)] = units(root.path());
    // As systemd starts it: no shell, and neither a home nor any other word in the environment.
    let start = |line: &str| {
        let mut command = machine.command("env");
        command.arg("-i").args(line.split(' ')).current_dir("/");
        Process::from_command(command, line.to_owned())
    };
    ended(&mut start(value(&first, "ExecStartPre")), "ExecStartPre");
    let mut waiting = start(value(&first, "ExecStart"));
    let mut sending = admin.starts("credential-send", "");
    ended(&mut waiting, "ExecStart");
    ended(&mut sending, "credential-send");
    let credential = PathBuf::from(value(&first, "ConditionPathExists").trim_start_matches('!'));
    assert_eq!(value(&second, "LoadCredential"), format!("token:{}", credential.display()));
    assert_eq!(fs::read_to_string(&credential).unwrap(), "s3cr3t\n");
    assert_eq!(fs::metadata(&credential).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn a_loop_over_events_fetches_what_it_wants() {
    let lan = Lan::of(2);
    let [ann, bob] = two(&lan);
    // The loop ends with its listener, which the test has to find.
    let real = deaddrop();
    bob.has_program(
        "deaddrop",
        &format!("test \"$1\" != run || echo $$ > \"$HOME/listener\"\nexec {real} \"$@\""),
    );
    ann.write("prices.csv", b"apple,1\n");
    ann.write("notes.txt", b"not for a loop over CSV files");
    ann.write("large.csv", &noise(1, (1 << 20) + 1));
    let send = |name: &str| {
        let mut command = ann.command("deaddrop");
        command.args(["send-file", name]);
        Process::from_command(command, name.to_owned())
    };
    let _others = ["notes.txt", "large.csv"].map(send);
    let mut looping = bob.starts("inbox", "");
    // Two receivers: the loop, and one who fetches it by hand.
    let mut sending = ann.starts("receipts", "");
    assert_eq!(looping.line("saved"), "saved inbox/prices.csv");
    assert_eq!(sending.line("has it"), format!("{} has it", lan.hosts[1].ip));
    let mut by_hand = ann.command("deaddrop");
    by_hand.args(["run", "--json"]);
    let mut by_hand = Process::from_command(by_hand, "run".into());
    let token = loop {
        let offer = by_hand.event("offer");
        if offer["name"] == "prices.csv" {
            break offer["token"].as_str().unwrap().to_owned();
        }
    };
    let mut fetching = ann.command("deaddrop");
    fetching.args(["fetch", "--token", &token, "--out", "again.csv"]);
    ended(&mut Process::from_command(fetching, "fetch".into()), "fetch");
    ended(&mut sending, "receipts");
    assert_eq!(support::names(&bob.path("inbox")), ["prices.csv"]);
    assert_eq!(bob.read("inbox/prices.csv"), "apple,1\n");

    let listener = bob.read("listener").trim().parse().ok().and_then(Pid::from_raw).unwrap();
    kill_process(listener, Signal::TERM).unwrap();
    assert_eq!(looping.exit_code(), 0, "{:?}", looping.events);
}

#[test]
fn a_class_of_thirty_gets_one_folder() {
    let lan = Lan::of(31);
    let teacher = Person::new(&lan.hosts[0]);
    fs::create_dir(teacher.path("exercises")).unwrap();
    let content = noise(3, 100_000);
    teacher.write("exercises/one.bin", &content);
    teacher.write("exercises/two.txt", b"2 + 2 = ?");
    let pupils: Vec<_> = lan.hosts[1..].iter().map(Person::new).collect();
    let mut sending = teacher.starts("class-send", "");
    let fetching: Vec<_> = pupils.iter().map(|pupil| pupil.starts("class-receive", "")).collect();
    for (pupil, mut fetching) in pupils.iter().zip(fetching) {
        ended(&mut fetching, "class-receive");
        assert!(fs::read(pupil.path("exercises/one.bin")).unwrap() == content, "other bytes arrived");
        assert_eq!(pupil.read("exercises/two.txt"), "2 + 2 = ?");
    }
    ended(&mut sending, "class-send");
}
