//! Which errors a fetch retries, and the exponential backoff of retries (protocol.md, section 7.1).

use core::time::Duration;

use rand_core::CryptoRng;

use crate::limits::{BUSY_WAIT_MAX, RETRY_JITTER, RETRY_MAX, RETRY_MIN};
use crate::random::below;
use crate::session::{ClientError, HandshakeError};
use crate::wire::{ErrorCode, GreetingError};

use super::FetchError;

/// Whether a retry can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Verdict {
    /// It can, maybe with a retry-after of the server.
    Retry(Option<Duration>),
    /// It cannot.
    Final,
}

/// The verdict on an error. `claimed`: the sender has granted us the claim before, so it is a member.
pub(super) const fn judge(error: &FetchError, claimed: bool) -> Verdict {
    match error {
        FetchError::Unreachable => Verdict::Retry(None),
        FetchError::Session(error) => judge_session(error, claimed),
        FetchError::Refused(code) => judge_refusal(*code, claimed),
        FetchError::Ambiguous | FetchError::Canceled => Verdict::Final,
    }
}

const fn judge_session(error: &ClientError, claimed: bool) -> Verdict {
    match error {
        ClientError::Handshake(HandshakeError::Busy { retry_after }) => Verdict::Retry(Some(*retry_after)),
        // Another process or program has the port now; the sender may come back, here or elsewhere.
        ClientError::Handshake(
            HandshakeError::OtherInstance | HandshakeError::Greeting(GreetingError::Magic),
        )
        | ClientError::Busy
        | ClientError::Reset
        | ClientError::Silent
        // The budget refills with time.
        | ClientError::NoBudget => Verdict::Retry(None),
        // From a known member this proves nothing: an attacker on the path can close a connection.
        ClientError::NotMember if claimed => Verdict::Retry(None),
        ClientError::NotMember
        | ClientError::Handshake(_)
        | ClientError::Slow
        | ClientError::Protocol
        | ClientError::Misuse(_) => Verdict::Final,
    }
}

const fn judge_refusal(code: ErrorCode, claimed: bool) -> Verdict {
    match code {
        // Before the claim another receiver holds the drop; after it, the lease of our own old connection
        // still runs.
        ErrorCode::Busy { retry_after } => Verdict::Retry(Some(retry_after)),
        // The claim lapsed in the midst of a stream. Any receiver can claim it again.
        ErrorCode::Unknown if claimed => Verdict::Retry(None),
        _ => Verdict::Final,
    }
}

/// The wait before the next try, after `failures` failures in a row.
///
/// A retry-after of the server counts up to [`BUSY_WAIT_MAX`]. Without one the wait is an exponential backoff
/// from [`RETRY_MIN`] to [`RETRY_MAX`] (protocol.md, section 7.1). Jitter keeps receivers that failed together from retrying together.
pub fn backoff(failures: u32, asked: Option<Duration>, rng: &mut impl CryptoRng) -> Duration {
    // In whole milliseconds of 32 bits: a board pays for the arithmetic of `Duration` in flash.
    let wait = match asked {
        Some(asked) if asked < BUSY_WAIT_MAX => asked.subsec_millis().max(millis(RETRY_MIN)),
        Some(_) => millis(BUSY_WAIT_MAX),
        None => (millis(RETRY_MIN) << failures.min(8)).min(millis(RETRY_MAX)),
    };
    Duration::from_millis(u64::from(wait + below(rng, millis(RETRY_JITTER) + 1)))
}

const _: () = assert!(BUSY_WAIT_MAX.as_millis() <= 1_000, "a shorter span is a fraction of a second");

/// A constant of a few seconds in milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "seconds, not centuries")]
const fn millis(span: Duration) -> u32 {
    span.as_secs() as u32 * 1_000 + span.subsec_millis()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    const RETRY: Verdict = Verdict::Retry(None);

    #[test]
    fn each_end_of_a_connection_has_its_verdict() {
        let busy = HandshakeError::Busy { retry_after: Duration::from_millis(40) };
        // error, before the claim, after it
        let table = [
            (ClientError::Handshake(busy), Verdict::Retry(Some(Duration::from_millis(40))), None),
            (ClientError::Handshake(HandshakeError::OtherInstance), RETRY, None),
            (ClientError::Handshake(HandshakeError::Greeting(GreetingError::Magic)), RETRY, None),
            (ClientError::Handshake(HandshakeError::OwnInstance), Verdict::Final, None),
            (ClientError::Handshake(HandshakeError::NoSuite), Verdict::Final, None),
            (ClientError::Handshake(HandshakeError::Share), Verdict::Final, None),
            (ClientError::Busy, RETRY, None),
            (ClientError::Reset, RETRY, None),
            (ClientError::Silent, RETRY, None),
            (ClientError::NoBudget, RETRY, None),
            (ClientError::NotMember, Verdict::Final, Some(RETRY)),
            (ClientError::Slow, Verdict::Final, None),
            (ClientError::Protocol, Verdict::Final, None),
        ];
        for (error, before, after) in table {
            let error = FetchError::Session(error);
            assert_eq!(judge(&error, false), before, "{error:?}");
            assert_eq!(judge(&error, true), after.unwrap_or(before), "{error:?}");
        }
        assert_eq!(judge(&FetchError::Unreachable, false), RETRY);
    }

    #[test]
    fn each_refusal_has_its_verdict() {
        let after = Duration::from_secs(3);
        let busy = FetchError::Refused(ErrorCode::Busy { retry_after: after });
        for claimed in [false, true] {
            assert_eq!(judge(&busy, claimed), Verdict::Retry(Some(after)));
            for code in [
                ErrorCode::Gone,
                ErrorCode::Expired,
                ErrorCode::Changed,
                ErrorCode::Malformed,
                ErrorCode::Unsupported,
                ErrorCode::Other(99),
            ] {
                assert_eq!(judge(&FetchError::Refused(code), claimed), Verdict::Final, "{code}");
            }
        }
        assert_eq!(judge(&FetchError::Refused(ErrorCode::Unknown), false), Verdict::Final);
        assert_eq!(judge(&FetchError::Refused(ErrorCode::Unknown), true), RETRY);
    }

    #[test]
    fn waits_back_off_to_a_bound_and_a_retry_after_is_clamped() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for failures in 0..40 {
            let least = (RETRY_MIN * (1 << failures.min(8))).min(RETRY_MAX);
            let wait = backoff(failures, None, &mut rng);
            assert!((least..=least + RETRY_JITTER).contains(&wait), "{failures}: {wait:?}");
        }
        for (asked, least) in [(0, RETRY_MIN), (400, Duration::from_millis(400)), (60_000, BUSY_WAIT_MAX)] {
            let wait = backoff(0, Some(Duration::from_millis(asked)), &mut rng);
            assert!((least..=least + RETRY_JITTER).contains(&wait), "{asked}: {wait:?}");
        }
    }
}
