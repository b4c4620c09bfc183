//! A board without a board: the app as a process of Linux, on a tap interface, with its console on standard input and
//! output.
//!
//!     deaddrop-on-linux TAP PAGE SEED
//!
//! `PAGE` is a file that `cargo xtask firmware config` wrote; `SEED` one of 32 random bytes, replaced at every start as a
//! board does. Whoever makes the interface says who may use it: `ip tuntap add TAP mode tap user NAME`.

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

/// It has no light.
struct Dark;

impl Indicator for Dark {
    fn set(&mut self, _: bool) {}
}

/// Nobody starts a process again that is stuck.
struct Unguarded;

impl Watchdog for Unguarded {
    fn feed(&mut self) {}
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [tap, page, seed] = &words[..] else {
        eprintln!(
            "deaddrop-on-linux: say TAP PAGE SEED: a tap interface, a page, and a file of 32 random bytes"
        );
        return ExitCode::from(2);
    };
    match made_ready(tap, page, seed) {
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

/// All that can go wrong, before anything runs.
fn made_ready(tap: &str, page: &str, seed: &str) -> Result<(TunTapDevice, Ready), Box<dyn Error>> {
    let bytes = std::fs::read(page).map_err(|error| format!("{page}: {error}"))?;
    let mut ready = boot(&bytes, &mut SeedFile::new(seed), None).map_err(|error| format!("{error}"))?;
    let mut device = TunTapDevice::new(tap).map_err(|error| format!("the tap interface {tap}: {error}"))?;
    let mut address = [0; 6];
    ready.rng.fill_bytes(&mut address);
    // One of those that anyone may use.
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
    // There is room for one of each.
    if let (Ok(network), Ok(member)) = (network(runner), member(app)) {
        spawner.spawn(network);
        spawner.spawn(member);
    }
}

/// Moves frames.
#[embassy_executor::task]
async fn network(mut runner: Runner<'static, TunTapDevice>) {
    runner.run().await;
}

/// Is a member of the room.
#[embassy_executor::task]
async fn member(app: &'static mut App) {
    app.run(Serial::start(), Dark, Unguarded).await;
}
