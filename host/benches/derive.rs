//! From a passphrase to the room secret: scrypt and its 32 MiB. It is most of what a small drop takes, and what one
//! guess costs a thief of a device.

use deaddrop_core::derive::{prepare, room_secret};
use divan::black_box;

const PASSPHRASE: &str = "correct horse battery staple";

fn main() {
    divan::main();
}

/// The check of the characters and their composition, which comes first and costs nothing beside the rest.
#[divan::bench]
fn preparation() -> bool {
    prepare(black_box(PASSPHRASE)).is_ok()
}

#[divan::bench(sample_count = 20)]
fn whole() -> bool {
    room_secret(black_box(PASSPHRASE)).is_ok()
}
