//! `bench`: transfers of deaddrop beside socat, socat with TLS and scp, on this machine's loopback.

mod exchange;
mod figures;
mod peer;
mod plot;
mod report;
mod workplace;

use std::path::PathBuf;

use argh::FromArgs;

use crate::environment::prerequisites::{self, Prerequisite};
use crate::environment::repo::{Failure, Repo, shown_run};
use exchange::exchange;
use figures::{Run, Series};
use peer::Peer;
use workplace::Workplace;

/// Run the benches: those of single functions, then whole transfers of deaddrop beside socat, socat with TLS
/// and scp, in turn. With --write the figures go to host/docs/performance.md, with a plot.
#[derive(FromArgs)]
#[argh(subcommand, name = "bench")]
pub(crate) struct Bench {
    /// fetch what is missing: packages with apt when root
    #[argh(switch)]
    install: bool,
    /// write host/docs/performance.md and its plot
    #[argh(switch)]
    write: bool,
    /// leave the benches of single functions out
    #[argh(switch)]
    transfers_only: bool,
    /// how often each transfer is made; medians are shown: default 5
    #[argh(option, default = "5")]
    runs: usize,
    /// the size of a file, as often as there are sizes: default 1 byte, 100 MiB and 1 GiB
    #[argh(option, arg_name = "bytes")]
    size: Vec<u64>,
    /// where files are made and received: default /dev/shm, so that the disk is not measured
    #[argh(option, arg_name = "folder")]
    folder: Option<PathBuf>,
}

/// Prerequisites of the transfers.
const NEEDS: &[Prerequisite] = &[
    Prerequisite::Socat,
    Prerequisite::Openssl,
    Prerequisite::OpensslHeaders,
    Prerequisite::Sshd,
    Prerequisite::Time,
];

/// Default sizes in bytes.
const SIZES: [u64; 3] = [1, 100 << 20, 1 << 30];

/// Runs the benches.
pub(crate) fn run(repo: &Repo, bench: &Bench) -> Result<(), Failure> {
    if bench.runs == 0 {
        return Err(Failure::new("--runs 0 measures nothing"));
    }
    prerequisites::demand(repo, NEEDS, bench.install)?;
    if !bench.transfers_only {
        shown_run(
            repo.cargo(["bench", "--locked", "-p", "deaddrop-core", "-p", "deaddrop"]).args(["--benches"]),
        )?;
    }
    let place = Workplace::new(repo, bench.folder.as_deref())?;
    // The default build last, so that it stays in target/release.
    place.build(repo, &["--features", "openssl"], peer::WITH_OPENSSL)?;
    place.build(repo, &[], peer::ORDINARY)?;
    let sizes = if bench.size.is_empty() { &SIZES[..] } else { &bench.size };
    let series: Vec<Series> =
        sizes.iter().map(|size| measure(&place, *size, bench.runs)).collect::<Result<_, _>>()?;
    let table = report::tables(&series);
    println!("\n{table}");
    if bench.write {
        report::write(repo, &series, bench.runs)?;
    }
    Ok(())
}

/// Transfers of one size, by each program in turn, so that other load on the machine affects all of them alike.
fn measure(place: &Workplace, size: u64, runs: usize) -> Result<Series, Failure> {
    let file = place.make_file(size)?;
    let mut series = Series::new(size);
    for run in 1..=runs {
        for peer in Peer::ALL {
            let measured: Run = exchange(place, peer, &file)?;
            println!(
                "{:>10} B, run {run} of {runs}: {:<18} {:8.3} s",
                size,
                peer.name(),
                measured.wall.as_secs_f64()
            );
            series.note(peer, measured);
        }
    }
    Ok(series)
}
