//! Measures the cost of the cryptography on the core that QEMU plays, for `cargo xtask firmware bench`.
//!
//! This image runs in QEMU alone. It counts with SysTick, which QEMU's `lm3s6965evb` clocks with 12.5 MHz from its reset
//! on; with `-icount shift=0` QEMU takes 1 ns for an instruction, so one count is 80 instructions.
#![no_std]
#![no_main]

mod multiply;

use core::fmt::Write;
use core::panic::PanicInfo;

use chacha20::ChaCha20Rng;
use cortex_m::Peripherals;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
use cortex_m_semihosting::hio::{self, HostStream};
use deaddrop_core::crypto::keys::Prs;
use deaddrop_core::crypto::record::RecordKind;
use deaddrop_core::limits::{BOARD, CONTROL_RECORD, RECORD_OVERHEAD};
use deaddrop_core::session::{ClientHandshake, ServerHandshake, buffer_len};
use deaddrop_core::token::Instance;
use deaddrop_long_multiply as _;
use rand_core::SeedableRng;

/// SysTick has 24 bits.
const WRAP: u32 = 1 << 24;

#[cortex_m_rt::entry]
fn main() -> ! {
    debug::exit(if measure().is_some() { EXIT_SUCCESS } else { EXIT_FAILURE });
    loop {
        cortex_m::asm::nop();
    }
}

/// The product of 64 bits; then a handshake between two ends, and records from one to the other.
fn measure() -> Option<()> {
    let mut ticks = Peripherals::take()?.SYST;
    ticks.set_clock_source(SystClkSource::Core);
    ticks.set_reload(WRAP - 1);
    ticks.clear_current();
    ticks.enable_counter();
    let mut out = hio::hstdout().ok()?;

    // A fixed seed: no secrets here, and every run is the same.
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    if !multiply::is_right(&mut rng) {
        let _ = writeln!(out, "a product of 64 bits is wrong");
        return None;
    }
    let prs = Prs::new([9; 32]);

    let greeted = ServerHandshake::new(Instance::random(&mut rng), &mut rng);
    let greeting = *greeted.greeting();
    let hello = || ClientHandshake::start(&greeting, None, None, &prs, &mut rng);
    let (client, message2) = timed(&mut out, "client hello", hello).ok()?;
    let answer = || greeted.answer(&message2, &prs, &mut rng);
    let (mut server, message3) = timed(&mut out, "server answer", answer).ok()?;
    let mut client = timed(&mut out, "client finish", || client.finish(&message3)).ok()?;

    // Two lengths, so that the cost of a byte can be told from that of a record. Both are whole blocks of the cipher.
    let mut buffer = [0; 4 * CONTROL_RECORD];
    for length in [buffer_len(&BOARD), 4 * CONTROL_RECORD] {
        let record = buffer.get_mut(..length)?;
        let payload = length - RECORD_OVERHEAD;
        let _ = write!(out, "{length} ");
        timed(&mut out, "seal", || server.sealer.seal(record, RecordKind::Data, payload)).ok()?;
        let _ = write!(out, "{length} ");
        timed(&mut out, "open", || client.opener.open(record)).ok()?;
    }
    writeln!(out, "done").ok()
}

/// Does it and says how many counts that took.
fn timed<T>(out: &mut HostStream, what: &str, act: impl FnOnce() -> T) -> T {
    let start = read_counter();
    let result = act();
    // Counts down.
    let counts = start.wrapping_sub(read_counter()) % WRAP;
    let _ = writeln!(out, "{what}: {counts}");
    result
}

/// A function of its own: `firmware bench` finds the steps in the log of the emulator by its calls.
#[inline(never)]
fn read_counter() -> u32 {
    SYST::get_current()
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    debug::exit(EXIT_FAILURE);
    loop {
        cortex_m::asm::nop();
    }
}
