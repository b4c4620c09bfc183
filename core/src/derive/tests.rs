extern crate std;
use std::string::{String, ToString};

use super::*;

fn prepared(text: &str) -> Result<String, PassphraseError> {
    prepare(text).map(|prepared| prepared.to_string())
}

/// RFC 8265, section 4.2.3: strings that comply, and their prepared form.
#[test]
fn rfc_8265_legal_examples() {
    for (given, expected) in [
        ("correct horse battery staple", "correct horse battery staple"),
        ("Correct Horse Battery Staple", "Correct Horse Battery Staple"),
        ("\u{3c0}\u{df}\u{e5}", "\u{3c0}\u{df}\u{e5}"),
        ("Jack of \u{2666}s", "Jack of \u{2666}s"),
        ("foo\u{1680}bar", "foo bar"),
    ] {
        assert_eq!(prepared(given).as_deref(), Ok(expected));
    }
}

/// RFC 8265, section 4.2.3: strings that do not comply.
#[test]
fn rfc_8265_illegal_examples() {
    assert_eq!(prepared(""), Err(PassphraseError::Empty));
    assert_eq!(prepared("my cat is a \tby"), Err(PassphraseError::Character { position: 13 }));
}

#[test]
fn the_same_text_composed_or_not_is_the_same_passphrase() {
    assert_eq!(prepared("cafe\u{301}").as_deref(), Ok("caf\u{e9}"));
    assert_eq!(prepared("\u{212b}ngstr\u{f6}m").as_deref(), Ok("\u{c5}ngstr\u{f6}m"));
    // Case and compatibility forms are kept: they are entropy.
    assert_eq!(prepared("\u{fb01}Fi").as_deref(), Ok("\u{fb01}Fi"));
}

#[test]
fn every_space_separator_becomes_a_space_and_nothing_else_does() {
    for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
        // White_Space is Zs, the line and paragraph separators, and six control characters.
        let zs = c.is_whitespace() && !c.is_control() && c != '\u{2028}' && c != '\u{2029}';
        assert_eq!(is_space(c), zs, "{c:?}");
        if zs {
            assert_eq!(prepared(&std::format!("a{c}b")).as_deref(), Ok("a b"));
        }
    }
}

/// Every Unicode scalar value, alone and between two letters: no panic, and preparation is idempotent.
#[test]
fn every_character_is_prepared_once_or_refused() {
    let mut refused = 0;
    for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
        for text in [String::from(c), std::format!("l{c}l")] {
            match prepared(&text) {
                // The Greek ano teleia composes to the middle dot, which then lacks its context. The RFC
                // checks before it maps, so the passphrase is legal; only preparing it twice would fail.
                Ok(once) if c == '\u{387}' => assert!(once.contains('\u{b7}')),
                Ok(once) => assert_eq!(prepared(&once).as_deref(), Ok(once.as_str()), "{c:?}"),
                Err(PassphraseError::Character { position }) => {
                    refused += 1;
                    assert_eq!(text.chars().nth(position - 1), Some(c));
                }
                Err(other) => panic!("{c:?}: {other}"),
            }
        }
        assert!(!c.is_control() || prepare(&String::from(c)).is_err());
    }
    assert!(refused > 0);
}

/// Characters not assigned in Unicode 6.3 are rejected, because their normal form was not fixed then.
#[test]
fn unassigned_characters_are_refused() {
    for c in ['\u{378}', '\u{fffe}', '\u{10ffff}', '\u{e000}', '\u{1f980}'] {
        assert_eq!(prepared(&String::from(c)), Err(PassphraseError::Character { position: 1 }), "{c:?}");
    }
    assert_eq!(prepared("\u{1f600}").as_deref(), Ok("\u{1f600}"));
}

/// RFC 5892 appendix A: some characters are legal only beside others.
#[test]
fn characters_bound_to_a_context_need_it() {
    assert_eq!(prepared("col\u{b7}lecci\u{f3}").as_deref(), Ok("col\u{b7}lecci\u{f3}"));
    assert_eq!(prepared("a\u{b7}b"), Err(PassphraseError::Character { position: 2 }));
    assert_eq!(prepared("\u{b7}"), Err(PassphraseError::Character { position: 1 }));
    assert_eq!(prepared("\u{94d}\u{200d}").as_deref(), Ok("\u{94d}\u{200d}"));
    assert_eq!(prepared("pass\u{200d}word"), Err(PassphraseError::Character { position: 5 }));
    assert_eq!(prepared("\u{200d}"), Err(PassphraseError::Character { position: 1 }));
    // Digits of two scripts may not mix.
    assert_eq!(prepared("\u{661}\u{662}").as_deref(), Ok("\u{661}\u{662}"));
    assert_eq!(prepared("\u{661}\u{6f2}"), Err(PassphraseError::Character { position: 1 }));
}

#[test]
fn length_is_bounded_before_and_after() {
    let longest = "a".repeat(PASSPHRASE_MAX);
    assert_eq!(prepared(&longest).as_deref(), Ok(longest.as_str()));
    assert_eq!(prepared(&(longest + "a")), Err(PassphraseError::TooLong));
    // U+0958 is excluded from composition: three bytes become six.
    assert_eq!(prepared(&"\u{958}".repeat(PASSPHRASE_MAX / 6)).unwrap().len(), PASSPHRASE_MAX / 6 * 6);
    assert_eq!(prepared(&"\u{958}".repeat(PASSPHRASE_MAX / 6 + 1)), Err(PassphraseError::TooLong));
    // A text that shrinks is also checked before.
    assert_eq!(prepared(&"\u{3000}".repeat(PASSPHRASE_MAX / 3)).unwrap().len(), PASSPHRASE_MAX / 3);
    assert_eq!(prepared(&"\u{3000}".repeat(PASSPHRASE_MAX / 3 + 1)), Err(PassphraseError::TooLong));
}

#[test]
fn one_line_end_is_dropped() {
    for (given, expected) in [
        ("a\n", "a"),
        ("a\r\n", "a"),
        ("a\n\n", "a\n"),
        ("a\r\n\r\n", "a\r\n"),
        ("a\r", "a\r"),
        ("a", "a"),
        ("\n", ""),
        ("", ""),
        ("\na ", "\na "),
    ] {
        assert_eq!(strip_line_end(given), expected);
    }
}

#[test]
fn errors_do_not_reveal_the_character() {
    let error = prepare("secret\u{7}").unwrap_err();
    let text = std::format!("{error} {error:?}");
    assert!(text.contains('7') && !text.contains('\u{7}') && !text.contains("u{"), "{text}");
}

/// Computed with Python's hashlib.scrypt.
#[test]
fn the_room_secret_is_the_known_one() {
    const EXPECTED: [u8; 32] = [
        0x15, 0xec, 0x05, 0x9f, 0xf8, 0x40, 0x42, 0xf0, 0xa4, 0xaf, 0xf9, 0xd5, 0x8a, 0xc8, 0xd9, 0xb7, 0x73,
        0x24, 0x98, 0xd9, 0x4d, 0x82, 0x60, 0x73, 0xcb, 0x0d, 0x05, 0xe7, 0x0b, 0x2c, 0x65, 0xf2,
    ];
    assert_eq!(room_secret("correct horse battery staple").unwrap().expose(), &EXPECTED);
    // Preparation comes first: an ideographic space becomes a space.
    assert_eq!(room_secret("correct\u{3000}horse battery staple").unwrap().expose(), &EXPECTED);
    assert_eq!(room_secret("").unwrap_err(), PassphraseError::Empty);
}
