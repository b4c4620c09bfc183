//! deaddrop on TI's LM3S6965 evaluation kit: pins, clocks and drivers.
//!
//! The same image runs in QEMU's `lm3s6965evb`.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::panic::PanicInfo;
use core::pin::pin;
use core::time::Duration;

use deaddrop_cortex_m::{Retained, crash};
use deaddrop_firmware::app::{self, App, Memory, Outlined, Settings};
use deaddrop_firmware::board::{Board, Network, Wire};
use deaddrop_firmware::boot::Ready;
use deaddrop_firmware::signal::Indicator;
use deaddrop_lm3s6965::console::{Console, LastWords};
use deaddrop_lm3s6965::ethernet::{self, Ethernet};
use deaddrop_lm3s6965::flash::{self, Flash};
use deaddrop_lm3s6965::led::Led;
use deaddrop_lm3s6965::watchdog::{self, Watchdog};
use deaddrop_lm3s6965::{clock, emulator, executor};
use embassy_net::{Stack, StackResources};
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

type Kit = Board<Console, StatusLed, HardwareWatchdog, Retained>;

static WIRE: Wire = Wire::new();

#[cortex_m_rt::entry]
fn main() -> ! {
    clock::start();
    crash::before_reset(emulator::fail);
    // The Cortex-M3 multiplies in data-dependent time.
    if let Ok(board) = board(app::measured_reply_delay()) {
        executor::start().spawn(board);
    }
    executor::sleep()
}

/// All steps up to the app.
async fn start(reply_delay: Duration) -> (Kit, &'static mut App) {
    let by_watchdog = watchdog::was_the_cause();
    let watchdog = HardwareWatchdog(Watchdog::start());
    let (console, led) = (Console::start(), StatusLed(Led::new()));
    let mut board = Board::start(console, led, watchdog, Retained, &WIRE, by_watchdog).await;
    let mut ready = board.boot(Flash::new(), memory_map::RECORD, memory_map::SEEDS, None).await;
    let (stack, runner) = plug_in(&mut board, &mut ready);
    if let Ok(network) = network(runner) {
        executor::spawner().await.spawn(network);
    }
    (board, make_app(stack, ready, reply_delay))
}

/// Starts the board, then runs app and console.
#[embassy_executor::task]
async fn board(reply_delay: Duration) {
    // Polled by a function of its own, whose stack frame is gone when the app runs.
    let (board, app) = {
        let start = pin!(start(reply_delay));
        Outlined::new(start).await
    };
    board.run(app).await;
}

/// Drives the network stack.
#[embassy_executor::task]
async fn network(mut runner: Network<&'static mut Ethernet>) {
    runner.run().await;
}

// Not inlined, here and below: the stack frame of the task's `poll` stays below everything that it calls.
/// The network stack on the Ethernet port.
#[inline(never)]
fn plug_in(board: &mut Kit, ready: &mut Ready) -> (Stack<'static>, Network<&'static mut Ethernet>) {
    // Initialised at compile time: a value made here would be built on the stack first.
    static PORT: ConstStaticCell<Ethernet> = ConstStaticCell::new(Ethernet::new());
    // Has nothing to be initialised, and so nothing is built.
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();

    let port = PORT.take();
    port.start(ethernet::programmed_address().unwrap_or_else(|| random_mac(&mut ready.rng)));
    board.network(port, ready, RESOURCES.init_with(StackResources::new))
}

/// The app.
#[inline(never)]
fn make_app(stack: Stack<'static>, ready: Ready, reply_delay: Duration) -> &'static mut App {
    static APP: StaticCell<App> = StaticCell::new();
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());

    let settings = Settings { auto: ready.mode.auto, reply_delay, ..Settings::default() };
    APP.init_with(|| App::new(stack, MEMORY.take(), ready.prs, ready.rng, settings))
}

struct StatusLed(Led);

impl Indicator for StatusLed {
    fn set(&mut self, lit: bool) {
        self.0.set(lit);
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
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = LastWords.write_str("\r\npanic: starting again\r\n");
    crash::panicked(info)
}
