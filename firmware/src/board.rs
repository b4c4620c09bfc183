//! A board from its start on: the order of the steps, and the tasks.
//!
//! A board's program is wiring alone. It makes a console, a lamp, a watchdog that runs already, and RAM that outlives a
//! reset, and hands them to [`Board::start`]. What follows is the same for every board:
//!
//! 1. [`Board::start`] prints why the last start ended, if it ended badly, and waits: twice as long with each restart of a
//!    row, before the seed or the network is touched.
//! 2. [`Board::boot`] reads the provisioning record and draws the randomness of this start, or refuses.
//! 3. [`Board::network`] puts the network stack on a driver. The program spawns what it returns as a task of its own:
//!    every use of a socket wakes the stack, so polled by one task with the app it would never sleep.
//! 4. [`Board::run`] runs console and app for as long as the board is on.
//!
//! The watchdog runs throughout, so whatever hangs ends in a restart, and a refusal feeds it.

mod network;
mod refusal;
pub mod restart;
mod retained;
mod wire;

use core::pin::pin;

use embassy_futures::join::join;
use embassy_net::{Stack, StackResources};
use embassy_net_driver::Driver;
use embassy_time::{Duration, Instant};
use embedded_io_async::{Read, Write};
use embedded_storage::nor_flash::NorFlash;
use rand_core::Rng;

pub use network::{Neighbours, Network};
pub use restart::{Cause, Restart};
pub use retained::{RetainedRam, WORDS};
pub use wire::Wire;

use crate::app::{App, Outlined, Room, Watchdog};
use crate::boot::{BootError, Hardware, HardwareEntropy, Ready, SeedStore, boot, boot_from_flash};
use crate::console::Console;
use crate::signal::{Indicator, SLOT_MS, Signal, slot};

/// A board whose app has run for this long is well: the next restart is the first of a row. As long as the longest wait, so
/// that a board which crashes again and again starts once an hour, however long it lasts each time.
const WELL_AFTER: Duration = Duration::from_secs(3_600);

/// The unit of the blink codes.
const TICK: Duration = Duration::from_millis(SLOT_MS);

/// Printed when the generator failed and the seed is enough.
const GENERATOR_FAILED: &str =
    "deaddrop: warning: the hardware generator failed. The seed is enough, but this board is not well.\r\n";

/// A board that has started.
pub struct Board<C, L, W, R> {
    console: C,
    lamp: L,
    watchdog: W,
    retained: R,
    wire: &'static Wire,
}

impl<C: Read + Write, L: Indicator, W: Watchdog, R: RetainedRam> Board<C, L, W, R> {
    /// Says why the last start ended, and waits if it ended badly. `by_watchdog`: the chip says that its watchdog was the
    /// cause of this start.
    pub async fn start(
        console: C,
        lamp: L,
        watchdog: W,
        retained: R,
        wire: &'static Wire,
        by_watchdog: bool,
    ) -> Self {
        let mut board = Self { console, lamp, watchdog, retained, wire };
        board.watchdog.feed();
        if let Some(restart) = restart::take(&board.retained, by_watchdog) {
            let seconds = restart.wait().as_secs();
            let text = refusal::line(format_args!(
                "started again after {restart}; restart {} in a row, going on in {seconds} s",
                restart.strikes
            ));
            let until = Instant::now() + Duration::from_secs(seconds);
            board.show(&text, Signal::Restarting, until).await;
        }
        board
    }

    /// Shows a signal on the lamp and feeds the watchdog. To be called once in every slot.
    fn sign(&mut self, signal: Signal) {
        self.watchdog.feed();
        self.lamp.set(signal.lit(slot(Instant::now().as_millis())));
    }

    /// The result of [`boot_from_flash`], with warnings printed on the console. Returns only if the board may talk.
    pub async fn boot<F: NorFlash>(
        &mut self,
        flash: F,
        record: u32,
        slots: [u32; 2],
        hardware: Option<&mut dyn HardwareEntropy>,
    ) -> Ready {
        let booted = boot_from_flash(flash, record, slots, hardware);
        self.booted(booted).await
    }

    /// The same with [`boot`], for a record and a seed that are not in flash.
    pub async fn boot_from(
        &mut self,
        record: &[u8],
        seeds: &mut impl SeedStore,
        hardware: Option<&mut dyn HardwareEntropy>,
    ) -> Ready {
        self.booted(boot(record, seeds, hardware)).await
    }

    async fn booted(&mut self, booted: Result<Ready, BootError>) -> Ready {
        self.watchdog.feed();
        match booted {
            Ok(ready) => {
                if ready.hardware == Hardware::Failed {
                    self.show(GENERATOR_FAILED, Signal::Restarting, Instant::MIN).await;
                }
                ready
            }
            Err(error) => self.refuse(error).await,
        }
    }

    /// A network stack on `driver`, configured as the provisioning record says. Spawn what is returned as a task of its
    /// own.
    pub fn network<D: Driver, const SOCKETS: usize>(
        &mut self,
        driver: D,
        ready: &mut Ready,
        resources: &'static mut StackResources<SOCKETS>,
    ) -> (Stack<'static>, Network<D>) {
        self.network_of(Neighbours::Lan, driver, ready, resources)
    }

    /// The same, among such neighbours.
    pub fn network_of<D: Driver, const SOCKETS: usize>(
        &mut self,
        neighbours: Neighbours,
        driver: D,
        ready: &mut Ready,
        resources: &'static mut StackResources<SOCKETS>,
    ) -> (Stack<'static>, Network<D>) {
        self.watchdog.feed();
        let seed = ready.rng.next_u64();
        Network::new(driver, self.wire, ready.address, neighbours, resources, seed)
    }

    /// Prints one line on the console, given without its end, before [`Self::run`].
    pub async fn say(&mut self, line: &str) {
        self.watchdog.feed();
        // There is no other place to say that this failed.
        let _ = self.console.write_all(line.as_bytes()).await;
        let _ = self.console.write_all(b"\r\n").await;
    }

    /// The same as [`Self::run`], and beside it `work`, which uses the room.
    pub async fn run_with(self, app: &mut App, work: impl AsyncFnOnce(Room<'_>)) -> ! {
        app.listen_to(self.wire);
        let (mailbox, store) = (app.mailbox(), app.store());
        let mut console = Console::new(self.console);
        let well_at = Some(Instant::now() + WELL_AFTER);
        let watchdog = Well { watchdog: self.watchdog, retained: self.retained, well_at };
        let console = pin!(console.run(mailbox, store));
        let app = pin!(app.run_with(self.lamp, watchdog, work));
        join(Outlined::new(console), Outlined::new(app)).await.0
    }

    /// Runs console and app for as long as the board is on.
    pub async fn run(self, app: &mut App) -> ! {
        app.listen_to(self.wire);
        let (mailbox, store) = (app.mailbox(), app.store());
        let mut console = Console::new(self.console);
        let well_at = Some(Instant::now() + WELL_AFTER);
        let watchdog = Well { watchdog: self.watchdog, retained: self.retained, well_at };
        let console = pin!(console.run(mailbox, store));
        let app = pin!(app.run_without_console(self.lamp, watchdog));
        join(Outlined::new(console), Outlined::new(app)).await.0
    }
}

/// A watchdog that ends a row of restarts once the board has run for [`WELL_AFTER`].
struct Well<W, R> {
    watchdog: W,
    retained: R,
    /// Counted from the app's start: the wait before it is no sign of health. `None` once the row has ended.
    well_at: Option<Instant>,
}

impl<W: Watchdog, R: RetainedRam> Watchdog for Well<W, R> {
    fn feed(&mut self) {
        if self.well_at.is_some_and(|at| Instant::now() >= at) {
            self.well_at = None;
            restart::clear_strikes(&self.retained);
        }
        self.watchdog.feed();
    }
}
