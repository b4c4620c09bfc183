//! The program for Windows under wine, and the program for Linux, on one host: each gives the other what it has.
//!
//! `cargo xtask windows` builds the program and runs these; an ordinary run has neither program nor wine.

#[path = "../support/mod.rs"]
mod support;

mod capture;
mod endings;
mod exchange;
mod names;
mod scene;
mod screen;
mod system;
mod windows;

#[test]
fn neighbour() {
    support::play(&[&support::actor::ROLES[..], &[("capture", support::capture)]].concat());
}
