//! The delay of handshake replies, on processors whose multiplication takes longer for some operands than for others.
//!
//! Why it is measured, and the numbers: `core/docs/decisions/0050-replies-after-a-measured-delay.md`.

use core::time::Duration;

use chacha20::ChaCha20Rng;
use deaddrop_core::crypto::keys::Prs;
use deaddrop_core::session::{HandshakeError, ServerHandshake};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Instance;
use deaddrop_core::wire::CLIENT_HELLO_LEN;
use rand_core::SeedableRng;

use super::clock;

/// The delay is this many times what an answer takes. The slowest operands of a Cortex-M3 make an answer take 1.3 times as
/// long as the fastest, and other tasks run between its halves.
const MULTIPLE: u32 = 2;
/// The least delay: the clock has milliseconds.
const LEAST: Duration = Duration::from_millis(20);
/// The longest delay. A client that is a board holds its proof as long as the server its answer, and the two together have to
/// end while the server waits for a proof: see [`Profile::proof_patience`](deaddrop_core::limits::Profile).
const MOST: Duration = Duration::from_millis(450);

const _: () = assert!(2 * MOST.as_millis() < deaddrop_core::limits::BOARD.proof_patience.as_millis());

/// A message 2 whose share is the group's base point: suite, nonce, and the share (RFC 9496, appendix A.1).
const HELLO: [u8; CLIENT_HELLO_LEN] = *b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \xe2\xf2\xae\x0a\x6a\xbc\x4e\x71\xa8\x84\xa9\x61\xc5\x00\x51\x5f\
    \x58\xe3\x0b\x6a\xa5\x82\xdd\x8d\xb6\xa6\x59\x45\xe0\x8d\x2d\x76";

/// Answers a handshake, measures how long that takes on this board, and gives the delay of its replies, for
/// [`Settings::reply_delay`](super::Settings::reply_delay). Call it once at the start, where little is on the stack: an answer
/// takes more stack than anything else.
///
/// The handshake is of a room that does not exist, with a fixed scalar: its time tells nothing about any secret.
#[inline(never)]
pub fn measured_reply_delay() -> Duration {
    // Its error never comes: the share is valid.
    measured(clock::now).unwrap_or(MOST)
}

fn measured(mut now: impl FnMut() -> Instant) -> Result<Duration, HandshakeError> {
    let mut rng = ChaCha20Rng::from_seed([0; 32]);
    let greeted = ServerHandshake::new(Instance::from_bytes([0; 8]), &mut rng);
    let start = now();
    greeted.answer(&HELLO, &Prs::new([0; 32]), &mut rng)?;
    Ok(delay_for(now().since(start)))
}

/// The delay where an answer takes this long.
fn delay_for(answer: Duration) -> Duration {
    answer.saturating_mul(MULTIPLE).clamp(LEAST, MOST)
}

/// When a reply is due that was computed at `now`, and was to be held until `until`: then, or a whole number of delays
/// later. A delay in milliseconds.
pub(super) fn due(until: Instant, delay: u64, now: Instant) -> Instant {
    let mut due = until.as_millis();
    while due < now.as_millis() && delay > 0 {
        due += delay;
    }
    Instant::from_millis(due)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The delay on a board whose clock stands at these moments before and after the answer.
    fn delay_of(before: u64, after: u64) -> Duration {
        let mut moments = [before, after].into_iter().map(Instant::from_millis);
        measured(|| moments.next().unwrap()).unwrap()
    }

    #[test]
    fn the_delay_is_twice_what_an_answer_takes() {
        assert_eq!(delay_of(1_000, 1_171), Duration::from_millis(342));
        assert_eq!(delay_of(7, 77), Duration::from_millis(140));
    }

    #[test]
    fn the_delay_has_bounds() {
        assert_eq!(delay_of(5, 5), LEAST);
        assert_eq!(delay_of(5, 15), LEAST);
        assert_eq!(delay_of(5, 16), Duration::from_millis(22));
        assert_eq!(delay_of(0, 226), MOST);
        assert_eq!(delay_of(0, 60_000), MOST);
    }

    #[test]
    fn a_reply_that_is_late_waits_for_a_whole_number_of_delays() {
        let at = Instant::from_millis;
        for (now, is_due) in [(0, 1_300), (1_299, 1_300), (1_300, 1_300), (1_301, 1_600), (2_050, 2_200)] {
            assert_eq!(due(at(1_300), 300, at(now)), at(is_due), "{now}");
        }
        assert_eq!(due(at(5), 0, at(9)), at(5));
    }
}
