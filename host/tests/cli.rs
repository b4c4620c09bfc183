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
