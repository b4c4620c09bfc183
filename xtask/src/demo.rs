//! `demo`: a listener, a message and a file on this machine's loopback, shown while it runs and checked; or a session of
//! two people, drawn.

mod pane;
mod record;
mod svg;

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use argh::FromArgs;
use serde_json::Value;
use testbed::noise::noise;
use testbed::process::Process;
use testbed::scratch::Scratch;

use crate::environment::random::random;
use crate::environment::repo::{Failure, Repo, built};

/// Build deaddrop, start a listener, send a message and a file, fetch both, and check that what
/// arrived is what was sent. All of it on this machine's loopback. With --record instead: a session of two people at
/// terminals, on a LAN of network namespaces, drawn as a picture.
#[derive(FromArgs)]
#[argh(subcommand, name = "demo")]
pub(crate) struct Demo {
    /// use this deaddrop, instead of building one
    #[argh(option, arg_name = "path")]
    binary: Option<PathBuf>,
    /// record a session, and write the picture that the README shows (host/docs/session.svg)
    #[argh(switch)]
    record: bool,
}

/// The picture of a session.
const PICTURE: &str = "host/docs/session.svg";
/// Time for everything after the build.
const DEADLINE: Duration = Duration::from_secs(60);
/// Bytes of the file that is sent: several records' worth, and not a whole number of them.
const FILE_SIZE: usize = 5 * 1024 * 1024 + 123;
/// The message that is sent.
const MESSAGE: &str = "the key is under the third flower pot 🪴";

/// Runs the demo.
pub(crate) fn run(repo: &Repo, demo: &Demo) -> Result<(), Failure> {
    let binary = match &demo.binary {
        Some(path) => fs::canonicalize(path).map_err(Failure::at(path.display().to_string()))?,
        None => {
            println!("building deaddrop");
            build(repo)?
        }
    };
    if !demo.record {
        return hand_over(&binary, Discovery::Shown);
    }
    let picture = repo.root.join(PICTURE);
    record::write(&binary, &picture)?;
    println!("wrote {PICTURE}");
    Ok(())
}

/// Records a session of the deaddrop of this checkout, as a picture at this path.
pub(crate) fn record(repo: &Repo, picture: &Path) -> Result<(), Failure> {
    record::write(&build(repo)?, picture)
}

/// Whether a listener takes part, which shows what is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discovery {
    /// It takes part, and must see each offer.
    Shown,
    /// It does not: wine passes on no broadcasts on loopback.
    LeftOut,
}

/// Hands over a message and a file with this deaddrop, and checks that what arrived is what was sent.
pub(crate) fn hand_over(binary: &Path, discovery: Discovery) -> Result<(), Failure> {
    let scene = Scene::set(binary, Scratch::new()?)?;
    scene.play(discovery)
}

/// Builds deaddrop and gives the path of its binary.
pub(crate) fn build(repo: &Repo) -> Result<PathBuf, Failure> {
    built(&mut repo.cargo(["build", "--locked", "--package", "deaddrop", "--bin", "deaddrop"]), "deaddrop")
}

/// A sender's `ready` event.
struct Ready {
    port: u64,
    token: String,
}

/// The binary, the room and the ports of one run.
struct Scene<'a> {
    binary: &'a Path,
    scratch: Scratch,
    room: PathBuf,
    udp_port: u16,
    deadline: Instant,
}

impl<'a> Scene<'a> {
    fn set(binary: &'a Path, scratch: Scratch) -> Result<Self, Failure> {
        // A random room, because other users of this machine share its loopback.
        let passphrase = format!("{:032x}\n", u128::from_le_bytes(random()?));
        let room = scratch.write("room", passphrase.as_bytes())?;
        let udp_port = UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .map_err(Failure::at("a free UDP port"))?
            .port();
        Ok(Self { binary, scratch, room, udp_port, deadline: Instant::now() + DEADLINE })
    }

    fn play(&self, discovery: Discovery) -> Result<(), Failure> {
        let mut listener = match discovery {
            Discovery::Shown => Some(self.start("listener", &["run", "--json"], &[])?),
            Discovery::LeftOut => None,
        };
        if let Some(listener) = &mut listener {
            listener.await_event("ready", self.left())?;
        }

        let port = free_tcp_port()?;
        let send = ["send-msg", "--json", "--tcp-port", &port, MESSAGE];
        self.hand_over(listener.as_mut(), &send, None, |received| {
            let text = received["text"].as_str().unwrap_or_default();
            if text == MESSAGE { Ok(()) } else { Err(Failure(format!("sent {MESSAGE:?}, arrived {text:?}"))) }
        })?;

        let bytes = noise(u64::from_le_bytes(random()?), FILE_SIZE);
        let sent = self.scratch.write("flowers.bin", &bytes)?;
        let inbox = self.scratch.path().join("inbox");
        fs::DirBuilder::new().mode(0o700).create(&inbox).map_err(Failure::at(inbox.display().to_string()))?;
        let port = free_tcp_port()?;
        let send = ["send-file", "--json", "--tcp-port", &port, &sent.to_string_lossy()];
        self.hand_over(listener.as_mut(), &send, Some(&inbox), |received| {
            // The program for Windows, under wine, writes `\` between names.
            let path = received["path"].as_str().unwrap_or_default().replace('\\', "/");
            let path = self.scratch.path().join(path);
            let arrived = fs::read(&path).map_err(Failure::at(path.display().to_string()))?;
            same(&bytes, &arrived)
        })?;

        println!("done: the message and all {FILE_SIZE} bytes of the file arrived as they were sent");
        Ok(())
    }

    /// Sends, waits for the listener to see it, fetches, and has what was received checked.
    fn hand_over(
        &self,
        listener: Option<&mut Process>,
        send: &[&str],
        inbox: Option<&Path>,
        check: impl FnOnce(&Value) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut sender = self.start("sender", send, &[])?;
        let ready = Ready::read(&sender.await_event("ready", self.left())?)?;
        if let Some(listener) = listener {
            while listener.await_event("offer", self.left())?["token"] != ready.token.as_str() {}
        }
        let port = ready.port.to_string();
        let out = inbox.map(|inbox| inbox.to_string_lossy());
        let out = out.as_ref().map(|out| ["--out", out]);
        let fetch = ["fetch", "--json", "--from", "127.0.0.1", "--port", &port, "--token", &ready.token];
        let mut fetcher = self.start("fetcher", &fetch, out.as_ref().map_or(&[], |out| out.as_slice()))?;
        let received = fetcher.await_event("received", self.left())?;
        fetcher.ends_with(0, self.left())?;
        sender.await_event("fetched", self.left())?;
        sender.ends_with(0, self.left())?;
        check(&received)
    }

    /// Time until everything must be over.
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Starts deaddrop in the demo's room.
    fn start(&self, role: &'static str, words: &[&str], more: &[&str]) -> Result<Process, Failure> {
        let mut command = Command::new(self.binary);
        let (verb, rest) = words.split_first().ok_or_else(|| Failure::new("deaddrop needs a verb"))?;
        command.current_dir(self.scratch.path()).env_remove("DEADDROP_ROOM").arg(verb);
        command.arg("--room-file").arg(&self.room).args(["--udp-port", &self.udp_port.to_string()]);
        // On loopback alone, so that the LAN does not hear of a demo.
        command.args(["--interface", "lo"]);
        command.args(more).args(rest);
        let mut process = Process::spawn_shown(command, role)?;
        process.close_input();
        Ok(process)
    }
}

impl Ready {
    fn read(event: &Value) -> Result<Self, Failure> {
        match (event["port"].as_u64(), event["token"].as_str()) {
            (Some(port), Some(token)) => Ok(Self { port, token: token.to_owned() }),
            _ => Err(Failure(format!("the sender is ready without a port and a token: {event}"))),
        }
    }
}

fn same(sent: &[u8], arrived: &[u8]) -> Result<(), Failure> {
    if sent == arrived {
        return Ok(());
    }
    let at = sent.iter().zip(arrived).take_while(|(a, b)| a == b).count();
    Err(Failure(format!(
        "the file differs from byte {at} on: {} bytes were sent, {} arrived",
        sent.len(),
        arrived.len()
    )))
}

/// A free TCP port; another process may take it before it is used.
fn free_tcp_port() -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Failure::at("a free TCP port"))?;
    Ok(listener.local_addr().map_err(Failure::at("a free TCP port"))?.port().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_placed() {
        assert!(same(b"abc", b"abc").is_ok());
        assert!(same(b"abc", b"abd").unwrap_err().0.contains("from byte 2"));
        assert!(same(b"abc", b"ab").unwrap_err().0.contains("3 bytes were sent, 2 arrived"));
        assert!(same(b"", b"a").is_err());
    }
}
