//! A host with both programs, or one for each.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::support::{Host, Lan, Process, ROOM, deaddrop};
use crate::windows::Windows;

/// For which system a program is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    Linux,
    Windows,
}

/// From the one to the other, and back.
pub(crate) const WAYS: [(System, System); 2] =
    [(System::Windows, System::Linux), (System::Linux, System::Windows)];

/// Where they meet.
pub(crate) struct Scene {
    // Dropped first: what runs on a host ends before it.
    pub(crate) windows: Windows,
    lan: Lan,
    /// Dropped last: the time of a test includes the end of wine.
    _stopwatch: Stopwatch,
}

/// Notes how long a test took that has this, where `cargo xtask windows` looks for it.
struct Stopwatch(Instant);

impl Drop for Stopwatch {
    fn drop(&mut self) {
        let folder = std::env::var_os("DEADDROP_TEST_TIMES");
        // The thread of a test has its name.
        if let (Some(folder), Some(name)) = (folder, std::thread::current().name()) {
            let file = Path::new(&folder).join(name.replace("::", "."));
            // Without it the test is no less passed.
            let _ = std::fs::write(file, format!("{:.1}", self.0.elapsed().as_secs_f64()));
        }
    }
}

impl Scene {
    /// One host, which has its loopback alone.
    pub(crate) fn new() -> Self {
        Self::on(Lan::alone)
    }

    /// A host for each on a network.
    pub(crate) fn on_a_network() -> Self {
        Self::on(|| Lan::of(2))
    }

    fn on(lan: impl FnOnce() -> Lan) -> Self {
        let stopwatch = Stopwatch(Instant::now());
        Self { windows: Windows::new(), lan: lan(), _stopwatch: stopwatch }
    }

    /// The network.
    pub(crate) fn lan(&self) -> &Lan {
        &self.lan
    }

    /// The host of a system.
    pub(crate) fn host(&self, system: System) -> &Host {
        match (system, &self.lan.hosts[..]) {
            (System::Windows, [_, second]) => second,
            (_, hosts) => &hosts[0],
        }
    }

    /// The command that runs deaddrop in a folder.
    pub(crate) fn command(&self, system: System, folder: &Path, arguments: &[&str]) -> std::process::Command {
        let mut command = match system {
            System::Linux => self.host(system).command(deaddrop()),
            System::Windows => self.windows.deaddrop(self.host(system)),
        };
        command.args(arguments).current_dir(folder).env("DEADDROP_ROOM", ROOM);
        command
    }

    /// Starts it. `input` goes to its standard input.
    pub(crate) fn spawn(&self, system: System, folder: &Path, arguments: &[&str], input: &[u8]) -> Process {
        let command = self.command(system, folder, arguments);
        let mut process = Process::from_command(command, format!("{system:?}: {}", arguments.join(" ")));
        process.say(input);
        process.close_input();
        process
    }

    /// A sender that is ready, with its token and port.
    pub(crate) fn send(
        &self,
        system: System,
        folder: &Path,
        arguments: &[&str],
        input: &[u8],
    ) -> (Process, String, u16) {
        let mut process = self.spawn(system, folder, &[arguments, &["--json"]].concat(), input);
        let ready = process.event("ready");
        let token = ready["token"].as_str().expect("a token").to_owned();
        let port = u16::try_from(ready["port"].as_u64().expect("a port")).expect("a port");
        (process, token, port)
    }

    /// A fetch of a drop of the same host.
    pub(crate) fn fetch(&self, system: System, folder: &Path, token: &str, more: &[&str]) -> Process {
        let arguments = [&["fetch", "--json", "--from", "127.0.0.1", "--token", token], more].concat();
        self.spawn(system, folder, &arguments, b"")
    }
}

/// The first event of this name that a process has told of.
pub(crate) fn event<'a>(process: &'a Process, name: &str) -> Option<&'a Value> {
    process.events.iter().find(|event| event["event"] == name)
}
