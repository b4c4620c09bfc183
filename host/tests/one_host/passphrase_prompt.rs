//! The question for the passphrase: without echo, and the terminal as it was before however it ends.

use std::fs::File;
use std::io::Write;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::support::terminal::{terminal, wait_for};
use crate::support::{Host, Lan, ROOM, deaddrop, write};

const QUESTION: &str = "Room passphrase: ";

/// A shell with job control, whose only job is deaddrop. It outlives the job, as a session's terminal is gone with the
/// session's leader.
struct Session {
    ours: File,
    theirs: File,
    before: String,
    shell: Child,
}

/// What the shell runs: the job, then `fg` for each line that it reads.
const SHELL: &str = r#"
    sh -c 'echo "pid $$"; exec "$@"' job "$@"
    echo "ended $?"
    while read -r line; do fg; echo "ended $?"; done
"#;

/// The same with the job in the background, as `deaddrop run &` is. The shell waits for a line as if it edited its
/// command line: the terminal neither echoes nor gathers lines.
const IN_THE_BACKGROUND: &str = r#"
    before=$(stty -g)
    stty -echo -icanon
    "$@" &
    echo "pid $!"
    while read -r line; do
        stty "$before"
        case $line in
            fg) fg; echo "ended $?" ;;
            bg) bg ;;
        esac
    done
"#;

impl Session {
    fn new(host: &Host, words: &[&str]) -> Self {
        Self::with(host, SHELL, words)
    }

    fn with(host: &Host, shell: &str, words: &[&str]) -> Self {
        let (ours, theirs) = terminal();
        let before = modes(&theirs);
        let mut command = host.command("setsid");
        command.args(["--ctty", "sh", "-mc", shell, "shell", deaddrop()]).args(words);
        let shell = spawn(command, &theirs);
        Self { ours, theirs, before, shell }
    }

    /// The terminal shows this. Gives all that it showed since the last time.
    fn shows(&mut self, text: &str) -> String {
        wait_for(&mut self.ours, text)
    }

    fn types(&mut self, text: &[u8]) {
        self.ours.write_all(text).unwrap();
    }

    /// The question is there, and the terminal does not echo.
    fn is_asked(&mut self) -> Pid {
        let shown = self.shows(QUESTION);
        assert!(!tcgetattr(&self.theirs).unwrap().local_modes.contains(LocalModes::ECHO));
        process(&shown).unwrap_or(Pid::INIT)
    }

    /// The job ends like this, with the terminal as it was and nothing left to be read from it. Gives what it said.
    fn ends(&mut self, code: i32) -> String {
        let said = self.shows(&format!("ended {code}"));
        assert_eq!(modes(&self.theirs), self.before, "{said}");
        // A part of a line is held back from readers, unless the terminal passes on every byte.
        let mut raw = tcgetattr(&self.theirs).unwrap();
        raw.local_modes.remove(LocalModes::ICANON);
        tcsetattr(&self.theirs, OptionalActions::Now, &raw).unwrap();
        assert_eq!(rustix::io::ioctl_fionread(&self.theirs).unwrap(), 0, "{said}");
        said
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// The process that the shell has told of.
fn process(shown: &str) -> Option<Pid> {
    let pid = shown.split_once("pid ")?.1.split_whitespace().next()?;
    Pid::from_raw(pid.parse().ok()?)
}

/// Whether a process is stopped.
fn is_stopped(process: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).unwrap();
    status.lines().any(|line| line.starts_with("State:\tT"))
}

/// Starts a command at a terminal.
fn spawn(mut command: std::process::Command, terminal: &File) -> Child {
    let copy = || Stdio::from(terminal.try_clone().unwrap());
    command.env_remove("DEADDROP_ROOM").stdin(copy()).stdout(copy()).stderr(copy()).spawn().unwrap()
}

fn modes(terminal: &File) -> String {
    format!("{:?}", tcgetattr(terminal).unwrap())
}

#[test]
fn the_passphrase_is_not_echoed() {
    let lan = Lan::alone();
    let mut session = Session::new(&lan.hosts[0], &["run"]);
    session.is_asked();
    session.types(format!("{ROOM}\n").as_bytes());
    let shown = session.shows("Listening on 127.0.0.1");
    assert!(!shown.contains("lantern") && shown.starts_with("\r\n"), "{shown:?}");
    assert_eq!(modes(&session.theirs), session.before);
    session.types(b"\x03");
    session.ends(130);
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let lan = Lan::alone();
    let signals = [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 143), (Signal::USR1, 143)];
    for verb in ["run", "fetch", "send-msg"] {
        for (signal, code) in signals {
            let mut session = Session::new(&lan.hosts[0], &[verb]);
            let job = session.is_asked();
            session.types(b"copper lan");
            kill_process(job, signal).unwrap();
            let word = if code == 130 { "interrupted" } else { "terminated" };
            let said = session.ends(code);
            assert_eq!(said.trim_start(), format!("deaddrop: {word}\r\nended {code}"), "{verb} {signal:?}");
        }
    }
    for (key, code) in [(b"\x03", 130), (b"\x1c", 143)] {
        let mut session = Session::new(&lan.hosts[0], &["run"]);
        session.is_asked();
        session.types(key);
        session.ends(code);
    }
}

#[test]
fn a_stopped_process_gives_the_terminal_back_and_asks_again() {
    let lan = Lan::alone();
    let mut session = Session::new(&lan.hosts[0], &["run"]);
    let job = session.is_asked();
    session.types(b"copper lan\x1a");
    session.shows("ended 1");
    assert_eq!(modes(&session.theirs), session.before);
    session.types(b"go on\n");
    session.is_asked();
    session.types(format!("{ROOM}\n").as_bytes());
    session.shows("Listening on 127.0.0.1");
    assert_eq!(modes(&session.theirs), session.before);
    // Where no question waits, a stop is a stop all the same.
    session.types(b"\x1a");
    session.shows("ended 1");
    kill_process(job, Signal::INT).unwrap();
    session.types(b"go on\n");
    session.ends(130);
}

#[test]
fn a_process_in_the_background_asks_once_it_is_in_the_foreground() {
    let lan = Lan::alone();
    let mut session = Session::with(&lan.hosts[0], IN_THE_BACKGROUND, &["run"]);
    let shown = session.shows("\n");
    let job = process(&shown).unwrap();
    crate::support::wait_for(|| is_stopped(job));
    session.types(b"fg\n");
    session.is_asked();
    session.types(format!("{ROOM}\n").as_bytes());
    let shown = session.shows("Listening on 127.0.0.1");
    assert!(!shown.contains(QUESTION), "asked twice: {shown}");
    // As it was when the shell handed the terminal over, and not as the shell had it to itself.
    assert_eq!(modes(&session.theirs), session.before);
    session.types(b"\x03");
    session.ends(130);
}

#[test]
fn a_process_that_was_continued_in_the_background_asks_once_more_and_not_twice() {
    let lan = Lan::alone();
    let mut session = Session::new(&lan.hosts[0], &["run"]);
    let job = session.is_asked();
    session.types(b"\x1a");
    session.shows("ended 1");
    // As `bg` does. It goes on until it would ask, and is stopped there.
    kill_process(job, Signal::CONT).unwrap();
    crate::support::wait_for(|| is_stopped(job));
    session.types(b"go on\n");
    session.is_asked();
    kill_process(job, Signal::TERM).unwrap();
    let shown = session.ends(143);
    assert!(!shown.contains(QUESTION), "asked twice: {shown}");
}

#[test]
fn a_process_that_nobody_could_continue_is_not_stopped() {
    let lan = Lan::alone();
    let (mut ours, theirs) = terminal();
    let mut command = lan.hosts[0].command("setsid");
    command.args(["--ctty", deaddrop(), "run"]);
    let mut listening = spawn(command, &theirs);
    wait_for(&mut ours, QUESTION);
    ours.write_all(b"\x1a").unwrap();
    ours.write_all(format!("{ROOM}\n").as_bytes()).unwrap();
    assert!(!wait_for(&mut ours, "Listening on").contains("lantern"));
    ours.write_all(b"\x03").unwrap();
    assert_eq!(listening.wait().unwrap().code(), Some(130));
}

#[test]
fn an_answer_that_is_no_passphrase_is_a_usage_error() {
    let lan = Lan::alone();
    let long = [&[b'x'; 2_000][..], b"\n"].concat();
    // On a Latin-1 terminal, an empty line, Ctrl-D, and more than a passphrase may have.
    let answers = [
        (&b"caf\xe9 am see\n"[..], "is not UTF-8 text: set the terminal to UTF-8"),
        (b"\n", "is empty"),
        (b"\x04", "no passphrase was typed"),
        (&long, "is too long"),
    ];
    for (answer, why) in answers {
        let mut session = Session::new(&lan.hosts[0], &["run"]);
        session.is_asked();
        session.types(answer);
        let said = session.ends(2);
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn a_message_may_come_from_a_file_while_the_passphrase_is_typed() {
    let lan = Lan::alone();
    let folder = tempfile::tempdir().unwrap();
    let message = write(folder.path(), "message", b"hello");
    let (mut ours, theirs) = terminal();
    let mut command = lan.hosts[0].command("setsid");
    let script = "exec \"$0\" send-msg <\"$1\"";
    command.args(["--ctty", "sh", "-c", script, deaddrop()]).arg(message);
    let mut sending = spawn(command, &theirs);
    wait_for(&mut ours, QUESTION);
    ours.write_all(format!("{ROOM}\n").as_bytes()).unwrap();
    wait_for(&mut ours, "Offering message, 5 bytes");
    ours.write_all(b"\x03").unwrap();
    assert_eq!(sending.wait().unwrap().code(), Some(130));
}

#[test]
fn a_signal_ends_the_wait_for_what_is_piped_in() {
    let lan = Lan::alone();
    for words in
        [&["run", "--json", "--room-file", "/dev/stdin"][..], &["send-msg", "--json", "--room", ROOM]]
    {
        let mut command = lan.hosts[0].command(deaddrop());
        command.args(words);
        let mut waiting = crate::support::Process::from_command(command, words.join(" "));
        crate::support::wait_for(|| crate::signals::catches(waiting.id(), Signal::TERM));
        waiting.signal(Signal::TERM);
        assert_eq!(waiting.exit_code(), 143);
        assert_eq!(waiting.last()["code"], "terminated");
    }
}
