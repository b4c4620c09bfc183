//! Whole processes on one host: what a script and a person at a terminal rely on.

#[path = "../support/mod.rs"]
mod support;

mod abandoned;
mod auto_fetch;
mod board_page;
mod broken;
mod bundle_resume;
mod bundles;
mod events;
mod exec;
mod exit_codes;
mod for_all;
mod limits;
mod memory;
mod names;
mod passphrase_prompt;
mod progress;
mod prompts;
mod races;
mod resume;
mod room_command;
mod rooms;
mod screen;
mod service;
mod signals;
mod sizes;
mod sources;
mod stalled_output;
mod standard_input;
mod standard_output;

#[test]
fn neighbour() {
    support::play(
        &[&support::actor::ROLES[..], &auto_fetch::ROLES, &memory::ROLES, &standard_input::ROLES].concat(),
    );
}
