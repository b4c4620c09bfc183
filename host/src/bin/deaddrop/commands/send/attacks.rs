//! What the owner of a drop is told of guesses and of lapsed claims: folded, so that a flood of them does not push the
//! drop's token off the screen.

use std::collections::BTreeMap;
use std::time::Instant;

use deaddrop::{Address, Lapse};
use deaddrop_core::limits::WARN_WINDOW;

/// Lapses of one kind that are usual: a receiver that gives up and tries again.
const LAPSES: u32 = 3;
/// Addresses that a line names.
const NAMED: usize = 8;

/// Warnings of guesses, one line each while they come from one address.
#[derive(Default)]
pub(super) struct Guesses {
    /// The addresses since there was last a window without a warning.
    sources: Vec<Address>,
    latest: Option<Instant>,
}

impl Guesses {
    /// The line about a warning; none if it is counted by a later line.
    pub(super) fn line(&mut self, now: Instant, source: Option<Address>, failures: u32) -> Option<String> {
        let window = WARN_WINDOW.as_secs();
        if self.latest.replace(now).is_some_and(|latest| now.duration_since(latest) >= WARN_WINDOW) {
            self.sources.clear();
        }
        let whose = match source {
            Some(source) => {
                if !self.sources.contains(&source) {
                    self.sources.push(source);
                }
                match self.sources.len() {
                    1 => format!(
                        "{failures} handshakes with another passphrase from {source} within {window} s"
                    ),
                    // At 4, 16, 64 and so on.
                    many if many.is_power_of_two() && many.trailing_zeros() % 2 == 0 => {
                        format!(
                            "handshakes with another passphrase from {many} addresses, the latest {source}"
                        )
                    }
                    _ => return None,
                }
            }
            None => format!("{failures} handshakes with another passphrase in all within {window} s"),
        };
        Some(format!("{whose}: a neighbour's room, or somebody guesses"))
    }
}

/// Lapsed claims, by the kind of the lapse.
#[derive(Default)]
pub(super) struct Lapses(BTreeMap<&'static str, BTreeMap<Address, u32>>);

impl Lapses {
    /// The line about a lapse: at the third of a kind, the sixth, the twelfth and so on.
    pub(super) fn line(&mut self, by: Address, why: Lapse) -> Option<String> {
        let receivers = self.0.entry(why.word()).or_default();
        *receivers.entry(by).or_default() += 1;
        let lapses: u32 = receivers.values().sum();
        let told = lapses.is_multiple_of(LAPSES) && (lapses / LAPSES).is_power_of_two();
        told.then(|| {
            let mut names: Vec<String> =
                receivers.iter().take(NAMED).map(|(by, count)| format!("{by} ({count})")).collect();
            if receivers.len() > NAMED {
                names.push(format!("{} more", receivers.len() - NAMED));
            }
            format!(
                "the drop was claimed {lapses} times and not taken, because {why}; by {}: somebody may be keeping it \
                 from its receiver",
                names.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ip(n: u8) -> Address {
        std::net::Ipv4Addr::new(10, 0, 0, n).into()
    }

    #[test]
    fn guesses_from_many_addresses_are_a_few_lines_that_count() {
        let mut guesses = Guesses::default();
        let start = Instant::now();
        let lines: Vec<String> = (1..=200).filter_map(|n| guesses.line(start, Some(ip(n)), 3)).collect();
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[0].starts_with("3 handshakes with another passphrase from 10.0.0.1 within 60 s"));
        assert!(
            lines[3]
                .starts_with("handshakes with another passphrase from 64 addresses, the latest 10.0.0.64")
        );
        assert!(guesses.line(start, None, 32).is_some_and(|line| line.starts_with("32 handshakes")));
        // The same address again says nothing new, and a minute later it does.
        assert_eq!(guesses.line(start, Some(ip(64)), 3), None);
        let later = start + WARN_WINDOW + Duration::from_millis(1);
        assert!(guesses.line(later, Some(ip(9)), 3).is_some_and(|line| line.contains("from 10.0.0.9")));
    }

    #[test]
    fn the_third_lapse_of_a_kind_says_by_whom() {
        let mut lapses = Lapses::default();
        assert_eq!(lapses.line(ip(1), Lapse::Silent), None);
        assert_eq!(lapses.line(ip(2), Lapse::Released), None, "another kind");
        assert_eq!(lapses.line(ip(2), Lapse::Silent), None);
        let line = lapses.line(ip(1), Lapse::Silent).expect("the third");
        assert!(line.contains("3 times") && line.contains("fell silent"), "{line}");
        assert!(line.contains("10.0.0.1 (2), 10.0.0.2 (1)"), "{line}");
        let told: Vec<u32> = (4..=30).filter(|_| lapses.line(ip(3), Lapse::Silent).is_some()).collect();
        assert_eq!(told, [6, 12, 24]);
        let line = (0..60).filter_map(|n| lapses.line(ip(n), Lapse::Slow)).last().unwrap();
        assert!(line.ends_with("40 more: somebody may be keeping it from its receiver"), "{line}");
    }
}
