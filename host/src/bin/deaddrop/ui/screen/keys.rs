//! The keys of a terminal, from the bytes that it sends for them.

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// Fetch the selected offer.
    Fetch,
    /// Fetch all offers.
    FetchAll,
    /// Show which keys there are, or no longer.
    Help,
    /// Leave.
    Leave,
}

/// How much of a sequence is remembered. A longer one means nothing here.
const LENGTH_MAX: usize = 16;
const ESCAPE: u8 = 0x1b;

/// Puts together what arrives in parts. A sequence that means nothing is passed over as a whole.
#[derive(Default)]
pub(crate) struct Keys {
    state: State,
    /// What a sequence holds so far, between its beginning and its last byte.
    sequence: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
enum State {
    /// Between keys.
    #[default]
    Ground,
    /// After an escape, which is a key too: nothing more may follow.
    Escape,
    /// In a sequence.
    Sequence,
}

impl Keys {
    /// The key that ends with this byte.
    pub(crate) fn next(&mut self, byte: u8) -> Option<Key> {
        match (self.state, byte) {
            (State::Sequence, b' '..=b'?') => {
                if self.sequence.len() < LENGTH_MAX {
                    self.sequence.push(byte);
                }
                None
            }
            (State::Sequence, b'@'..=b'~') => {
                self.state = State::Ground;
                self.of_sequence(byte)
            }
            (State::Escape, b'[' | b'O') => {
                self.state = State::Sequence;
                self.sequence.clear();
                None
            }
            (_, ESCAPE) => {
                self.state = State::Escape;
                None
            }
            (_, byte) => {
                self.state = State::Ground;
                of_byte(byte)
            }
        }
    }

    fn of_sequence(&self, last: u8) -> Option<Key> {
        Some(match (last, self.sequence.as_slice()) {
            (b'A', _) => Key::Up,
            (b'B', _) => Key::Down,
            (b'H', _) | (b'~', b"1" | b"7") => Key::First,
            (b'F', _) | (b'~', b"4" | b"8") => Key::Last,
            (b'~', b"5") => Key::PageUp,
            (b'~', b"6") => Key::PageDown,
            // The Enter of a number pad.
            (b'M', _) => Key::Fetch,
            _ => return None,
        })
    }
}

fn of_byte(byte: u8) -> Option<Key> {
    Some(match byte {
        b'k' => Key::Up,
        b'j' => Key::Down,
        b'\r' | b'\n' => Key::Fetch,
        b'a' => Key::FetchAll,
        b'?' => Key::Help,
        b'q' => Key::Leave,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        bytes.iter().filter_map(|byte| keys.next(*byte)).collect()
    }

    #[test]
    fn letters_and_sequences_are_keys() {
        use Key::*;
        assert_eq!(typed(b"jk\r\na?q"), [Down, Up, Fetch, Fetch, FetchAll, Help, Leave]);
        assert_eq!(typed(b"\x1b[A\x1b[B\x1bOA\x1bOB"), [Up, Down, Up, Down]);
        assert_eq!(typed(b"\x1b[1;5A"), [Up], "with Ctrl");
        assert_eq!(
            typed(b"\x1b[5~\x1b[6~\x1b[H\x1b[F\x1b[1~\x1b[4~"),
            [PageUp, PageDown, First, Last, First, Last]
        );
    }

    #[test]
    fn what_means_nothing_leaves_no_trace() {
        assert_eq!(typed("\u{e9}xyz\0\t".as_bytes()), []);
        // The letters inside of a sequence are no keys, and the key after it is one.
        assert_eq!(typed(b"\x1b[200~\x1b[3~\x1b[aq"), [Key::Leave]);
        assert_eq!(typed(b"\x1bq\x1b\x1bj"), [Key::Leave, Key::Down], "Esc is a key without a meaning");
        let long = [b"\x1b[".as_slice(), &[b';'; 10_000], b"Aq"].concat();
        assert_eq!(typed(&long), [Key::Up, Key::Leave]);
    }
}
