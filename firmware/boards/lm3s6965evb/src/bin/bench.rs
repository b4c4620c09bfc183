//! Measures the cost of the cryptography on a Cortex-M3, for `cargo xtask firmware bench`.
//!
//! This image runs in QEMU alone. It counts cycles of the 50 MHz core clock; with `-icount shift=0` QEMU takes 1 ns for an
//! instruction, so one cycle is 20 instructions.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::panic::PanicInfo;

use chacha20::ChaCha20Rng;
use deaddrop_core::crypto::keys::Prs;
use deaddrop_core::crypto::record::RecordKind;
use deaddrop_core::limits::{CONTROL_RECORD, RECORD_OVERHEAD};
use deaddrop_core::session::{ClientHandshake, ServerHandshake, buffer_len};
use deaddrop_core::token::Instance;
use deaddrop_firmware::PROFILE;
use deaddrop_lm3s6965::console::{Console, LastWords};
use deaddrop_lm3s6965::{clock, emulator, executor};
use rand_core::SeedableRng;

#[cortex_m_rt::entry]
fn main() -> ! {
    clock::start();
    Console::start();
    let _ = writeln!(LastWords, "{}", if measure().is_some() { "done" } else { "failed" });
    emulator::succeed();
    executor::sleep()
}

/// A handshake between two ends, then records from one to the other.
fn measure() -> Option<()> {
    // A fixed seed: no secrets here, and every run is the same.
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let prs = Prs::new([9; 32]);

    let greeted = ServerHandshake::new(Instance::random(&mut rng), &mut rng);
    let greeting = *greeted.greeting();
    let (client, message2) =
        timed("client hello", || ClientHandshake::start(&greeting, None, None, &prs, &mut rng)).ok()?;
    let (mut server, message3) = timed("server answer", || greeted.answer(&message2, &prs, &mut rng)).ok()?;
    let mut client = timed("client finish", || client.finish(&message3)).ok()?;

    // Two lengths, so that the cost of a byte can be told from that of a record. Both are whole blocks of the cipher.
    let mut buffer = [0; 4 * CONTROL_RECORD];
    for length in [buffer_len(&PROFILE), 4 * CONTROL_RECORD] {
        let record = buffer.get_mut(..length)?;
        let payload = length - RECORD_OVERHEAD;
        timed_record("seal", length, || server.sealer.seal(record, RecordKind::Data, payload)).ok()?;
        timed_record("open", length, || client.opener.open(record)).ok()?;
    }
    Some(())
}

/// Does it and says how many cycles that took.
fn timed<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let start = clock::cycles();
    let result = act();
    let cycles = clock::cycles() - start;
    let _ = writeln!(LastWords, "{what}: {cycles}");
    result
}

/// The same for a record of this length.
fn timed_record<T>(what: &str, length: usize, act: impl FnOnce() -> T) -> T {
    let _ = write!(LastWords, "{length} ");
    timed(what, act)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    emulator::fail();
    executor::sleep()
}
