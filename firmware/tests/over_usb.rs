//! The tests of two boards once more, each with a USB cable between its stack and the LAN, and a host that bridges the two:
//! `lan/mod.rs` goes by the name of this file.

#[path = "two_boards.rs"]
mod two_boards;
