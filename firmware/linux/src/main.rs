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

use deaddrop_firmware::addressing;
use deaddrop_firmware::app::{App, Indicator, Memory, SOCKETS, Settings, Watchdog};
use deaddrop_firmware::boot::{Ready, boot};
use embassy_executor::{Executor, Spawner};
use embassy_net::{Runner, StackResources};
use embassy_net_tuntap::TunTapDevice;
use rand_core::Rng;
use seed_file::SeedFile;
use serial::Serial;
use static_cell::{ConstStaticCell, StaticCell};

/// No indicator.
struct NoIndicator;

impl Indicator for NoIndicator {
    fn set(&mut self, _: bool) {}
}

/// No watchdog.
struct NoWatchdog;

impl Watchdog for NoWatchdog {
    fn feed(&mut self) {}
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [tap, record, seed] = &words[..] else {
        eprintln!(
            "deaddrop-on-linux: say TAP RECORD SEED: a tap interface, a provisioning record, and a file of 32 random bytes"
        );
        return ExitCode::from(2);
    };
    match made_ready(tap, record, seed) {
        Ok((device, ready)) => {
            static EXECUTOR: StaticCell<Executor> = StaticCell::new();
            EXECUTOR.init(Executor::new()).run(|spawner| start(spawner, device, ready))
        }
        Err(error) => {
            eprintln!("deaddrop-on-linux: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that can fail, before the executor runs.
fn made_ready(tap: &str, record: &str, seed: &str) -> Result<(TunTapDevice, Ready), Box<dyn Error>> {
    let bytes = std::fs::read(record).map_err(|error| format!("{record}: {error}"))?;
    let mut ready = boot(&bytes, &mut SeedFile::new(seed), None).map_err(|error| format!("{error}"))?;
    let mut device = TunTapDevice::new(tap).map_err(|error| format!("the tap interface {tap}: {error}"))?;
    let mut address = [0; 6];
    ready.rng.fill_bytes(&mut address);
    // A locally administered unicast address.
    let [first, ..] = &mut address;
    *first = (*first & 0xFC) | 0x02;
    device.set_hardware_address(address);
    Ok((device, ready))
}

fn start(spawner: Spawner, device: TunTapDevice, mut ready: Ready) {
    static RESOURCES: StaticCell<StackResources<{ SOCKETS + 1 }>> = StaticCell::new();
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    static APP: StaticCell<App> = StaticCell::new();

    let resources = RESOURCES.init(StackResources::new());
    let config = addressing::config(ready.address);
    let (stack, runner) = embassy_net::new(device, config, resources, ready.rng.next_u64());
    let settings = Settings { auto: ready.mode.auto, ..Settings::default() };
    let app = APP.init(App::new(stack, MEMORY.take(), ready.prs, ready.rng, settings));
    // Cannot fail: each task is spawned once.
    if let (Ok(network), Ok(member)) = (network(runner), member(app)) {
        spawner.spawn(network);
        spawner.spawn(member);
    }
}

/// Drives the network stack.
#[embassy_executor::task]
async fn network(mut runner: Runner<'static, TunTapDevice>) {
    runner.run().await;
}

/// Runs the app.
#[embassy_executor::task]
async fn member(app: &'static mut App) {
    app.run(Serial::start(), NoIndicator, NoWatchdog).await;
}
