//! deaddrop on TI's LM3S6965 evaluation kit: pins, clocks and drivers.
//!
//! The same image runs in QEMU's `lm3s6965evb`.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::panic::PanicInfo;
use core::pin::pin;
use core::time::Duration;

use deaddrop_firmware::addressing;
use deaddrop_firmware::app::{self, App, Memory, Outlined, Settings};
use deaddrop_firmware::boot::{BootError, Ready, boot_from_flash, halt};
use deaddrop_lm3s6965::console::{Console, LastWords};
use deaddrop_lm3s6965::ethernet::{self, Ethernet};
use deaddrop_lm3s6965::flash::{self, Flash};
use deaddrop_lm3s6965::led::Led;
use deaddrop_lm3s6965::watchdog::Watchdog;
use deaddrop_lm3s6965::{clock, emulator, executor};
use embassy_futures::join::join;
use embassy_net::{Runner, Stack, StackResources};
use rand_core::Rng;
use static_cell::{ConstStaticCell, StaticCell};

mod memory_map {
    include!(concat!(env!("OUT_DIR"), "/memory_map.rs"));
}

// The chip's driver writes to no other flash than this, whatever memory.x says.
const _: () = assert!(memory_map::RECORD == flash::RECORD);
const _: () = assert!(memory_map::SEEDS[0] == flash::SLOTS);
const _: () = assert!(memory_map::SEEDS[1] == flash::SLOTS + memory_map::SEED_LEN);

/// The app's sockets, and the one of DHCP.
const SOCKETS: usize = app::SOCKETS + 1;
/// Longer than the 70 ms that a handshake reply takes to compute: the Cortex-M3 multiplies in data-dependent time.
const REPLY_DELAY: Duration = Duration::from_millis(120);

#[cortex_m_rt::entry]
fn main() -> ! {
    clock::start();
    if let Ok(board) = board() {
        executor::start().spawn(board);
    }
    executor::sleep()
}

/// Starts the board, then runs app and console.
#[embassy_executor::task]
async fn board() {
    let mut console = Console::start();
    let mut ready = match provisioned() {
        Ok(ready) => ready,
        Err(error) => halt(&mut console, error).await,
    };
    let (stack, runner) = plug_in(&mut ready);
    // A task of its own: every use of a socket wakes it, so joined with the app it would never sleep.
    if let Ok(network) = network(runner) {
        executor::spawner().await.spawn(network);
    }
    let app = make_app(stack, ready);
    let (mailbox, store) = (app.mailbox(), app.store());
    let mut console = deaddrop_firmware::console::Console::new(console);
    let app = pin!(app.run_without_console(StatusLed(Led::new()), HardwareWatchdog(Watchdog::start())));
    let console = pin!(console.run(mailbox, store));
    join(Outlined::new(app), Outlined::new(console)).await;
}

/// Drives the network stack.
#[embassy_executor::task]
async fn network(mut runner: Runner<'static, &'static mut Ethernet>) {
    runner.run().await;
}

// Not inlined, here and below: the stack frame of the task's `poll` stays below everything that it calls.
#[inline(never)]
fn provisioned() -> Result<Ready, BootError> {
    boot_from_flash(Flash::new(), memory_map::RECORD, memory_map::SEEDS, None)
}

/// The network stack on the Ethernet port.
#[inline(never)]
fn plug_in(ready: &mut Ready) -> (Stack<'static>, Runner<'static, &'static mut Ethernet>) {
    // Initialised at compile time: a value made here would be built on the stack first.
    static PORT: ConstStaticCell<Ethernet> = ConstStaticCell::new(Ethernet::new());
    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> = ConstStaticCell::new(StackResources::new());

    let port = PORT.take();
    port.start(ethernet::programmed_address().unwrap_or_else(|| random_mac(&mut ready.rng)));
    embassy_net::new(port, addressing::config(ready.address), RESOURCES.take(), ready.rng.next_u64())
}

/// The app.
#[inline(never)]
fn make_app(stack: Stack<'static>, ready: Ready) -> &'static mut App {
    static APP: StaticCell<App> = StaticCell::new();
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());

    let settings = Settings { auto: ready.mode.auto, reply_delay: REPLY_DELAY, ..Settings::default() };
    APP.init_with(|| App::new(stack, MEMORY.take(), ready.prs, ready.rng, settings))
}

struct StatusLed(Led);

impl app::Indicator for StatusLed {
    fn set(&mut self, waiting: bool) {
        self.0.set(waiting);
    }
}

struct HardwareWatchdog(Watchdog);

impl app::Watchdog for HardwareWatchdog {
    fn feed(&mut self) {
        self.0.feed();
    }
}

/// A random, locally administered MAC address, for a part without a programmed one.
fn random_mac(rng: &mut impl Rng) -> [u8; 6] {
    let mut address = [0; 6];
    rng.fill_bytes(&mut address);
    let [first, ..] = &mut address;
    *first = (*first & 0xFC) | 0x02;
    address
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    let _ = LastWords.write_str("\r\npanic: starting again\r\n");
    emulator::fail();
    cortex_m::peripheral::SCB::sys_reset()
}
