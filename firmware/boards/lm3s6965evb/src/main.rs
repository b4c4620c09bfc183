//! deaddrop on TI's LM3S6965 evaluation kit: what is wired to what.
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
const _: () = assert!(memory_map::PAGE == flash::PAGE);
const _: () = assert!(memory_map::SEEDS[0] == flash::SLOTS);
const _: () = assert!(memory_map::SEEDS[1] == flash::SLOTS + memory_map::SEED_LEN);

/// Those of the app, and one for DHCP.
const SOCKETS: usize = app::SOCKETS + 1;
/// Longer than it takes to compute an answer to a handshake, 70 ms: on this core a multiplication takes as long as its
/// operands say.
const REPLY_DELAY: Duration = Duration::from_millis(120);

#[cortex_m_rt::entry]
fn main() -> ! {
    clock::start();
    if let Ok(board) = board() {
        executor::start().spawn(board);
    }
    executor::sleep()
}

/// Everything that the board does.
#[embassy_executor::task]
async fn board() {
    let mut console = Console::start();
    let mut ready = match provisioned() {
        Ok(ready) => ready,
        Err(error) => halt(&mut console, error).await,
    };
    let (stack, runner) = plug_in(&mut ready);
    // A task of its own: whatever is done with a socket wakes it, so that in one with the app it would never sleep.
    if let Ok(network) = network(runner) {
        executor::spawner().await.spawn(network);
    }
    let app = member(stack, ready);
    let (mailbox, store) = (app.mailbox(), app.store());
    let mut console = deaddrop_firmware::console::Console::new(console);
    let app = pin!(app.run_without_console(Light(Led::new()), Food(Watchdog::start())));
    let console = pin!(console.run(mailbox, store));
    join(Outlined::new(app), Outlined::new(console)).await;
}

/// Moves frames.
#[embassy_executor::task]
async fn network(mut runner: Runner<'static, &'static mut Ethernet>) {
    runner.run().await;
}

// What is done once is kept out of the task, whose room on the stack is below all that it calls from then on.
#[inline(never)]
fn provisioned() -> Result<Ready, BootError> {
    boot_from_flash(Flash::new(), memory_map::PAGE, memory_map::SEEDS, None)
}

/// The network, on its port.
#[inline(never)]
fn plug_in(ready: &mut Ready) -> (Stack<'static>, Runner<'static, &'static mut Ethernet>) {
    // Made by the compiler, for what is made here goes by way of the stack.
    static PORT: ConstStaticCell<Ethernet> = ConstStaticCell::new(Ethernet::new());
    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> = ConstStaticCell::new(StackResources::new());

    let port = PORT.take();
    port.start(ethernet::programmed_address().unwrap_or_else(|| made_up(&mut ready.rng)));
    embassy_net::new(port, addressing::config(ready.address), RESOURCES.take(), ready.rng.next_u64())
}

/// The app.
#[inline(never)]
fn member(stack: Stack<'static>, ready: Ready) -> &'static mut App {
    static APP: StaticCell<App> = StaticCell::new();
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());

    let settings = Settings { auto: ready.mode.auto, reply_delay: REPLY_DELAY, ..Settings::default() };
    APP.init_with(|| App::new(stack, MEMORY.take(), ready.prs, ready.rng, settings))
}

struct Light(Led);

impl app::Indicator for Light {
    fn set(&mut self, waiting: bool) {
        self.0.set(waiting);
    }
}

struct Food(Watchdog);

impl app::Watchdog for Food {
    fn feed(&mut self) {
        self.0.feed();
    }
}

/// A hardware address for a part without one: of those that anyone may use, and another at each start.
fn made_up(rng: &mut impl Rng) -> [u8; 6] {
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
