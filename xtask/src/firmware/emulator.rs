//! The emulator, and the board that it runs: started, talked to over its console, looked into, ended.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::lines::Text;
use crate::repo::Failure;

/// The emulator's program, and the machine in it.
pub(crate) const PROGRAM: &str = "qemu-system-arm";
const MACHINE: &str = "lm3s6965evb";

/// Where the machine's SRAM is.
pub(crate) const RAM: u32 = 0x2000_0000;
/// Its bytes.
pub(crate) const RAM_LEN: u32 = 64 * 1024;

/// What a board is started with.
pub(crate) struct Machine<'a> {
    /// The image, an ELF file.
    pub(crate) image: &'a Path,
    /// What flash holds from here on; nothing for a board that was never provisioned.
    pub(crate) flash: Vec<(u32, PathBuf)>,
    /// The file that stands for the seed slots; without it, they are flash, which in the emulator cannot be
    /// written.
    pub(crate) seeds: Option<PathBuf>,
    /// What SRAM holds at the start from here on, behind static data, if it matters.
    pub(crate) ram: Option<(u32, &'a Path)>,
    /// The words of `-nic`.
    pub(crate) nic: String,
}

impl Machine<'_> {
    /// The emulator's words for it, but for the console.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> =
            ["-machine", MACHINE, "-display", "none", "-nic", &self.nic, "-kernel"]
                .map(OsString::from)
                .into();
        words.push(self.image.into());
        for (address, file) in self.flash.iter().map(|(at, file)| (*at, file.as_path())).chain(self.ram) {
            words.push("-device".into());
            words.push(format!("loader,addr={address:#x},force-raw=on,file={}", escaped(file)).into());
        }
        words.push("-semihosting-config".into());
        let mut semihosting = "enable=on,target=native,arg=deaddrop".to_owned();
        if let Some(seeds) = &self.seeds {
            semihosting.push_str(&format!(",arg=seeds={}", escaped(seeds)));
        }
        words.push(semihosting.into());
        words
    }
}

/// A path within a list of options, where a comma is doubled.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

/// A running board. Ended when dropped.
pub(crate) struct Emulated {
    emulator: Child,
    input: ChildStdin,
    console: Text,
    monitor: PathBuf,
    /// What the emulator itself complains of.
    errors: Text,
}

impl Emulated {
    /// Starts it; `command` is one that runs the emulator where the board's network is. `folder` takes its
    /// files.
    pub(crate) fn start(
        mut command: Command,
        machine: &Machine<'_>,
        folder: &Path,
        name: &str,
    ) -> Result<Self, Failure> {
        let monitor = folder.join(format!("{name}.monitor"));
        let _ = fs::remove_file(&monitor);
        command.args(machine.words()).args(["-serial", "stdio", "-qmp"]);
        command.arg(format!("unix:{},server=on,wait=off", escaped(&monitor)));
        Self::spawn(command, monitor, name)
    }

    /// Starts the app as a process of this machine, whose console is its standard input and output: it can be talked to
    /// as a board can, and not be looked into.
    pub(crate) fn process(command: Command, name: &str) -> Result<Self, Failure> {
        Self::spawn(command, PathBuf::new(), name)
    }

    fn spawn(mut command: Command, monitor: PathBuf, name: &str) -> Result<Self, Failure> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut emulator = command.spawn().map_err(Failure::at(PROGRAM))?;
        match (emulator.stdin.take(), emulator.stdout.take(), emulator.stderr.take()) {
            (Some(input), Some(output), Some(errors)) => {
                let (console, errors) = (Text::read(name, output), Text::read(PROGRAM, errors));
                Ok(Self { emulator, input, console, monitor, errors })
            }
            _ => Err(Failure::new("the emulator has no console")),
        }
    }

    /// Types this on its console.
    pub(crate) fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.input
            .write_all(text.as_bytes())
            .and_then(|()| self.input.flush())
            .map_err(Failure::at("the board's console"))
    }

    /// What it says.
    pub(crate) fn console(&mut self) -> &mut Text {
        &mut self.console
    }

    /// Waits until it says this, and gives what it said before.
    pub(crate) fn until(&mut self, part: &str, patience: Duration) -> Result<String, Failure> {
        self.console
            .until(part, patience)
            .map_err(|failure| Failure(format!("{failure}\n{}", self.errors.all())))
    }

    /// Waits until it says one of these, and tells which.
    pub(crate) fn until_any(&mut self, parts: &[&str], patience: Duration) -> Result<usize, Failure> {
        let said = self.console.until_any(parts, patience);
        said.map(|(which, _)| which).map_err(|failure| Failure(format!("{failure}\n{}", self.errors.all())))
    }

    /// Time on processors that the emulator has used up.
    pub(crate) fn processor_time(&self) -> Result<Duration, Failure> {
        let path = format!("/proc/{}/stat", self.emulator.id());
        let stat = fs::read_to_string(&path).map_err(Failure::at(&path))?;
        ticks(&stat)
            .map(|ticks| Duration::from_millis(ticks * 10))
            .ok_or_else(|| Failure(format!("{path}: {stat}")))
    }

    /// Copies this piece of its memory into a file, as it is now.
    pub(crate) fn memory(&self, from: u32, length: u32, to: &Path) -> Result<Vec<u8>, Failure> {
        let arguments = json!({ "val": from, "size": length, "filename": to });
        self.monitor_order("pmemsave", &arguments)?;
        fs::read(to).map_err(Failure::at(to.display()))
    }

    /// Presses its reset button.
    pub(crate) fn reset(&self) -> Result<(), Failure> {
        self.monitor_order("system_reset", &json!({}))
    }

    fn monitor_order(&self, what: &str, arguments: &Value) -> Result<(), Failure> {
        let failed = Failure::at::<std::io::Error>;
        let stream = UnixStream::connect(&self.monitor).map_err(failed("the emulator's monitor"))?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(failed("the emulator's monitor"))?;
        let mut lines = BufReader::new(&stream).lines();
        let mut to = &stream;
        // It greets, and wants its greeting answered.
        for message in
            [json!({ "execute": "qmp_capabilities" }), json!({ "execute": what, "arguments": arguments })]
        {
            writeln!(to, "{message}").map_err(failed(what))?;
            loop {
                let line = lines.next().ok_or_else(|| Failure(format!("{what}: the emulator hung up")))?;
                let line = line.map_err(failed(what))?;
                let answer: Value = serde_json::from_str(&line).map_err(Failure::at(what))?;
                if let Some(error) = answer.get("error") {
                    return Err(Failure(format!("{what}: {error}")));
                }
                if answer.get("return").is_some() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whether it runs on: not, if the firmware has panicked.
    pub(crate) fn runs(&mut self) -> Result<(), Failure> {
        match self.emulator.try_wait().map_err(Failure::at(PROGRAM))? {
            None => Ok(()),
            Some(status) => {
                Err(Failure(format!("the emulator ended with {status}:\n{}", self.console.all())))
            }
        }
    }

    /// Its load over this time, in per cent of one processor.
    pub(crate) fn load(&self, time: Duration) -> Result<f64, Failure> {
        let (start, used) = (Instant::now(), self.processor_time()?);
        std::thread::sleep(time);
        let used = self.processor_time()?.saturating_sub(used);
        Ok(used.as_secs_f64() / start.elapsed().as_secs_f64() * 100.0)
    }
}

impl Drop for Emulated {
    fn drop(&mut self) {
        // Neither can fail in a way that anything could be done about.
        let _ = self.emulator.kill();
        let _ = self.emulator.wait();
    }
}

/// User and system time in `/proc/PID/stat`, in hundredths of a second. The name in it may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_the_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 17 25 0 0 20 0 3 0 1000 1 1";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("42 (qemu"), None);
    }

    #[test]
    fn a_comma_in_a_path_is_no_new_option() {
        let machine = Machine {
            image: Path::new("image"),
            flash: vec![(0x3f000, "a,b".into())],
            seeds: Some("c,d".into()),
            ram: None,
            nic: "none".into(),
        };
        let words: Vec<_> = machine.words().iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let words = words.join(" ");
        assert!(words.contains("loader,addr=0x3f000,force-raw=on,file=a,,b"), "{words}");
        assert!(words.contains("arg=seeds=c,,d"), "{words}");
    }
}
