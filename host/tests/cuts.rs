//! Transfers that are cut at points and in ways that are drawn from a seed. Each of them ends with the whole file at its
//! receiver, and nothing beside it. With `DEADDROP_TEST_LONG` set there are many more of them.

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use support::{Lan, fetch, names, noise, send_file, wait_for, write};

const SIZE: usize = 32 << 20;
/// The longest that a cut and the fetch after it take: 15 s until a lost connection is noticed, and as long until a claim
/// has lapsed.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Clone, Copy, Debug)]
enum Cut {
    Signal(Signal),
    /// The receiver's cable is out until it says that the connection is lost.
    Cable,
}

/// How many bytes of the file the folder has, at most: threads write out of order.
fn arrived(folder: &Path) -> u64 {
    let files = names(folder).into_iter().filter(|name| !name.ends_with(".record"));
    // It may get its name meanwhile, and then it is whole.
    files
        .map(|name| fs::metadata(folder.join(name)).map_or(SIZE as u64, |file| file.len()))
        .max()
        .unwrap_or(0)
}

#[test]
fn a_transfer_that_is_cut_anywhere_ends_whole() {
    let count = if std::env::var_os("DEADDROP_TEST_LONG").is_some() { 60 } else { 2 };
    let lan = Lan::of(2);
    lan.hosts[0].limit_rate(200_000).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let content = noise(1, SIZE);
    let path = write(folder.path(), "whole.bin", &content);
    for seed in 0..count {
        let draw = noise(100 + seed, 5);
        let here = tempfile::tempdir().unwrap();
        let (mut sending, token, _) = send_file(&lan.hosts[0], folder.path(), &path, &[]);
        // A killed process with little of the drop leaves a claim that has to lapse.
        let start = || fetch(&lan.hosts[1], here.path(), &lan.hosts[0], &token, &["--wait", "30"]);
        let mut fetching = Some(start());
        let mut cuts = Vec::new();
        for (cut, at) in
            [(draw[0], draw[1]), (draw[2], draw[3])].into_iter().take(1 + usize::from(draw[4] % 2))
        {
            let Some(running) = &mut fetching else { break };
            let at = (SIZE / 256) as u64 * u64::from(at);
            let (cut, at) = match cut % 5 {
                0 | 1 => (Cut::Signal(Signal::KILL), at),
                2 | 3 => (Cut::Signal(Signal::INT), at),
                // Well before the end, after which only the confirmation would be cut.
                _ => (Cut::Cable, at / 2),
            };
            cuts.push((cut, at));
            wait_for(|| arrived(here.path()) >= at);
            match cut {
                Cut::Signal(signal) => {
                    running.signal(signal);
                    // A process that is killed has no exit code.
                    let _ = running.await_exit(PATIENCE);
                    // The record is gone once the sender has been told: the signal came after that.
                    let done = names(here.path()) == ["whole.bin"];
                    fetching = (!done).then(start);
                }
                Cut::Cable => {
                    lan.cable(1, false);
                    let lost = running.event_within("warning", PATIENCE);
                    lan.cable(1, true);
                    assert!(lost.is_some(), "{seed}: {cuts:?}: {:?}", running.events);
                }
            }
        }
        if let Some(mut fetching) = fetching {
            let code = fetching.await_exit(PATIENCE);
            assert!(matches!(code, Ok(0)), "{seed}: {cuts:?}: {:?}", fetching.events);
        }
        assert_eq!(names(here.path()), ["whole.bin"], "{seed}: {cuts:?}");
        assert!(fs::read(here.path().join("whole.bin")).unwrap() == content, "{seed}: {cuts:?}: other bytes");
        assert_eq!(sending.exit_code(), 0, "{seed}: {cuts:?}: {:?}", sending.events);
    }
}
