//! Standard output into a pipe that nobody reads: signals are heard all the same, and the sender is not kept waiting.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process};

use crate::signals::{SIGNALS, catches, has_socket};
use crate::support::{Host, Lan, Process, ROOM, deaddrop, noise, send_file, send_message, wait_for, write};

/// A program whose standard output nobody reads.
struct Stalled {
    child: Child,
    output: PipeReader,
}

/// Starts deaddrop with a pipe for its standard output, which is full already if `full`.
fn start(host: &Host, words: &[&str], room: &str, full: bool) -> Stalled {
    let (output, mut input) = std::io::pipe().unwrap();
    if full {
        input.write_all(&vec![b'\n'; size(&input)]).unwrap();
    }
    let mut command = host.command(deaddrop());
    command.args(words).env("DEADDROP_ROOM", room);
    command.stdin(Stdio::null()).stdout(input).stderr(Stdio::piped());
    Stalled { child: command.spawn().unwrap(), output }
}

/// Whether a process has ended, without waiting and without forgetting how.
const ENDED: WaitIdOptions = WaitIdOptions::EXITED.union(WaitIdOptions::NOHANG).union(WaitIdOptions::NOWAIT);

fn waited_for(child: &Child) -> WaitId<'_> {
    WaitId::Pid(Pid::from_child(child))
}

fn size(pipe: &PipeWriter) -> usize {
    rustix::pipe::fcntl_getpipe_size(pipe).unwrap()
}

impl Stalled {
    /// The program has filled the pipe with what it puts out, and its writes block.
    fn is_full(&self) {
        wait_for(|| {
            let held = rustix::io::ioctl_fionread(&self.output).unwrap();
            held > 0 && held == rustix::pipe::fcntl_getpipe_size(&self.output).unwrap() as u64
        });
    }

    /// Sends the signal and checks how the program ends while nobody reads, and how soon. Gives its standard error.
    fn ends(mut self, (signal, code, word): (Signal, i32, &str)) -> String {
        let asked = Instant::now();
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        // The standard library has no wait with a deadline, and a program that is deaf never ends.
        wait_for(|| rustix::process::waitid(waited_for(&self.child), ENDED).unwrap().is_some());
        assert_eq!(self.child.wait().unwrap().code(), Some(code));
        // It should take a second, as in the tests of signals.
        assert!(asked.elapsed() < Duration::from_millis(2_900), "{:?}", asked.elapsed());
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.lines().last().is_some_and(|line| line.contains(word)), "{said}");
        said
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_signal_ends_a_program_before_its_first_line_is_read() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    for how in SIGNALS {
        for words in [&["run", "--json"][..], &["fetch", "--json"], &["send-msg", "--json", "hello"]] {
            // The first line warns of such a passphrase.
            let program = start(host, words, "weak", true);
            wait_for(|| catches(program.child.id(), how.0));
            program.ends(how);
        }
    }
}

#[test]
fn a_signal_ends_a_sender_that_cannot_say_what_it_offers() {
    let lan = Lan::alone();
    for how in SIGNALS {
        let sending = start(&lan.hosts[0], &["send-msg", "--json", "hello"], ROOM, true);
        // It listens on TCP port 48556, and has announced the drop then or is about to.
        wait_for(|| has_socket(sending.child.id(), "tcp", ":BDAC", "0A"));
        sending.ends(how);
    }
}

#[test]
fn a_fetch_that_cannot_say_what_it_takes_gives_the_drop_back() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let (mut sending, token, _) = send_message(host, folder.path(), "hello", &[]);
    for how in SIGNALS {
        let words = ["fetch", "--json", "--from", &host.ip, "--token", &token];
        let fetching = start(host, &words, ROOM, true);
        sending.event("claimed");
        fetching.ends(how);
        assert_eq!(sending.event("lapsed")["why"], "released");
    }
}

#[test]
fn a_signal_ends_a_drop_on_its_way_out() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.bin", &noise(7, 3 << 20));
    for how in SIGNALS {
        let (mut sending, token, _) = send_file(host, folder.path(), &path, &[]);
        let words = ["fetch", "--from", &host.ip, "--token", &token, "--out", "-"];
        let fetching = start(host, &words, ROOM, false);
        fetching.is_full();
        let said = fetching.ends(how);
        assert!(said.contains("the whole drop is kept in"), "{said}");
        // Nobody else can have it, and it is safe here: its sender is done.
        sending.event("fetched");
        assert_eq!(sending.exit_code(), 0);
        // Its sender is gone, and nobody is asked for it.
        let again = host.command(deaddrop()).args(words).env("DEADDROP_ROOM", ROOM).output().unwrap();
        assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stderr));
        assert_eq!(again.stdout, std::fs::read(&path).unwrap());
    }
    // A message fills no pipe, unless there is something in it already.
    let (_sending, token, _) = send_message(host, folder.path(), "hello", &[]);
    let fetching = start(host, &["fetch", "--from", &host.ip, "--token", &token], ROOM, true);
    wait_for(|| catches(fetching.child.id(), Signal::TERM));
    fetching.ends(SIGNALS[1]);
}

#[test]
fn nothing_is_lost_when_the_reader_goes_on() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let mut listening = start(host, &["run", "--json"], "weak", true);
    let folder = tempfile::tempdir().unwrap();
    let mut command = host.command(deaddrop());
    command.args(["send-msg", "--json", "hello"]).current_dir(folder.path()).env("DEADDROP_ROOM", "weak");
    let mut sending = Process::from_command(command, "send-msg".into());
    let token = sending.event("ready")["token"].as_str().unwrap().to_owned();
    // In the order in which they happened.
    let (mut said, mut part) = (String::new(), [0; 1_024]);
    while !said.contains(&token) {
        let read = listening.output.read(&mut part).unwrap();
        said.push_str(std::str::from_utf8(&part[..read]).unwrap());
    }
    let names = ["weak-passphrase", "\"ready\"", "\"offer\""].map(|name| said.find(name).unwrap());
    assert!(names.is_sorted(), "{said}");
}

#[test]
fn a_sender_is_not_kept_waiting_beyond_its_time() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    let content = noise(7, 200_000);
    let path = write(folder.path(), "a.bin", &content);
    let (mut sending, token, _) = send_file(host, folder.path(), &path, &["--ttl", "2"]);
    let words = ["fetch", "--from", &host.ip, "--token", &token, "--out", "-"];
    let mut fetching = start(host, &words, ROOM, false);
    fetching.is_full();
    // Nothing is read before the sender has ended.
    assert_eq!(sending.exit_code(), 0, "{:?}", sending.events);
    let mut taken = Vec::new();
    fetching.output.read_to_end(&mut taken).unwrap();
    assert!(taken == content, "other bytes");
    assert_eq!(fetching.child.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    fetching.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("its sender has been told so"), "{said}");
}
