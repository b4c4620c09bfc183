//! `run` at a terminal: a list of offers from which a person fetches, and a terminal as it was before however it ends.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{Action, Winsize, tcflow, tcsetwinsize};

use crate::support::terminal::{terminal, wait_for};
use crate::support::{
    Host, Lan, ROOM, Screen, deaddrop, listener, names, noise, send_file, send_message, write,
};

/// A shell with job control, whose only job is deaddrop; then `fg` and `bg` as it reads them.
const SHELL: &str = r#"
    sh -c 'echo "pid $$"; exec "$@"' job "$@"
    echo "ended $?"
    while read -r line; do $line; echo "ended $?"; done
"#;
const KEYS: &str = "Enter: fetch, a: all, ?: help, q: leave";

/// A person at a terminal.
struct Person {
    screen: Screen,
    shell: Child,
}

impl Person {
    /// Runs a command in a folder, with such variables.
    fn new(host: &Host, folder: &Path, columns: u16, variables: &[(&str, &str)], words: &[&str]) -> Self {
        Self::with_shell("sh", host, folder, columns, variables, words)
    }

    /// The same with another shell.
    fn with_shell(
        shell: &str,
        host: &Host,
        folder: &Path,
        columns: u16,
        variables: &[(&str, &str)],
        words: &[&str],
    ) -> Self {
        let screen = Screen::new(columns, 24, 1_000);
        let mut command = host.command("setsid");
        command.args(["--ctty", shell, "-mc", SHELL, "shell", deaddrop()]).args(words).current_dir(folder);
        command.env_remove("LC_ALL").env_remove("LC_CTYPE").env_remove("NO_COLOR");
        command.env("DEADDROP_ROOM", ROOM).env("TERM", "xterm").env("LANG", "C.UTF-8");
        command.env("XDG_STATE_HOME", folder.join("state")).envs(variables.iter().copied());
        let shell =
            command.stdin(screen.stream()).stdout(screen.stream()).stderr(screen.stream()).spawn().unwrap();
        Self { screen, shell }
    }

    /// The row of the selected offer.
    fn selected(&self) -> String {
        self.screen.contents().lines().find(|row| row.starts_with("> ")).unwrap_or_default().to_owned()
    }

    /// Selects an offer by what its row holds.
    fn select(&mut self, text: &str) {
        self.screen.shows(text);
        for key in [b"j", b"k"] {
            if self.selected().contains(text) {
                return;
            }
            self.screen.types(key);
            self.screen.until(text, |contents| {
                let row = contents.lines().find(|row| row.starts_with("> "));
                row.is_some_and(|row| row.contains(text))
            });
        }
    }

    fn process(&mut self) -> Pid {
        let shown =
            self.screen.until("a process", |contents| contents.contains("pid ") && contents.contains('\n'));
        let pid = shown.split_once("pid ").unwrap().1.split_whitespace().next().unwrap();
        Pid::from_raw(pid.parse().unwrap()).unwrap()
    }

    /// The job ends like this, with the terminal as it was, and nothing of the screen on it.
    fn ends(&mut self, code: i32) -> String {
        let shown = self.screen.shows(&format!("ended {code}"));
        assert!(self.screen.is_as_before(), "{shown}");
        assert!(!shown.contains(KEYS) && !shown.contains("offer"), "{shown}");
        shown
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// What a process does: `S` waits, `T` is stopped.
fn state(process: Pid) -> char {
    let status = fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).unwrap();
    status.split_once("State:\t").unwrap().1.chars().next().unwrap()
}

#[test]
fn a_message_and_a_file_are_fetched_and_stay_on_the_terminal() {
    let lan = Lan::alone();
    let (host, folder, here) = (&lan.hosts[0], tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bytes = noise(1, 100_000);
    let path = write(folder.path(), "a.bin", &bytes);
    let (mut message, token, _) = send_message(host, folder.path(), "hello \u{1b}[31m\ncaf\u{e9}", &[]);
    let (mut file, ..) = send_file(host, folder.path(), &path, &[]);

    let mut bob = Person::new(host, here.path(), 80, &[], &["run"]);
    let shown = bob.screen.shows("2 offers; listening on 127.0.0.1");
    assert!(shown.contains(KEYS), "{shown}");
    bob.select(" message ");
    let row = bob.selected();
    assert!(row.contains(&token[..6]) && row.contains(" 17 B  127.0.0.1 "), "{row}");
    bob.screen.types(b"\n");
    bob.screen.shows("1 offer;");
    assert_eq!(message.exit_code(), 0);
    bob.select(" a.bin ");
    bob.screen.types(b"a");
    bob.screen.shows("No offers yet");
    assert_eq!(file.exit_code(), 0);
    assert!(fs::read(here.path().join("a.bin")).unwrap() == bytes);
    bob.screen.types(b"?");
    bob.screen.shows("Up, Down or k, j: select");
    bob.screen.types(b"q");
    let shown = bob.ends(0);
    let stays: Vec<_> = shown.lines().skip_while(|line| !line.starts_with("Taking")).collect();
    assert_eq!(
        stays,
        [
            "Taking message, 17 bytes from 127.0.0.1",
            "hello \\u{1b}[31m",
            "caf\u{e9}",
            "Taking file \"a.bin\", 100000 bytes from 127.0.0.1",
            "Saved a.bin, 100000 bytes",
            "ended 0",
        ]
    );
}

#[test]
fn files_go_into_the_folder_that_is_named_and_a_failure_is_told_on_the_screen() {
    let lan = Lan::alone();
    let (host, folder, here) = (&lan.hosts[0], tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(here.path().join("inbox")).unwrap();
    let path = write(folder.path(), "a.bin", b"content");
    let (mut file, ..) = send_file(host, folder.path(), &path, &["--fetches", "2"]);
    // Of ASCII alone, without colours, and narrow.
    let plain = [("NO_COLOR", "1"), ("LANG", "C")];
    let mut bob = Person::new(host, here.path(), 40, &plain, &["run", "--out", "inbox"]);
    bob.select(" a.bin ");
    bob.screen.types(b"\n");
    let shown = bob.screen.shows(" fetched");
    assert!(shown.contains("Saved inbox/a.bin, 7 bytes"), "{shown}");
    assert_eq!(fs::read(here.path().join("inbox/a.bin")).unwrap(), b"content");
    fs::remove_dir_all(here.path().join("inbox")).unwrap();
    // The same once more: there is no folder for it now.
    bob.screen.types(b"\n");
    let shown = bob.screen.shows(" failed");
    let place = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no {text}: {shown}"));
    assert!(place(" failed") < place("deaddrop: "), "it is told below the list: {shown}");
    kill_process(bob.process(), Signal::TERM).unwrap();
    let shown = bob.ends(143);
    assert!(shown.contains("deaddrop: terminated"), "{shown}");
    assert!(
        shown.contains("deaddrop: there is no folder inbox: make it first"),
        "the failure stays: {shown}"
    );
    let written = String::from_utf8(bob.screen.written.clone()).unwrap();
    assert!(
        written.is_ascii() && !written.contains("\x1b[0m") && !written.contains("\x1b[7m"),
        "{written:?}"
    );
    file.signal(Signal::TERM);
    file.exit_code();
}

#[test]
fn the_terminal_is_as_it_was_after_every_way_out_and_while_the_program_is_stopped() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let (_sending, ..) = send_message(host, folder.path(), "hello", &[]);
    // Ctrl-C, after Ctrl-Z and fg.
    let mut bob = Person::new(host, folder.path(), 80, &[], &["run"]);
    bob.screen.shows("1 offer;");
    assert!(!bob.screen.is_as_before(), "keys are read as they are pressed");
    let job = bob.process();
    bob.screen.types(b"\x1a");
    bob.ends(128 + Signal::STOP.as_raw());
    // As `bg` does. What is typed is for the shell, also when it goes on in the background.
    kill_process(job, Signal::CONT).unwrap();
    crate::support::wait_for(|| state(job) == 'S');
    bob.screen.types(b"fg\n");
    bob.screen.shows("1 offer;");
    // A terminal that becomes narrower is painted anew.
    let size = Winsize { ws_col: 40, ws_row: 24, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&bob.screen.theirs, size).unwrap();
    bob.screen.until("a narrow screen", |contents| !contents.contains("  127.0.0.1  "));
    bob.screen.types(b"\x03");
    let shown = bob.ends(130);
    assert!(shown.contains("deaddrop: interrupted"), "{shown}");
    for signal in [Signal::HUP, Signal::QUIT] {
        let mut bob = Person::new(host, folder.path(), 80, &[], &["run"]);
        bob.screen.shows("1 offer;");
        kill_process(bob.process(), signal).unwrap();
        bob.ends(143);
    }
}

#[test]
fn a_job_that_runs_in_the_background_is_brought_back_without_a_signal() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    // bash sends no SIGCONT to a job that it takes for one that runs. Nothing is offered that would be counted down.
    let mut bob = Person::with_shell("bash", host, folder.path(), 80, &[], &["run"]);
    bob.screen.shows("No offers yet");
    let job = bob.process();
    bob.screen.types(b"\x1a");
    bob.screen.shows(&format!("ended {}", 128 + Signal::STOP.as_raw()));
    bob.screen.types(b"bg\n");
    bob.screen.shows("ended 0");
    crate::support::wait_for(|| state(job) == 'S');
    assert!(bob.screen.is_as_before(), "the terminal is the shell's");
    bob.screen.types(b"fg\n");
    bob.screen.shows("No offers yet");
    bob.screen.types(b"?");
    bob.screen.shows("Up, Down or k, j: select");
    bob.screen.types(b"\x03");
    bob.ends(130);
}

#[test]
fn leaving_during_a_fetch_gives_the_drop_back() {
    let lan = Lan::of(2);
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = write(folder.path(), "a.bin", &noise(1, 6 << 20));
    let (mut file, ..) = send_file(&lan.hosts[0], folder.path(), &path, &[]);
    let mut bob = Person::new(&lan.hosts[1], here.path(), 80, &[], &["run"]);
    bob.select(" a.bin ");
    lan.hosts[0].limit_rate(4_000).unwrap();
    bob.screen.types(b"\n");
    let shown = bob.screen.shows(" of 6.29 MB");
    assert!(shown.contains('%'), "{shown}");
    bob.screen.types(b"q");
    let shown = bob.ends(0);
    assert!(shown.contains("deaddrop: interrupted"), "what became of the fetch is told: {shown}");
    assert_eq!(file.event("lapsed")["why"], "released");
    assert_eq!(names(here.path()), [""; 0]);
}

#[test]
fn a_stopped_terminal_stops_no_discovery() {
    let lan = Lan::alone();
    let (host, folder, here) = (&lan.hosts[0], tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_first, ..) = send_message(host, folder.path(), "one", &["--fetches", "9"]);
    let mut bob = Person::new(host, here.path(), 80, &[], &["run"]);
    bob.screen.shows("1 offer;");
    bob.screen.types(b"a");
    bob.screen.shows(" fetched");
    // As Ctrl-S does. An offer comes and goes that would be painted, which the terminal does not take.
    let mut other = listener(host, folder.path());
    other.event("offer");
    tcflow(&bob.screen.theirs, Action::OOff).unwrap();
    let (second, ..) = send_message(host, folder.path(), "two", &[]);
    other.event("offer");
    second.signal(Signal::TERM);
    other.event("gone");
    let (mut third, ..) = send_message(host, folder.path(), "three", &[]);
    let claimed = (0..100).find_map(|_| {
        bob.screen.types(b"a");
        third.event_within("claimed", Duration::from_millis(100))
    });
    tcflow(&bob.screen.theirs, Action::OOn).unwrap();
    assert!(claimed.is_some(), "{:?}", third.events);
    bob.screen.shows("three");
    assert_eq!(third.exit_code(), 0);
    bob.screen.types(b"q");
    bob.ends(0);
}

#[test]
fn lines_as_before_where_there_can_be_no_screen() {
    let lan = Lan::alone();
    let (host, folder) = (&lan.hosts[0], tempfile::tempdir().unwrap());
    let (_sending, token, _) = send_message(host, folder.path(), "hello", &[]);
    for (variables, more) in [(&[("TERM", "dumb")][..], &[][..]), (&[], &["--quiet"]), (&[], &["-v"])] {
        let words = [&["run"], more].concat();
        let mut bob = Person::new(host, folder.path(), 80, variables, &words);
        bob.screen.shows(&format!("deaddrop fetch --from 127.0.0.1:48556 --token {token}"));
        assert!(bob.screen.is_as_before(), "{words:?}");
        bob.screen.types(b"\x03");
        bob.screen.shows("ended 130");
        let written = String::from_utf8(bob.screen.written.clone()).unwrap();
        assert!(!written.contains('\x1b'), "{written:?}");
    }
    // A terminal that does not know its size, and --out where nobody fetches.
    let (mut ours, theirs) = terminal();
    let copy = || Stdio::from(theirs.try_clone().unwrap());
    let start = |words: &[&str]| {
        let mut command = host.command("setsid");
        command.args(["--ctty", deaddrop()]).args(words).current_dir(folder.path());
        command.env("DEADDROP_ROOM", ROOM).env("TERM", "xterm");
        command.stdin(copy()).stdout(copy()).stderr(copy()).spawn().unwrap()
    };
    let mut listening = start(&["run"]);
    let shown = wait_for(&mut ours, &token);
    assert!(!shown.contains('\x1b'), "{shown:?}");
    kill_process(Pid::from_child(&listening), Signal::TERM).unwrap();
    assert_eq!(listening.wait().unwrap().code(), Some(143));
    let mut refused = start(&["run", "--json", "--out", "."]);
    wait_for(&mut ours, "--out is for what is fetched");
    assert_eq!(refused.wait().unwrap().code(), Some(2));
}
