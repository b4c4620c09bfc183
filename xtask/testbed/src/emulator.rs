//! QEMU with a board in it: starts it, talks over its console, reads its memory through the monitor (QMP).

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Failure;
use crate::serial_line::SerialLine;

/// QEMU's program.
pub const PROGRAM: &str = "qemu-system-arm";
/// The machine that it emulates.
const MACHINE: &str = "lm3s6965evb";

/// The content of a board at its start.
pub struct Machine<'a> {
    /// The image, an ELF file.
    pub image: &'a Path,
    /// Files loaded into flash at these addresses; none for a board that was never provisioned.
    pub flash: Vec<(u32, PathBuf)>,
    /// The file that backs the seed slots over semihosting; without it they are flash, which QEMU cannot write.
    pub seeds: Option<PathBuf>,
    /// The file loaded into SRAM at this address before the start.
    pub ram: Option<(u32, &'a Path)>,
    /// The argument of `-nic`.
    pub nic: String,
}

impl Machine<'_> {
    /// QEMU's arguments, except for the console's.
    pub fn words(&self) -> Vec<OsString> {
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
pub struct Emulated {
    emulator: Child,
    input: ChildStdin,
    console: SerialLine,
    monitor: PathBuf,
    /// QEMU's standard error.
    errors: SerialLine,
}

impl Emulated {
    /// Starts QEMU by `command`, which runs it in the namespace of the board's network. The monitor's socket goes
    /// into `folder`.
    pub fn start(
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

    /// Starts the app as a process of this machine. Its console is its standard input and output; it has no
    /// monitor.
    pub fn process(command: Command, name: &str) -> Result<Self, Failure> {
        Self::spawn(command, PathBuf::new(), name)
    }

    fn spawn(mut command: Command, monitor: PathBuf, name: &str) -> Result<Self, Failure> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut emulator = command.spawn().map_err(Failure::at(PROGRAM))?;
        match (emulator.stdin.take(), emulator.stdout.take(), emulator.stderr.take()) {
            (Some(input), Some(output), Some(errors)) => {
                let (console, errors) = (SerialLine::read(name, output), SerialLine::read(PROGRAM, errors));
                Ok(Self { emulator, input, console, monitor, errors })
            }
            _ => Err(Failure::new("the emulator has no console")),
        }
    }

    /// Types text on its console.
    pub fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.input
            .write_all(text.as_bytes())
            .and_then(|()| self.input.flush())
            .map_err(Failure::at("the board's console"))
    }

    /// Its console.
    pub fn console(&mut self) -> &mut SerialLine {
        &mut self.console
    }

    /// Waits for `part` on the console, and gives the text before it.
    pub fn until(&mut self, part: &str, patience: Duration) -> Result<String, Failure> {
        self.console
            .until(part, patience)
            .map_err(|failure| Failure(format!("{failure}\n{}", self.errors.all())))
    }

    /// Waits for the first of these parts on the console, and gives its index.
    pub fn until_any(&mut self, parts: &[&str], patience: Duration) -> Result<usize, Failure> {
        let said = self.console.until_any(parts, patience);
        said.map(|(which, _)| which).map_err(|failure| Failure(format!("{failure}\n{}", self.errors.all())))
    }

    /// CPU time that QEMU has used.
    pub fn processor_time(&self) -> Result<Duration, Failure> {
        let path = format!("/proc/{}/stat", self.emulator.id());
        let stat = fs::read_to_string(&path).map_err(Failure::at(&path))?;
        ticks(&stat)
            .map(|ticks| Duration::from_millis(ticks * 10))
            .ok_or_else(|| Failure(format!("{path}: {stat}")))
    }

    /// Dumps a range of its memory into a file, and gives the bytes.
    pub fn memory(&self, from: u32, length: u32, to: &Path) -> Result<Vec<u8>, Failure> {
        let arguments = json!({ "val": from, "size": length, "filename": to });
        self.monitor_command("pmemsave", &arguments)?;
        fs::read(to).map_err(Failure::at(to.display()))
    }

    /// Presses its reset button.
    pub fn reset(&self) -> Result<(), Failure> {
        self.monitor_command("system_reset", &json!({}))
    }

    fn monitor_command(&self, what: &str, arguments: &Value) -> Result<(), Failure> {
        let failed = Failure::at::<std::io::Error>;
        let stream = UnixStream::connect(&self.monitor).map_err(failed("the emulator's monitor"))?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(failed("the emulator's monitor"))?;
        let mut lines = BufReader::new(&stream).lines();
        let mut to = &stream;
        // QMP accepts commands after its greeting has been answered with `qmp_capabilities`.
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

    /// Fails if QEMU has ended, which it does when the firmware panics.
    pub fn runs(&mut self) -> Result<(), Failure> {
        match self.emulator.try_wait().map_err(Failure::at(PROGRAM))? {
            None => Ok(()),
            Some(status) => {
                Err(Failure(format!("the emulator ended with {status}:\n{}", self.console.all())))
            }
        }
    }

    /// Its load over this time, in per cent of one processor.
    pub fn load(&self, time: Duration) -> Result<f64, Failure> {
        let (start, used) = (Instant::now(), self.processor_time()?);
        std::thread::sleep(time);
        let used = self.processor_time()?.saturating_sub(used);
        Ok(used.as_secs_f64() / start.elapsed().as_secs_f64() * 100.0)
    }
}

impl Drop for Emulated {
    fn drop(&mut self) {
        // If this fails the process has ended already.
        let _ = self.emulator.kill();
        let _ = self.emulator.wait();
    }
}

/// User and system time in `/proc/PID/stat`, in hundredths of a second. The program name in it may hold spaces and
/// brackets.
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
