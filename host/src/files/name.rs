//! A peer's name for a drop, made into a file name that does no harm.
//!
//! What comes out is one component of a path, not hidden, with nothing in it that a terminal, a shell
//! glob or another system takes for something else. Ordinary names in any script stay as they are.

use deaddrop_core::limits::NAME_MAX;
use deaddrop_core::offer::numbered;
use deaddrop_core::text::{is_control, is_invisible};

/// The name of a drop whose own says nothing.
const NAMELESS: &str = "drop";

/// Makes a file name from a peer's words.
///
/// - Slashes, backslashes, colons, controls, directional marks and what nobody sees become `_`. A joiner stays between
///   two characters beyond ASCII, where scripts and emoji need it.
/// - A leading dot or dash becomes `_`: nothing hidden is planted, and no file is taken for an option.
/// - Spaces and dots at the end, which some systems drop by themselves, are dropped.
/// - Names that Windows reserves get a `_` in front.
/// - It has at most 255 bytes; a cut keeps the extension.
pub(crate) fn safe(name: &str) -> String {
    let mut safe = visible(name.trim_start());
    if safe.starts_with(['.', '-']) {
        safe.replace_range(..1, "_");
    }
    if is_reserved(&safe) {
        safe.insert(0, '_');
    }
    // A cut may leave a joiner at its edge.
    let safe = visible(trim_end(numbered(trim_end(&safe), 0, &mut [0; NAME_MAX])));
    // A name of nothing but what was replaced says nothing.
    if safe.chars().all(|c| c == '_' || c == '.' || c.is_whitespace()) { NAMELESS.into() } else { safe }
}

/// Replaces what has a meaning in a path or on a terminal, and what nobody sees.
fn visible(name: &str) -> String {
    let joined = |c: Option<char>| {
        c.is_some_and(|c| !c.is_ascii() && !c.is_whitespace() && !is_control(c) && !is_unseen(c))
    };
    let mut visible = String::with_capacity(name.len());
    let mut chars = name.chars().peekable();
    let mut before = None;
    while let Some(c) = chars.next() {
        let kept = if matches!(c, '\u{200c}' | '\u{200d}') {
            joined(before) && joined(chars.peek().copied())
        } else {
            !(matches!(c, '/' | '\\' | ':') || is_control(c) || is_unseen(c))
        };
        visible.push(if kept { c } else { '_' });
        before = Some(c);
    }
    visible
}

/// Whether nobody sees this character: U+2800 is a Braille pattern without dots.
fn is_unseen(c: char) -> bool {
    is_invisible(c) || c == '\u{2800}'
}

fn trim_end(name: &str) -> &str {
    name.trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

/// Whether Windows takes the name for a device, whatever its extension.
fn is_reserved(name: &str) -> bool {
    let stem = trim_end(name.split('.').next().unwrap_or(name)).to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    number.is_some_and(|number| {
        let mut digits = number.chars();
        matches!(digits.next(), Some('0'..='9' | '¹' | '²' | '³')) && digits.next().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in [
            "photo.jpg",
            "report (final).tar.gz",
            "报告 2026.pdf",
            "отчёт.txt",
            "naïve café",
            "a..b",
            "x.y-z_",
            "emoji 🎉.png",
            "با\u{200c}هم.txt",
            "👩\u{200d}🔬.png",
            "~notes",
            "#1 & co's \"file\"?",
            "comet.txt",
            "com10",
            "c",
        ] {
            assert_eq!(safe(name), name);
        }
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        assert_eq!(safe("../../etc/passwd"), "_._.._etc_passwd");
        assert_eq!(safe("/etc/passwd"), "_etc_passwd");
        assert_eq!(safe(r"..\..\boot.ini"), r"_._.._boot.ini");
        assert_eq!(safe(r"C:\boot.ini"), "C__boot.ini");
        for nothing in [
            "",
            ".",
            "..",
            "...",
            "/",
            "//",
            " ",
            " . ",
            "\u{0}",
            "\u{202e}",
            "\u{feff}",
            "\u{200b}",
            "\u{3164}\u{2800}",
        ] {
            assert_eq!(safe(nothing), "drop", "{nothing:?}");
        }
    }

    #[test]
    fn nothing_hidden_is_planted_and_nothing_reads_as_an_option() {
        assert_eq!(safe(".bashrc"), "_bashrc");
        assert_eq!(safe(" .ssh"), "_ssh");
        assert_eq!(safe(".ssh/authorized_keys"), "_ssh_authorized_keys");
        assert_eq!(safe("-rf"), "_rf");
        assert_eq!(safe(".deaddrop-0123456789abcdef.part"), "_deaddrop-0123456789abcdef.part");
    }

    #[test]
    fn no_name_reads_as_another() {
        assert_eq!(safe("photo\u{202e}gpj.exe"), "photo_gpj.exe");
        assert_eq!(safe("a\x1b[2Jb\nc\u{9b}d\u{7f}"), "a_[2Jb_c_d_");
        assert_eq!(safe("a\u{2066}b\u{200f}c\u{2028}d"), "a_b_c_d");
        assert_eq!(safe("file.exe. . "), "file.exe");
    }

    #[test]
    fn what_nobody_sees_becomes_visible() {
        for c in
            ['\u{200b}', '\u{2060}', '\u{ad}', '\u{3164}', '\u{2800}', '\u{e0041}', '\u{180e}', '\u{feff}']
        {
            assert_eq!(safe(&format!("pay{c}roll.txt")), "pay_roll.txt", "{c:?}");
            assert_eq!(safe(&format!("报{c}告.pdf")), "报_告.pdf", "{c:?}");
        }
        // Joiners where they join nothing.
        for c in ['\u{200c}', '\u{200d}'] {
            assert_eq!(safe(&format!("pay{c}roll.txt{c}")), "pay_roll.txt_", "{c:?}");
            assert_eq!(safe(&format!("报{c}{c}告.pdf")), "报__告.pdf", "{c:?}");
        }
    }

    #[test]
    fn names_that_another_system_reserves_are_changed() {
        for name in ["CON", "con", "nul.txt", "Aux.tar.gz", "COM1", "lpt9.log", "com¹", "CON .txt", "CONIN$"]
        {
            assert_eq!(safe(name), format!("_{name}"));
        }
    }

    #[test]
    fn long_names_are_cut_between_characters_and_keep_their_extension() {
        let name = format!("{}.jpg", "é".repeat(200));
        assert_eq!(safe(&name), format!("{}.jpg", "é".repeat(125)));
        let name = format!("{}.{}", "a".repeat(10), "b".repeat(300));
        assert_eq!(safe(&name).len(), 255);
        assert_eq!(safe(&format!("{}  x", "a".repeat(254))).len(), 254, "no space is left at the end");
        let reserved = format!("con.{}", "x".repeat(251));
        assert_eq!(safe(&reserved).len(), 255);
    }

    proptest! {
        #[test]
        fn any_name_comes_out_safe(name in "\\PC{0,80}|[./\\\\ :\u{0}-\u{20}\u{200b}-\u{2069}a-c-]{0,300}|.{0,300}") {
            let safe = safe(&name);
            prop_assert!((1..=255).contains(&safe.len()));
            prop_assert!(!safe.starts_with(['.', '-', ' ']) && !safe.ends_with(['.', ' ']));
            let bad = ['/', '\\', ':', '\0', '\u{1b}', '\u{202e}'];
            prop_assert!(!safe.contains(bad));
            prop_assert_eq!(super::safe(&safe), safe);
        }
    }
}
