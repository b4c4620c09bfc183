//! What a person may have meant by a word that is no command and no flag.

/// Most suggestions for one word.
const MOST: usize = 3;

/// The names that `word` may have been meant as, best first: those that it begins or that begin it, or else the
/// nearest by spelling. Dashes in front do not count.
pub(super) fn meant<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let bare = |name: &str| name.trim_start_matches('-').to_ascii_lowercase();
    let word = bare(word);
    if word.is_empty() {
        return Vec::new();
    }
    let names: Vec<_> = names.map(|name| (name, bare(name))).collect();
    let begun = |name: &str| name.starts_with(&word) || (word.len() > 2 && word.starts_with(name));
    let begins = names.iter().filter(|(_, name)| begun(name)).map(|(name, _)| *name);
    let begins: Vec<_> = begins.take(MOST).collect();
    if !begins.is_empty() {
        return begins;
    }
    let distance = |name: &str| {
        let distance = strsim::osa_distance(&word, name);
        // One letter in three may be wrong; two letters side by side that changed places count once.
        (distance <= word.len().max(name.len()) / 3).then_some(distance)
    };
    // A slip in `send` is one in the first part of send-msg and of send-file. The whole name goes before.
    let first_part = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
    let rank = |name: &str| {
        let whole = distance(name).map(|distance| (distance, false));
        whole.or_else(|| distance(&first_part(name)).map(|distance| (distance, true)))
    };
    let ranked: Vec<_> = names.iter().filter_map(|(name, bare)| Some((rank(bare)?, *name))).collect();
    let best = ranked.iter().map(|(rank, _)| *rank).min();
    let near = ranked.iter().filter(|(rank, _)| Some(*rank) == best);
    near.map(|(_, name)| *name).take(MOST).collect()
}

/// The question, such as `did you mean send-msg or send-file?`; nothing without a suggestion.
pub(super) fn question(meant: &[&str]) -> Option<String> {
    let (last, others) = meant.split_last()?;
    Some(if others.is_empty() {
        format!("did you mean {last}?")
    } else {
        format!("did you mean {} or {last}?", others.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERBS: [&str; 4] = ["run", "send-msg", "send-file", "fetch"];
    const FLAGS: [&str; 6] = ["--ttl", "--room", "--room-file", "--tcp-port", "--out", "--wait"];

    #[test]
    fn a_slip_is_recognised() {
        for (word, name) in [
            ("sned-msg", "send-msg"),
            ("ftech", "fetch"),
            ("sendfile", "send-file"),
            ("RUN", "run"),
            ("fetchh", "fetch"),
        ] {
            assert_eq!(meant(word, VERBS.into_iter()), [name], "{word}");
        }
        for (word, name) in [
            ("--tll", "--ttl"),
            ("--rom", "--room"),
            ("--output", "--out"),
            ("-out", "--out"),
            ("--tcp", "--tcp-port"),
        ] {
            assert_eq!(meant(word, FLAGS.into_iter()), [name], "{word}");
        }
    }

    #[test]
    fn a_beginning_of_several_names_them_all() {
        for word in ["send", "sned"] {
            assert_eq!(meant(word, VERBS.into_iter()), ["send-msg", "send-file"], "{word}");
        }
        assert_eq!(meant("--roo", FLAGS.into_iter()), ["--room", "--room-file"]);
    }

    #[test]
    fn another_word_is_not_taken_for_a_name() {
        for word in ["receive", "list", "doctor", "hunter2", "", "--", "r\u{e9}"] {
            assert!(meant(word, VERBS.into_iter()).is_empty(), "{word}");
        }
    }

    #[test]
    fn a_question_joins_its_names() {
        assert_eq!(question(&[]), None);
        assert_eq!(question(&["a"]).as_deref(), Some("did you mean a?"));
        assert_eq!(question(&["a", "b", "c"]).as_deref(), Some("did you mean a, b or c?"));
    }
}
