//! A product that gets its key by deaddrop once: its first start waits for the file `api-key` and keeps it in flash, and
//! every later start has it. The console can be used meanwhile. [`product`] is what is special about it; this file is the
//! wiring of the emulated board, as in `firmware/boards/lm3s6965evb`.
#![no_std]
#![no_main]

mod product;

use core::panic::PanicInfo;
use core::pin::pin;
use core::time::Duration;

use deaddrop_cortex_m::{Retained, crash};
use deaddrop_firmware::app::{self, App, Memory, Outlined, SOCKETS, Settings};
use deaddrop_firmware::board::{Board, Network, Wire};
use deaddrop_firmware::boot::Ready;
use deaddrop_firmware::embassy_net::{Stack, StackResources};
use deaddrop_firmware::values::{FlashValues, KeepFile};
use deaddrop_lm3s6965::console::Console;
use deaddrop_lm3s6965::ethernet::{self, Ethernet};
use deaddrop_lm3s6965::flash::{Flash, SLOTS, VALUES, VALUES_LEN, ValuesFlash};
use deaddrop_lm3s6965::watchdog::{self, Watchdog};
use deaddrop_lm3s6965::{clock, emulator, executor};
use static_cell::{ConstStaticCell, StaticCell};

mod memory_map {
    include!(concat!(env!("OUT_DIR"), "/memory_map.rs"));
}

// The chip's driver writes to no other flash than this, whatever memory.x says.
const _: () = assert!(memory_map::RECORD == VALUES + VALUES_LEN);
const _: () = assert!(memory_map::SEEDS[0] == SLOTS && memory_map::SEEDS[1] == SLOTS + memory_map::SEED_LEN);

/// The longest name and value, with their lengths.
const BUFFER: usize = 128;

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

#[embassy_executor::task]
async fn network(mut runner: Network<&'static mut Ethernet>) {
    runner.run().await;
}

#[embassy_executor::task]
async fn board(reply_delay: Duration) {
    // Polled by a function of its own, whose stack frame is gone when the app runs.
    let (board, app, kept) = {
        let start = pin!(start(reply_delay));
        Outlined::new(start).await
    };
    board.run_with(app, async |room| product::work(room, kept).await).await;
}

type Kit = Board<Console, (), HardwareWatchdog, Retained>;
type Kept = KeepFile<FlashValues<ValuesFlash, VALUES, { VALUES + VALUES_LEN }, BUFFER>>;

/// All steps up to the app.
async fn start(reply_delay: Duration) -> (Kit, &'static mut App, &'static Kept) {
    let by_watchdog = watchdog::was_the_cause();
    let watchdog = HardwareWatchdog(Watchdog::start());
    // Without a lamp.
    let mut board = Board::start(Console::start(), (), watchdog, Retained, &WIRE, by_watchdog).await;
    let mut ready = board.boot(Flash::new(), memory_map::RECORD, memory_map::SEEDS, None).await;
    let kept = kept();
    board.say(product::greeting(kept)).await;
    let (stack, runner) = plug_in(&mut board, &mut ready);
    if let Ok(network) = network(runner) {
        executor::spawner().await.spawn(network);
    }
    let app = make_app(stack, ready, reply_delay);
    app.persist_with(kept);
    (board, app, kept)
}

// Not inlined, here and below: the stack frame of the task's `poll` stays below everything that it calls.
/// Where the key is kept.
#[inline(never)]
fn kept() -> &'static Kept {
    static KEPT: StaticCell<Kept> = StaticCell::new();

    KEPT.init(KeepFile::new(product::KEY, FlashValues::new(ValuesFlash::new())))
}

/// The network stack on the Ethernet port.
#[inline(never)]
fn plug_in(board: &mut Kit, ready: &mut Ready) -> (Stack<'static>, Network<&'static mut Ethernet>) {
    static PORT: ConstStaticCell<Ethernet> = ConstStaticCell::new(Ethernet::new());
    static RESOURCES: StaticCell<StackResources<{ SOCKETS + 1 }>> = StaticCell::new();

    let port = PORT.take();
    port.start(ethernet::programmed_address().unwrap_or(LOCAL_ADDRESS));
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

/// Of a part without a programmed one.
const LOCAL_ADDRESS: [u8; 6] = [0x02, 0, 0, 0, 0, 1];

struct HardwareWatchdog(Watchdog);

impl app::Watchdog for HardwareWatchdog {
    fn feed(&mut self) {
        self.0.feed();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    crash::panicked(info)
}
