//! What the command prints when it is asked for help or used wrongly, as files under `tests/cli`.
//!
//! After a change that is meant: `TRYCMD=overwrite cargo test -p deaddrop --test cli`, and read the diff.

#[test]
fn help_and_usage() {
    let cases = trycmd::TestCases::new();
    cases.insert_var("[VERSION]", env!("CARGO_PKG_VERSION")).expect("a variable's name");
    // Nothing can be below it: the user may have a default room.
    cases.env("XDG_CONFIG_HOME", "/dev/null");
    cases.case("tests/cli/*.trycmd");
    cases.case("tests/cli/*.toml");
}

/// Programs of other people read these; they are of the schema too.
#[test]
fn expected_events_are_events() {
    let mut events = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli")).expect("a folder") {
        let text = std::fs::read_to_string(entry.expect("a file").path()).expect("a file of text");
        for line in text.lines().filter(|line| line.starts_with('{')) {
            testbed::events::event(line);
            events += 1;
        }
    }
    assert!(events > 0, "no event is expected");
}
