//! The app as a Linux process, on a tap interface, with its console on standard input and output.
//!
//!     deaddrop-on-linux TAP RECORD SEED
//!
//! `RECORD` is a provisioning record that `cargo xtask firmware config` wrote; `SEED` is a file of 32 random bytes, which is
//! replaced at every start. Create the interface for the user that runs this: `ip tuntap add TAP mode tap user NAME`.

mod seed_file;
mod serial;

use std::error::Error;
use std::process::ExitCode;

use deaddrop_firmware::app::{App, Memory, SOCKETS, Settings};
use deaddrop_firmware::board::{Board, Network, RetainedRam, Wire};
use embassy_executor::{Executor, Spawner};
use embassy_net::StackResources;
use embassy_net_tuntap::TunTapDevice;
use rand_core::Rng;
use seed_file::SeedFile;
use serial::Serial;
use static_cell::{ConstStaticCell, StaticCell};

/// Nothing is retained from one process to the next.
struct NotRetained;

impl RetainedRam for NotRetained {
    fn word(&self, _: usize) -> u32 {
        0
    }

    fn set_word(&self, _: usize, _: u32) {}
}

static WIRE: Wire = Wire::new();

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [tap, record, seed] = &words[..] else {
        eprintln!(
            "deaddrop-on-linux: say TAP RECORD SEED: a tap interface, a provisioning record, and a file of 32 random bytes"
        );
        return ExitCode::from(2);
    };
    match made_ready(tap, record) {
        Ok((device, record)) => {
            static EXECUTOR: StaticCell<Executor> = StaticCell::new();
            let seeds = SeedFile::new(seed);
            EXECUTOR.init(Executor::new()).run(|spawner| {
                // Cannot fail: it is spawned once.
                if let Ok(board) = board(spawner, device, record, seeds) {
                    spawner.spawn(board);
                }
            })
        }
        Err(error) => {
            eprintln!("deaddrop-on-linux: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that can fail, before the executor runs.
fn made_ready(tap: &str, record: &str) -> Result<(TunTapDevice, Vec<u8>), Box<dyn Error>> {
    let record = std::fs::read(record).map_err(|error| format!("{record}: {error}"))?;
    let device = TunTapDevice::new(tap).map_err(|error| format!("the tap interface {tap}: {error}"))?;
    Ok((device, record))
}

/// Drives the network stack.
#[embassy_executor::task]
async fn network(mut runner: Network<TunTapDevice>) {
    runner.run().await;
}

/// Starts the board, then runs app and console.
#[embassy_executor::task]
async fn board(spawner: Spawner, mut device: TunTapDevice, record: Vec<u8>, mut seeds: SeedFile) {
    static RESOURCES: StaticCell<StackResources<{ SOCKETS + 1 }>> = StaticCell::new();
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());

    let mut board = Board::start(Serial::start(), (), (), NotRetained, &WIRE, false).await;
    let mut ready = board.boot_from(&record, &mut seeds, None).await;
    let mut address = [0; 6];
    ready.rng.fill_bytes(&mut address);
    // A locally administered unicast address.
    let [first, ..] = &mut address;
    *first = (*first & 0xFC) | 0x02;
    device.set_hardware_address(address);
    let (stack, runner) = board.network(device, &mut ready, RESOURCES.init(StackResources::new()));
    if let Ok(network) = network(runner) {
        spawner.spawn(network);
    }
    let settings = Settings { auto: ready.mode.auto, ..Settings::default() };
    let mut app = App::new(stack, MEMORY.take(), ready.prs, ready.rng, settings);
    board.run(&mut app).await;
}
