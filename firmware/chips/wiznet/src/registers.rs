//! What the driver uses of the two chips' registers.
//!
//! Sources: W5500 data sheet 1.0.9, sections 2.2 (SPI frame), 3 (memory), 4 (registers); W6100 data sheet
//! 1.0.5, sections 3 and 4. Names are those of the data sheets, without their prefix `Sn_`: only socket 0
//! can carry raw frames.

/// Which part of the chip's memory an address is in: the upper five bits of the third byte of an SPI frame.
#[derive(Clone, Copy)]
pub(crate) struct Block(u8);

impl Block {
    const COMMON: Self = Self(0);
    /// Transmit buffer of socket 0.
    pub(crate) const TRANSMIT: Self = Self(2);
    /// Receive buffer of socket 0.
    pub(crate) const RECEIVE: Self = Self(3);

    /// Registers of a socket.
    const fn socket(number: u8) -> Self {
        Self(4 * number + 1)
    }
}

/// A place in the chip's memory.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    block: Block,
    offset: u16,
}

impl Address {
    pub(crate) const fn new(block: Block, offset: u16) -> Self {
        Self { block, offset }
    }

    const fn common(offset: u16) -> Self {
        Self::new(Block::COMMON, offset)
    }

    const fn socket(offset: u16) -> Self {
        Self::new(Block::socket(0), offset)
    }

    /// The same register of another socket.
    pub(crate) const fn of_socket(self, number: u8) -> Self {
        Self::new(Block::socket(number), self.offset)
    }

    /// The first three bytes of an SPI frame that reads from here: offset, block, and a data phase of any
    /// length.
    pub(crate) const fn reading(self) -> [u8; 3] {
        let [high, low] = self.offset.to_be_bytes();
        [high, low, self.block.0 << 3]
    }

    /// The same for one that writes.
    pub(crate) const fn writing(self) -> [u8; 3] {
        let [high, low, control] = self.reading();
        [high, low, control | 1 << 2]
    }
}

/// One of the chips that the driver knows: [`W5500`] or [`W6100`].
pub struct Chip {
    /// A register that no host can change, and what it holds.
    pub(crate) identity: (Address, u8),
    /// What must be written before the chip takes a hardware address.
    pub(crate) unlock: Option<(Address, u8)>,
    /// SHAR: the hardware address.
    pub(crate) hardware_address: Address,
    /// SIMR: which sockets may pull the interrupt line low.
    pub(crate) socket_interrupts: Address,
    /// Bit 0 of it is set while there is a link.
    pub(crate) phy: Address,
    pub(crate) mode: Address,
    pub(crate) mode_value: u8,
    pub(crate) command: Address,
    pub(crate) interrupt: Address,
    /// Writing a 1 here clears the bit in `interrupt`.
    pub(crate) interrupt_clear: Address,
    pub(crate) interrupt_mask: Address,
    pub(crate) status: Address,
    pub(crate) transmit_buffer_size: Address,
    pub(crate) transmit_free: Address,
    pub(crate) transmit_write: Address,
    pub(crate) receive_buffer_size: Address,
    pub(crate) received_size: Address,
    pub(crate) receive_read: Address,
}

/// Bits of the mode register in raw mode: take in only frames to the own hardware address or to all; no
/// multicast; no IPv6. Boards speak IPv4 and join no group, and every frame that is filtered here leaves
/// space for another.
const FILTERS: u8 = 1 << 7 | 1 << 5 | 1 << 4;

/// The W5500.
pub static W5500: Chip = Chip {
    // VERSIONR.
    identity: (Address::common(0x0039), 0x04),
    unlock: None,
    hardware_address: Address::common(0x0009),
    socket_interrupts: Address::common(0x0018),
    phy: Address::common(0x002E),
    mode: Address::socket(0x0000),
    mode_value: FILTERS | 0x04,
    command: Address::socket(0x0001),
    interrupt: Address::socket(0x0002),
    interrupt_clear: Address::socket(0x0002),
    interrupt_mask: Address::socket(0x002C),
    status: Address::socket(0x0003),
    transmit_buffer_size: Address::socket(0x001F),
    transmit_free: Address::socket(0x0020),
    transmit_write: Address::socket(0x0024),
    receive_buffer_size: Address::socket(0x001E),
    received_size: Address::socket(0x0026),
    receive_read: Address::socket(0x0028),
};

/// The W6100.
pub static W6100: Chip = Chip {
    // CIDR, upper byte.
    identity: (Address::common(0x0000), 0x61),
    // NETLCKR. The network registers are locked after a reset, and a locked register ignores what is written.
    unlock: Some((Address::common(0x41F5), 0x3A)),
    hardware_address: Address::common(0x4120),
    socket_interrupts: Address::common(0x2114),
    phy: Address::common(0x3000),
    mode: Address::socket(0x0000),
    mode_value: FILTERS | 0x07,
    command: Address::socket(0x0010),
    interrupt: Address::socket(0x0020),
    interrupt_clear: Address::socket(0x0028),
    interrupt_mask: Address::socket(0x0024),
    status: Address::socket(0x0030),
    transmit_buffer_size: Address::socket(0x0200),
    transmit_free: Address::socket(0x0204),
    transmit_write: Address::socket(0x020C),
    receive_buffer_size: Address::socket(0x0220),
    received_size: Address::socket(0x0224),
    receive_read: Address::socket(0x0228),
};
