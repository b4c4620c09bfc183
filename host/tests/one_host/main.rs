//! Whole processes on one host: what a script and a person at a terminal rely on.

#[path = "../support/mod.rs"]
mod support;

mod exit_codes;
mod races;

#[test]
#[ignore = "a part that other tests play"]
fn actor() {
    support::actor::play();
}
