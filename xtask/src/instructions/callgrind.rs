//! Runs the cases under valgrind and reads callgrind's output.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::environment::repo::{Failure, Repo, captured};

/// Turns of the shorter and of the longer run. Their difference is whole turns only: both contain the start of the
/// process, the preparation, and the first turns, in which memory is touched for the
/// first time.
const SHORT: u64 = 10;
const LONG: u64 = 110;

/// The program of the cases, and a file for callgrind to write.
pub(super) struct Counted<'a> {
    pub(super) repo: &'a Repo,
    pub(super) program: PathBuf,
    pub(super) out: PathBuf,
}

impl Counted<'_> {
    /// The names of the cases.
    pub(super) fn cases(&self) -> Result<Vec<String>, Failure> {
        let names = captured(self.repo.program(&self.program).arg("--cases"))?;
        let names: Vec<_> = names.lines().map(str::to_owned).collect();
        if names.is_empty() { Err(Failure::new("there are no cases to count")) } else { Ok(names) }
    }

    /// The processor that valgrind shows to the cases; it is not the machine's own.
    pub(super) fn cpu(&self) -> Result<String, Failure> {
        let cpu = captured(self.valgrind("none").arg(&self.program).arg("--cpu"))?;
        Ok(cpu.trim().to_owned())
    }

    /// Instructions of one turn of a case.
    pub(super) fn one_turn(&self, case: &str) -> Result<u64, Failure> {
        let (short, long) = (self.turns(case, SHORT)?, self.turns(case, LONG)?);
        long.checked_sub(short).map(|turns| turns / (LONG - SHORT)).filter(|count| *count > 0).ok_or_else(
            || Failure(format!("{case}: {LONG} turns take no more than {SHORT}: it does nothing")),
        )
    }

    /// Instructions of a whole run.
    fn turns(&self, case: &str, turns: u64) -> Result<u64, Failure> {
        let _ = fs::remove_file(&self.out);
        let mut option = std::ffi::OsString::from("--callgrind-out-file=");
        option.push(&self.out);
        let mut valgrind = self.valgrind("callgrind");
        captured(valgrind.arg(option).arg(&self.program).arg(case).arg(turns.to_string()))?;
        let written = fs::read_to_string(&self.out).map_err(Failure::at("what callgrind has counted"))?;
        total(&written)
            .ok_or_else(|| Failure(format!("{case}: callgrind has not written one count of instructions")))
    }

    fn valgrind(&self, tool: &str) -> Command {
        let mut valgrind = self.repo.program("valgrind");
        // Options in a person's environment would change the counts.
        valgrind.env_remove("VALGRIND_OPTS");
        valgrind.args(["--quiet", "--vgdb=no", "--command-line-only=yes"]).arg(format!("--tool={tool}"));
        valgrind
    }
}

/// The total in callgrind's file, which must count instructions and nothing else.
fn total(written: &str) -> Option<u64> {
    let only = |key: &str| {
        let mut values = written.lines().filter_map(|line| line.strip_prefix(key));
        let value = values.next()?.trim();
        values.next().is_none().then_some(value)
    };
    if only("events:")? != "Ir" {
        return None;
    }
    only("totals:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "\
# callgrind format
version: 1
creator: callgrind-3.19.0
pid: 19283
cmd:  target/release/deps/instructions-99ca8137a18fa710 seal-1k 10
part: 1


desc: I1 cache: 
desc: Timerange: Basic block 0 - 71968
desc: Trigger: Program termination

positions: line
events: Ir
summary: 410664


ob=(2) /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
fl=(128) ???
fn=(2074) 0x0000000000019b00
0 6
calls=1 0 
+1 1

totals: 410664
";

    #[test]
    fn the_total_is_read() {
        assert_eq!(total(WRITTEN), Some(410_664));
    }

    #[test]
    fn a_file_without_one_total_of_instructions_is_refused() {
        for (from, to) in [
            ("events: Ir", "events: Ir Dr Dw"),
            ("events: Ir", "events: Bc"),
            ("events: Ir\n", ""),
            ("totals: 410664\n", ""),
            ("totals: 410664", "totals:"),
            ("totals: 410664", "totals: 410664 7"),
            ("totals: 410664", "totals: -1"),
            ("totals: 410664", "totals: 410664\ntotals: 1"),
        ] {
            let written = WRITTEN.replace(from, to);
            assert_ne!(written, WRITTEN);
            assert_eq!(total(&written), None, "{to}");
        }
        assert_eq!(total(""), None);
    }
}
