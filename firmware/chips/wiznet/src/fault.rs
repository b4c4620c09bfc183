//! What can be wrong with a chip.

/// Why the driver cannot go on with the chip as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The SPI bus reported an error.
    Spi,
    /// The chip did not identify itself: none is there, its lines are open or shorted, or it is another chip.
    Unidentified,
    /// The chip did not take the hardware address.
    Locked,
    /// The chip did not accept a command, or did not finish one, in time.
    Stuck,
    /// The chip's socket is not open any more: the chip was reset, or does not answer.
    Reset,
    /// The length of a received frame cannot be: driver and chip disagree where frames begin.
    OutOfStep,
}
