//! What Windows takes a name for. Asked of no system, so that its tests run on all of them.

/// Whether a name means something else than a file of that name: a device, another stream of a file, a pattern, or the
/// name without its last dots and spaces.
pub(super) fn is_special(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_uppercase();
    let numbered = |stem: &str| {
        let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
        number.is_some_and(|number| {
            let mut number = number.chars();
            matches!((number.next(), number.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
        })
    };
    name.is_empty()
        || name.ends_with(['.', ' '])
        || name.contains(|c: char| c.is_ascii_control() || "<>:\"/\\|?*".contains(c))
        || matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || numbered(&stem)
}

/// Whether a path below a folder may lead out of it, or to another stream of a file: one of its names would be several, a
/// drive or the folder above.
pub(super) fn leads_out(path: &str) -> bool {
    path.contains(['\\', ':', '\0']) || path.split('/').any(|name| name == "..")
}

/// Whether the target of a link has names that mean something else here. To `..` and to names that a file can have, a link
/// leads as it does elsewhere; a backslash, a drive or a device would lead it anywhere, to another machine too.
pub(super) fn is_special_target(target: &str) -> bool {
    target.split('/').any(|name| name != ".." && is_special(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_another_meaning_are_told_apart() {
        for name in ["CON", "nul.txt", "com1", "LPT³.log", "a:b", "a.", "a ", "a?", "a\\b", "aux .c", "", "."]
        {
            assert!(is_special(name), "{name}");
        }
        for name in ["console", "com", "com10", "a.con", ".hidden", "ä b.c"] {
            assert!(!is_special(name), "{name}");
        }
    }

    #[test]
    fn a_path_stays_below_its_folder() {
        for path in ["..", "a/../b", "..\\a", "a\\b", "C:", "C:/a", "C:a", "\\\\there\\share", "a:stream"] {
            assert!(leads_out(path), "{path}");
        }
        for path in ["a", "a/b.c", "...", "a..b", ".a", "a "] {
            assert!(!leads_out(path), "{path}");
        }
    }

    #[test]
    fn a_link_leads_where_it_leads_elsewhere_or_nowhere() {
        // Each of these is made of names, and of no more `..` than its place allows, as far as other systems go.
        for target in
            ["..\\..\\up", "C:", "C:/Windows", "C:up", "\\\\there\\share", "\\Windows", "../a\\b", "../NUL"]
        {
            assert!(is_special_target(target), "{target}");
        }
        for target in ["a", "../a/b.c", "..", "../..", "a/.hidden"] {
            assert!(!is_special_target(target), "{target}");
        }
    }
}
