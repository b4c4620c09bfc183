//! What the bytes mean: parse and emit, nothing else.

pub mod beacon;
