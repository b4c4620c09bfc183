//! The tests of two boards once more, each with a W5500 between its stack and its cable: `lan/chip.rs` goes
//! by the name of this file.

#[path = "two_boards.rs"]
mod two_boards;
