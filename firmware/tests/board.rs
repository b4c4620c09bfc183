//! A board from its start on: restarts, refusals, and a driver that has gone deaf.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod lan;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use deaddrop_core::crypto::keys::Prs;
use deaddrop_firmware::app::{App, Memory, Settings, Watchdog};
use deaddrop_firmware::board::restart::{self, Cause};
use deaddrop_firmware::board::{Board, RetainedRam, WORDS, Wire};
use deaddrop_firmware::boot::SeedStore;
use deaddrop_firmware::signal::Indicator;
use deaddrop_provisioning::record::Mode;
use deaddrop_provisioning::{Address, ProvisioningRecord, RECORD_LEN};
use embassy_futures::select::select;
use embassy_time::Timer;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use lan::{Lan, clock};

/// A serial line: what a person types or the line disturbs, and what the board prints and when.
#[derive(Clone, Default)]
struct Line {
    input: Rc<RefCell<VecDeque<Result<usize, ErrorKind>>>>,
    /// Every read fails: nothing is connected.
    floats: Rc<Cell<bool>>,
    printed: Rc<RefCell<Vec<(Duration, String)>>>,
}

impl Line {
    fn prints(&self) -> usize {
        self.printed.borrow().len()
    }
}

impl ErrorType for Line {
    type Error = ErrorKind;
}

impl Read for Line {
    async fn read(&mut self, _: &mut [u8]) -> Result<usize, ErrorKind> {
        if self.floats.get() {
            return Err(ErrorKind::Other);
        }
        let next = self.input.borrow_mut().pop_front();
        match next {
            Some(input) => input,
            None => std::future::pending().await,
        }
    }
}

impl Write for Line {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.printed.borrow_mut().push((clock::now(), String::from_utf8_lossy(bytes).into_owned()));
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// A watchdog that remembers the longest time between two feeds, and a lamp that counts its changes.
#[derive(Clone, Default)]
struct Hardware {
    fed: Rc<Cell<Duration>>,
    longest: Rc<Cell<Duration>>,
    changes: Rc<Cell<u32>>,
    lit: Rc<Cell<bool>>,
}

impl Watchdog for Hardware {
    fn feed(&mut self) {
        let hungry = clock::now() - self.fed.replace(clock::now());
        self.longest.set(self.longest.get().max(hungry));
    }
}

impl Indicator for Hardware {
    fn set(&mut self, lit: bool) {
        if self.lit.replace(lit) != lit {
            self.changes.set(self.changes.get() + 1);
        }
    }
}

/// RAM that outlives the boards of a test.
#[derive(Clone)]
struct Ram(Rc<[Cell<u32>; WORDS]>);

impl Ram {
    fn off() -> Self {
        Self(Rc::new(std::array::from_fn(|at| Cell::new(0x9E37_79B9 ^ u32::try_from(at).unwrap()))))
    }
}

impl RetainedRam for Ram {
    fn word(&self, at: usize) -> u32 {
        self.0[at].get()
    }

    fn set_word(&self, at: usize, to: u32) {
        self.0[at].set(to);
    }
}

static WIRE: Wire = Wire::new();

#[derive(Clone)]
struct Bench {
    line: Line,
    hardware: Hardware,
    ram: Ram,
    started: Rc<Cell<Option<Duration>>>,
}

impl Bench {
    fn new() -> Self {
        Self { line: Line::default(), hardware: Hardware::default(), ram: Ram::off(), started: Rc::default() }
    }

    /// Starts a board, which then refuses.
    fn start(&self, lan: &mut Lan, by_watchdog: bool) {
        let bench = self.clone();
        lan.spawn(async move {
            let Self { line, hardware, ram, started } = bench;
            let mut board = Board::start(line, hardware.clone(), hardware, ram, &WIRE, by_watchdog).await;
            started.set(Some(clock::now()));
            board.refuse("the chip is missing: use another board").await;
        });
    }
}

/// A seed that counts how often it was replaced, and outlives the boards of a test.
#[derive(Clone, Default)]
struct Seeds {
    seed: Rc<Cell<[u8; 32]>>,
    drawn: Rc<Cell<u32>>,
}

impl SeedStore for Seeds {
    type Error = ();

    fn read(&mut self, to: &mut [u8; 32]) -> Result<(), ()> {
        *to = self.seed.get();
        Ok(())
    }

    fn replace(&mut self, new: &[u8; 32]) -> Result<(), ()> {
        self.seed.set(*new);
        self.drawn.set(self.drawn.get() + 1);
        Ok(())
    }
}

impl Bench {
    /// Starts the board again and again. `next` says when each start ends, counted from its beginning or from the app's,
    /// and by what; after the last one the board is off. Gives the seeds that were drawn.
    fn restarts(&self, lan: &mut Lan, next: impl FnMut(u32) -> Option<End> + 'static) -> u32 {
        let (bench, (stack, _)) = (self.clone(), lan.stack());
        let (seeds, over) = (Seeds::default(), Rc::new(Cell::new(false)));
        seeds.seed.set([7; 32]);
        let (drawn, is_over) = (seeds.drawn.clone(), over.clone());
        let mut next = next;
        lan.spawn(async move {
            let mut by_watchdog = false;
            for n in 0.. {
                let Some(end) = next(n) else { break };
                let Self { line, hardware, ram, .. } = bench.clone();
                let mut seeds = seeds.clone();
                let life = Box::pin(async move {
                    let mut board =
                        Board::start(line, hardware.clone(), hardware, ram, &WIRE, by_watchdog).await;
                    let ready = board.boot_from(&record(), &mut seeds, None).await;
                    let memory = Box::leak(Box::new(Memory::new()));
                    let mut app = App::new(stack, memory, ready.prs, ready.rng, Settings::default());
                    match end {
                        End::Forced { .. } => board.run(&mut app).await,
                        End::Panic { after } => select(board.run(&mut app), Timer::after(after)).await,
                    };
                });
                match end {
                    End::Forced { after } => _ = select(life, Timer::after(after)).await,
                    End::Panic { .. } => {
                        life.await;
                        restart::note(&bench.ram, Cause::Panic, [0; 4], "");
                    }
                }
                by_watchdog = matches!(end, End::Forced { .. });
            }
            is_over.set(true);
        });
        while !over.get() {
            lan.pass(Duration::from_secs(60));
        }
        drawn.get()
    }
}

/// How a start ends.
#[derive(Clone, Copy)]
enum End {
    /// The watchdog resets the chip so long after the reset before.
    Forced { after: embassy_time::Duration },
    /// The program panics so long after the app began to run.
    Panic { after: embassy_time::Duration },
}

fn record() -> [u8; RECORD_LEN] {
    let mut bytes = [0; RECORD_LEN];
    ProvisioningRecord { prs: Prs::new([5; 32]), address: Address::Dhcp, mode: Mode::default() }
        .emit(&mut bytes);
    bytes
}

#[test]
fn a_refusal_is_said_at_the_start_and_again_after_input_and_after_errors_of_the_line() {
    let (mut lan, bench) = (Lan::new(), Bench::new());
    bench.start(&mut lan, false);
    lan.pass(Duration::from_secs(60));
    assert_eq!(bench.line.prints(), 1, "without input it is said once");
    for (n, input) in
        [Ok(1), Err(ErrorKind::Other), Err(ErrorKind::InvalidData), Ok(3)].into_iter().enumerate()
    {
        bench.line.input.borrow_mut().push_back(input);
        lan.pass(Duration::from_secs(2));
        assert_eq!(bench.line.prints(), n + 2, "{input:?}");
    }
    for (_, said) in bench.line.printed.borrow().iter() {
        assert_eq!(said, "deaddrop: the chip is missing: use another board.\r\n");
    }
    assert!(bench.hardware.longest.get() <= Duration::from_secs(1), "the watchdog is fed all the while");
    let changes = bench.hardware.changes.get();
    lan.pass(Duration::from_secs(2));
    assert_eq!(bench.hardware.changes.get() - changes, 16, "the lamp flickers");
}

#[test]
fn a_line_that_floats_has_the_refusal_repeated_once_a_second_and_not_all_the_time() {
    let (mut lan, bench) = (Lan::new(), Bench::new());
    bench.line.floats.set(true);
    bench.start(&mut lan, false);
    lan.pass(Duration::from_secs(60));
    assert!((50..=61).contains(&bench.line.prints()), "{}", bench.line.prints());
    // The adapter is plugged in, and a key pressed.
    bench.line.floats.set(false);
    lan.pass(Duration::from_secs(60));
    let before = bench.line.prints();
    bench.line.input.borrow_mut().push_back(Ok(1));
    lan.pass(Duration::from_secs(2));
    assert_eq!(bench.line.prints(), before + 1);
}

#[test]
fn the_end_of_input_is_no_input() {
    let (mut lan, bench) = (Lan::new(), Bench::new());
    bench.line.input.borrow_mut().extend([Ok(0), Ok(1)]);
    bench.start(&mut lan, false);
    lan.pass(Duration::from_secs(60));
    assert_eq!(bench.line.prints(), 1);
}

#[test]
fn a_start_after_a_crash_says_so_and_waits_and_a_usual_one_does_neither() {
    let (mut lan, bench) = (Lan::new(), Bench::new());
    bench.start(&mut lan, false);
    lan.pass(Duration::from_secs(1));
    assert_eq!(bench.started.take(), Some(Duration::ZERO));

    for strikes in 1..=4 {
        restart::note(&bench.ram, Cause::Panic, [0x1234, 0, 0, 0], "src/somewhere.rs:7");
        let before = clock::now();
        let said = bench.line.prints();
        bench.start(&mut lan, false);
        lan.pass(Duration::from_secs(20));
        let waited = bench.started.take().unwrap() - before;
        let wait = Duration::from_secs(1 << (strikes - 1));
        assert!((wait..wait + Duration::from_millis(250)).contains(&waited), "{waited:?}");
        let printed = bench.line.printed.borrow();
        assert_eq!(
            printed[said].1,
            format!(
                "deaddrop: started again after a panic at src/somewhere.rs:7 0x1234; restart {strikes} in a row, \
                 going on in {} s\r\n",
                wait.as_secs()
            )
        );
    }
    assert!(bench.hardware.longest.get() <= Duration::from_secs(1), "the watchdog is fed while it waits");
    // The watchdog needs nobody who notes it.
    let said = bench.line.prints();
    bench.start(&mut lan, true);
    lan.pass(Duration::from_secs(20));
    assert!(bench.line.printed.borrow()[said].1.contains("after a reset by the watchdog; restart 5"));
}

#[test]
fn twenty_forced_resets_take_at_most_eight_seeds() {
    for seconds in [1, 10, 60, 120] {
        let (mut lan, bench) = (Lan::new(), Bench::new());
        let after = embassy_time::Duration::from_secs(seconds);
        let drawn = bench.restarts(&mut lan, move |n| (n < 20).then_some(End::Forced { after }));
        assert!((1..=8).contains(&drawn), "{drawn} seeds, with a reset every {seconds} s");
    }
}

#[test]
fn a_board_that_panics_all_day_takes_few_seeds() {
    // Twelve restarts in the first 70 minutes, and then one an hour. Without a wait it would be 2,880 and 43.
    for seconds in [30, 2_000] {
        let (mut lan, bench) = (Lan::new(), Bench::new());
        let after = embassy_time::Duration::from_secs(seconds);
        let until = clock::now() + Duration::from_secs(86_400);
        let drawn = bench.restarts(&mut lan, move |_| (clock::now() < until).then_some(End::Panic { after }));
        assert!((20..40).contains(&drawn), "{drawn} seeds, with a panic after {seconds} s");
    }
}

#[test]
fn an_hour_of_the_app_ends_a_row_of_restarts() {
    for (seconds, strikes) in [(3_590, 4), (3_610, 1)] {
        let (mut lan, bench) = (Lan::new(), Bench::new());
        bench.restarts(&mut lan, move |n| {
            let seconds = if n == 3 { seconds } else { 1 };
            (n < 4).then_some(End::Panic { after: embassy_time::Duration::from_secs(seconds) })
        });
        bench.start(&mut lan, false);
        lan.pass(Duration::from_millis(500));
        let said = bench.line.printed.borrow().last().unwrap().1.clone();
        assert!(said.contains(&format!("restart {strikes} in a row")), "{said}");
    }
}

/// How often the watchdog of a board is fed in this time.
fn fed_for(lan: &mut Lan, board: &lan::Board, minutes: u64) -> u32 {
    let before = board.signs.fed.get();
    lan.pass(Duration::from_secs(60 * minutes));
    board.signs.fed.get() - before
}

#[test]
fn on_a_lan_that_was_always_silent_there_is_no_reason_to_expect_anything() {
    let mut lan = Lan::new();
    let lone = lan.board(1, Settings::default());
    assert!(fed_for(&mut lan, &lone, 60) > 3_000);
}

#[test]
fn a_driver_that_went_deaf_ends_the_feeding_of_the_watchdog_unless_something_would_be_lost() {
    let mut lan = Lan::new();
    let (a, b) = (lan.board(1, Settings::default()), lan.board(1, Settings::default()));
    lan.pass(Duration::from_secs(60));
    lan.switch.deafen(a.number);
    assert!(fed_for(&mut lan, &a, 9) > 500, "it takes ten minutes");
    fed_for(&mut lan, &a, 2);
    assert_eq!(fed_for(&mut lan, &a, 5), 0);
    assert!(b.signs.fed.get() > 900, "the other one hears the first");
    // What it keeps is worth more than a start.
    let slot = a.keep(deaddrop_core::offer::Kind::File, "kept", b"kept");
    assert!(fed_for(&mut lan, &a, 30) > 1_500);
    a.store.borrow_mut().remove(slot).unwrap();
    fed_for(&mut lan, &a, 1);
    assert_eq!(fed_for(&mut lan, &a, 5), 0);
}
