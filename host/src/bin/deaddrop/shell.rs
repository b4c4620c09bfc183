//! Words of a command that is printed to be copied.

/// A word as a POSIX shell takes it for one, whatever is in it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_takes_it_for_one_word() {
        for word in [
            "",
            "plain",
            "/a/b-c_d.e",
            "two words",
            "it's",
            "$(id)",
            "a;b",
            "B\u{fc}ro 2",
            "~",
            "*",
            "\"",
            "\\",
        ] {
            let script = format!("printf %s {}", quoted(word));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
        assert_eq!(quoted("/home/me/room.txt"), "/home/me/room.txt", "no quotes without need");
    }
}
