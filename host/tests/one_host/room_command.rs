//! `deaddrop room`: rooms that are made, kept and listed, and that the other commands then find.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::terminal::{of_size, terminal, wait_for};
use crate::support::{Host, Lan, Process, ROOM, deaddrop, event, names};

/// A user with a folder for configuration, at a host.
struct User<'a> {
    host: &'a Host,
    configuration: tempfile::TempDir,
}

impl<'a> User<'a> {
    fn new(host: &'a Host) -> Self {
        Self { host, configuration: tempfile::tempdir().unwrap() }
    }

    fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = self.host.command(deaddrop());
        command.args(words).current_dir(self.configuration.path()).env_remove("DEADDROP_ROOM");
        command.env("XDG_CONFIG_HOME", self.configuration.path());
        command
    }

    /// Runs a command to its end, with this on standard input.
    fn run(&self, words: &[&str], input: &str) -> Output {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// The same, which is to succeed. Gives standard output.
    fn done(&self, words: &[&str], input: &str) -> String {
        let output = self.run(words, input);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, which is to be refused as wrong usage. Gives what it said.
    fn refused(&self, words: &[&str], input: &str) -> String {
        let output = self.run(words, input);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", said(&output));
        assert!(output.stdout.is_empty());
        said(&output)
    }

    fn start(&self, words: &[&str]) -> Process {
        let mut process = Process::from_command(self.command(words), words.join(" "));
        process.close_input();
        process
    }

    fn rooms(&self) -> PathBuf {
        self.configuration.path().join("deaddrop/rooms")
    }

    fn room(&self, name: &str) -> PathBuf {
        self.rooms().join(name)
    }

    /// Starts a command at a terminal of its own, which ends with the command.
    fn at_a_terminal(&self, words: &[&str]) -> (File, std::process::Child) {
        self.at_this_terminal(terminal(), words)
    }

    fn at_this_terminal(&self, (ours, theirs): (File, File), words: &[&str]) -> (File, std::process::Child) {
        let mut command = self.host.command("setsid");
        command.args(["--ctty", deaddrop()]).args(words).env_remove("DEADDROP_ROOM");
        command.env("XDG_CONFIG_HOME", self.configuration.path());
        let copy = || Stdio::from(theirs.try_clone().unwrap());
        let child = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn().unwrap();
        (ours, child)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_new_passphrase_stands_alone_on_standard_output() {
    let lan = Lan::alone();
    let ann = User::new(&lan.hosts[0]);
    let output = ann.run(&["room", "new"], "");
    let passphrase = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(passphrase.trim_end_matches('\n').split(' ').count(), 6, "{}", passphrase.len());
    assert_eq!(passphrase.matches('\n').count(), 1);
    let told = said(&output);
    assert!(told.starts_with("Strength: 78 bits") && told.contains("345,600 guesses a day"), "{told}");
    assert!(!told.contains(passphrase.trim_end()));
    assert_eq!(ann.done(&["room", "new", "--words", "4", "--quiet"], "").split(' ').count(), 4);
    assert!(names(ann.configuration.path()).is_empty(), "nothing is kept");
    let made = event(&ann.done(&["room", "new", "--json"], ""));
    assert_eq!(
        (&made["event"], &made["words"], &made["bits"]),
        (&"passphrase".into(), &6.into(), &77.5.into())
    );
    assert_eq!(made["text"].as_str().unwrap().split(' ').count(), 6);
}

#[test]
fn the_default_room_needs_no_flag() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let (ann, bob) = (User::new(host), User::new(host));
    // Told to the other, who adds it.
    assert_eq!(ann.done(&["room", "new", "--name", "default"], ""), "");
    assert_eq!((mode(&ann.room("default")), mode(&ann.rooms())), (0o600, 0o700));
    let passphrase = fs::read_to_string(ann.room("default")).unwrap();
    assert_eq!(bob.done(&["room", "add", "default"], &passphrase), "");
    assert_eq!((mode(&bob.room("default")), mode(&bob.rooms())), (0o600, 0o700));
    assert_eq!(fs::read_to_string(bob.room("default")).unwrap(), passphrase);
    let mut sending = ann.start(&["send-msg", "--json", "hello"]);
    let token = sending.event("ready")["token"].as_str().unwrap().to_owned();
    let named = ["--from", &host.ip, "--token", &token];
    // Another room by name, and the default one without.
    bob.done(&["room", "new", "--name", "work"], "");
    let other = bob.run(&[&["fetch", "--wait", "1", "--room-name", "work"], &named[..]].concat(), "");
    assert_eq!(other.status.code(), Some(6), "{}", said(&other));
    assert_eq!(bob.done(&[&["fetch"], &named[..]].concat(), ""), "hello");
    assert_eq!(sending.exit_code(), 0);
}

#[test]
fn nothing_that_exists_is_overwritten() {
    let lan = Lan::alone();
    let ann = User::new(&lan.hosts[0]);
    ann.done(&["room", "add", "work"], ROOM);
    for words in [&["room", "new", "--name", "work"][..], &["room", "add", "work"]] {
        assert!(ann.refused(words, "another room altogether").contains("is there already"));
    }
    assert_eq!(fs::read_to_string(ann.room("work")).unwrap(), format!("{ROOM}\n"));
    ann.done(&["room", "new", "--out", "some/where/room.txt"], "");
    let file = ann.configuration.path().join("some/where/room.txt");
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let before = fs::read(&file).unwrap();
    assert!(ann.refused(&["room", "new", "--out", "some/where/room.txt"], "").contains("is there already"));
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_passphrase_that_no_command_would_take_is_not_kept() {
    let lan = Lan::alone();
    let ann = User::new(&lan.hosts[0]);
    let long = "x".repeat(1_025);
    for (passphrase, why) in [
        ("", "is empty"),
        ("\n", "is empty"),
        ("a\tb", "passphrase"),
        (&*long, "too long"),
        ("\u{feff}abc", "BOM"),
    ] {
        let told = ann.refused(&["room", "add", "work"], passphrase);
        assert!(told.contains(why), "{told}");
    }
    assert!(!ann.rooms().exists());
    let weak = ann.run(&["room", "add", "work", "--json"], "summer12");
    let events: Vec<Value> = String::from_utf8(weak.stdout).unwrap().lines().map(event).collect();
    assert_eq!(events[0]["code"], "weak-passphrase");
    assert_eq!((&events[1]["event"], &events[1]["name"]), (&"added".into(), &"work".into()));
    assert_eq!(events[1]["path"].as_str(), ann.room("work").to_str());
}

#[test]
fn a_typed_passphrase_is_kept_only_if_it_is_the_same_twice() {
    let lan = Lan::alone();
    let ann = User::new(&lan.hosts[0]);
    let (mut screen, mut adding) = ann.at_a_terminal(&["room", "add", "work"]);
    wait_for(&mut screen, "Room passphrase: ");
    screen.write_all(format!("{ROOM}\n").as_bytes()).unwrap();
    wait_for(&mut screen, "The same once more: ");
    screen.write_all(format!("{ROOM}x\n").as_bytes()).unwrap();
    let shown = wait_for(&mut screen, "start again");
    assert!(shown.contains("differ") && !shown.contains("lantern"), "{shown}");
    assert_eq!(adding.wait().unwrap().code(), Some(2));
    assert!(!ann.rooms().exists());

    let (mut screen, mut adding) = ann.at_a_terminal(&["room", "add", "work"]);
    for question in ["Room passphrase: ", "The same once more: "] {
        wait_for(&mut screen, question);
        screen.write_all(format!("{ROOM}\n").as_bytes()).unwrap();
    }
    let shown = wait_for(&mut screen, "which only you can read");
    assert!(!shown.contains("lantern"), "{shown}");
    assert_eq!(adding.wait().unwrap().code(), Some(0));
    assert_eq!(fs::read_to_string(ann.room("work")).unwrap(), format!("{ROOM}\n"));
    // Nobody types a passphrase for nothing.
    let (mut screen, mut adding) = ann.at_a_terminal(&["room", "add", "work"]);
    assert!(!wait_for(&mut screen, "is there already").contains("Room passphrase"));
    assert_eq!(adding.wait().unwrap().code(), Some(2));
}

#[test]
fn a_list_has_names_and_no_passphrases() {
    let lan = Lan::alone();
    let ann = User::new(&lan.hosts[0]);
    let empty = ann.run(&["room", "list"], "");
    assert_eq!((empty.status.code(), empty.stdout.len()), (Some(0), 0));
    assert!(said(&empty).contains("deaddrop room new --name default"), "{}", said(&empty));
    for name in ["work", "default", "b\u{fc}ro 2"] {
        ann.done(&["room", "add", name], ROOM);
    }
    // A folder, a hidden file, and a name that could be no flag's value.
    fs::create_dir(ann.room("folder")).unwrap();
    for name in [".hidden", "a\nb"] {
        fs::write(ann.room(name), ROOM).unwrap();
    }
    assert_eq!(ann.done(&["room", "list"], ""), "b\u{fc}ro 2\ndefault\nwork\n");
    fs::set_permissions(ann.room("work"), Permissions::from_mode(0o644)).unwrap();
    let output = ann.run(&["room", "list"], "");
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), "b\u{fc}ro 2\ndefault\nwork\n".as_bytes()));
    let told = said(&output);
    assert!(
        told.contains("warning: others can reach") && told.contains("chmod 600") && !told.contains(ROOM),
        "{told}"
    );
    let json = ann.done(&["room", "list", "--json"], "");
    let events: Vec<Value> = json.lines().map(event).collect();
    let brief: Vec<_> = events
        .iter()
        .map(|event| [&event["event"], &event["name"], &event["default"], &event["code"]])
        .collect();
    let [none, yes, no] = [Value::Null, true.into(), false.into()];
    let [room, warning, code]: [Value; 3] = ["room".into(), "warning".into(), "room-file".into()];
    assert_eq!(
        brief,
        [
            [&room, &"b\u{fc}ro 2".into(), &no, &none],
            [&room, &"default".into(), &yes, &none],
            [&room, &"work".into(), &no, &none],
            [&warning, &none, &none, &code],
        ]
    );
    let (mut screen, mut listing) = ann.at_a_terminal(&["room", "list"]);
    assert!(wait_for(&mut screen, "work").contains("default  (used where no room is given)"));
    listing.wait().unwrap();
}

#[test]
fn the_others_are_told_to_use_the_same_name() {
    let lan = Lan::alone();
    let ann = User::new(&lan.hosts[0]);
    for (words, told) in [(["--name", "work"], "room add work."), (["--out", "r1"], "room add NAME.")] {
        let output = ann.run(&[&["room", "new"], &words[..]].concat(), "");
        assert!(said(&output).trim_end().ends_with(told), "{}", said(&output));
    }
}

#[test]
fn a_qr_code_is_for_a_terminal() {
    let lan = Lan::alone();
    let ann = User::new(&lan.hosts[0]);
    assert!(ann.refused(&["room", "new", "--name", "work", "--qr"], "").contains("--force"));
    assert!(!ann.rooms().exists());
    let forced = ann.done(&["room", "new", "--qr", "--force"], "");
    let mut lines = forced.lines();
    assert_eq!(lines.next().unwrap().split(' ').count(), 6);
    assert!(lines.all(|line| line.starts_with("\u{1b}[38;5;16;48;5;231m") && line.ends_with("\u{1b}[0m")));
    let narrow = of_size(20, 24).unwrap();
    let (mut screen, mut making) = ann.at_this_terminal(narrow, &["room", "new", "--name", "work", "--qr"]);
    let shown = wait_for(&mut screen, "leave out --qr");
    assert!(shown.contains("the terminal has 20") && !shown.contains('\u{2588}'), "{shown}");
    assert_eq!(making.wait().unwrap().code(), Some(2));
    assert!(!ann.rooms().exists());
    let (mut screen, mut making) = ann.at_a_terminal(&["room", "new", "--name", "work", "--qr"]);
    let shown = wait_for(&mut screen, "\u{2588}");
    let passphrase = fs::read_to_string(ann.room("work")).unwrap();
    assert!(!shown.contains(passphrase.trim_end()), "it is in the file and in the code");
    // Reads on, so that all of it can be written.
    wait_for(&mut screen, "\u{1b}[0m\r\n");
    drop(screen);
    making.wait().unwrap();
}

/// strace makes the faults: a kill at a call, and none.
#[test]
fn a_room_has_its_name_once_it_is_durable_and_not_before() {
    let lan = Lan::alone();
    let user = User::new(&lan.hosts[0]);
    let traced = |words: &[&str]| {
        let mut command = lan.hosts[0].command("strace");
        command.args(["-f", "-e", "trace=write,fsync"]).args(words).arg(deaddrop());
        command.args(["room", "new", "--name", "work"]).env("XDG_CONFIG_HOME", user.configuration.path());
        command.output().unwrap()
    };
    traced(&["-e", "inject=fsync:signal=KILL:when=1"]);
    assert_eq!(user.done(&["room", "list"], ""), "", "it was killed before it was durable");
    let output = traced(&[]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(said(&output).matches("fsync(").count(), 2, "the file, and its folder");
    assert!(user.done(&["room", "list"], "").starts_with("work"));
}

#[test]
fn a_command_that_is_advised_can_be_copied() {
    let lan = Lan::alone();
    let user = User::new(&lan.hosts[0]);
    let refused = user.refused(&["run", "--room-name", "B\u{fc}ro; 2"], "");
    assert!(refused.contains("deaddrop room add 'B\u{fc}ro; 2' keeps"), "{refused}");
    user.done(&["room", "new", "--name", "B\u{fc}ro; 2"], "");
    let path = user.configuration.path().join("deaddrop/rooms/B\u{fc}ro; 2");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let refused = user.refused(&["run", "--room-name", "B\u{fc}ro; 2"], "");
    assert!(refused.contains(&format!("with: chmod 600 '{}' (", path.display())), "{refused}");
}
