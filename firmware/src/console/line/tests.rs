extern crate std;

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

fn feed(editor: &mut Editor, bytes: &[u8]) -> Vec<Key> {
    bytes.iter().map(|byte| editor.feed(*byte)).collect()
}

fn typed(bytes: &[u8]) -> Editor {
    let mut editor = Editor::new();
    feed(&mut editor, bytes);
    editor
}

#[test]
fn every_kind_of_line_end_ends_one_line() {
    for (bytes, lines) in [
        (&b"a\r"[..], 1),
        (b"a\n", 1),
        (b"a\r\n", 1),
        (b"a\r\r", 2),
        (b"a\n\n", 2),
        (b"a\r\n\r\n", 2),
        (b"a\r\n\n", 2),
        (b"a\rb\n", 2),
    ] {
        let keys = feed(&mut Editor::new(), bytes);
        assert_eq!(keys.iter().filter(|key| **key == Key::Entered).count(), lines, "{bytes:?}");
    }
}

#[test]
fn backspace_takes_a_whole_character() {
    let mut editor = typed("aé中🎉".as_bytes());
    for (left, key) in [
        ("aé中", Key::Changed),
        ("aé", Key::Changed),
        ("a", Key::Changed),
        ("", Key::Removed),
        ("", Key::Nothing),
    ] {
        assert_eq!(editor.feed(0x7f), key);
        assert_eq!(editor.line(), left);
    }
    assert_eq!(typed(b"ab\x08c\x7fd").line(), "ad");
    assert!(typed(b"secret\x08\x08\x08\x08\x08\x08").bytes.iter().all(|b| *b == 0), "nothing is left behind");
}

#[test]
fn ctrl_u_clears_and_ctrl_c_gives_up() {
    let mut editor = typed(b"secret");
    assert_eq!(editor.feed(0x15), Key::Changed);
    assert_eq!(editor.line(), "");
    assert!(editor.bytes.iter().all(|b| *b == 0));
    assert_eq!(feed(&mut editor, b"x\x03"), [Key::Added('x'), Key::Abandoned]);
}

#[test]
fn keys_that_send_sequences_do_nothing() {
    for keys in ["\x1b[A", "\x1b[1;5C", "\x1b[3~", "\x1bOP", "\x1bb", "\x1b\x1b[D", "\x1b[200~"] {
        let mut editor = Editor::new();
        feed(&mut editor, b"a");
        assert!(feed(&mut editor, keys.as_bytes()).iter().all(|key| *key == Key::Nothing), "{keys:?}");
        feed(&mut editor, b"b");
        assert_eq!(editor.line(), "ab", "{keys:?}");
    }
    // Half a sequence does not swallow what gives up.
    assert_eq!(feed(&mut Editor::new(), b"\x1b[\x03")[2], Key::Abandoned);
    assert_eq!(feed(&mut Editor::new(), b"\x1b\r")[1], Key::Entered);
}

#[test]
fn controls_are_no_text() {
    assert_eq!(typed(b"a\0b\x01c\x07\x1a").line(), "abc");
    assert_eq!(typed("a\u{9b}31m\u{202e}b".as_bytes()).line(), "a31mb");
    assert_eq!(typed(b"a\tb").line(), "a\tb");
}

#[test]
fn what_is_not_utf_8_is_refused_and_what_follows_is_kept() {
    assert_eq!(feed(&mut Editor::new(), b"\xc3\xa9"), [Key::Nothing, Key::Added('é')]);
    assert_eq!(typed(b"a\xffb").line(), "ab");
    assert_eq!(typed(b"a\xc3b").line(), "ab");
    assert_eq!(typed(b"a\xe2\x82\xc3\xa9b").line(), "aéb");
    assert_eq!(typed(b"a\xed\xa0\x80b").line(), "ab", "a surrogate");
    assert_eq!(typed(b"a\xf0\x9f\x8e\rb").line(), "ab");
}

#[test]
fn a_line_has_its_limit_and_says_when_it_is_over() {
    let mut editor = typed(&[b'a'; LINE_MAX]);
    assert!(!editor.is_too_long());
    assert_eq!(editor.line().len(), LINE_MAX);
    assert_eq!(feed(&mut editor, b"bc"), [Key::Refused; 2]);
    assert!(editor.is_too_long());
    assert_eq!(feed(&mut editor, b"\x7f\x7f"), [Key::Nothing; 2]);
    assert!(!editor.is_too_long(), "what had no room was taken back");
    assert_eq!(editor.feed(0x7f), Key::Removed);
    assert_eq!(editor.line().len(), LINE_MAX - 1);
    // No room for two bytes is no room for the one after them either.
    assert_eq!(*feed(&mut editor, "éx".as_bytes()).last().unwrap(), Key::Refused);
    editor.clear();
    assert!(!editor.is_too_long());
}

proptest! {
    /// Whatever comes over the wire, the line is text without controls, and within its limit.
    #[test]
    fn the_line_is_always_text(bytes in prop::collection::vec(any::<u8>(), 0..900)) {
        let mut editor = Editor::new();
        for byte in bytes {
            editor.feed(byte);
            prop_assert!(str::from_utf8(&editor.bytes[..editor.len]).is_ok());
            prop_assert!(editor.line().chars().all(|c| c == '\t' || !is_control(c)));
        }
    }
}
