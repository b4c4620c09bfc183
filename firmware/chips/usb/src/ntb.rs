//! NTBs, the transfers of CDC-NCM: frames and a table of them, in one block of bytes. 16-bit format, without checksums.
//!
//! NCM 1.0, section 3. What a host sends is not trusted: a block that is wrong in itself holds no more frames from there on,
//! and a frame that is too short or too long, or not within the block, is left out.

/// Bytes of an Ethernet frame, without its check sequence.
pub const MTU: usize = 1_514;
/// The least that is a frame.
const FRAME_MIN: usize = 14;
/// Bytes of the largest NTB that is taken. Hosts may send no less (NCM 1.0, 6.2.7).
pub(crate) const RECEIVED_MAX: usize = 2_048;
/// Bytes before the frame in an NTB that is sent.
const HEADERS: usize = 28;
/// Bytes of the largest NTB that is sent.
pub(crate) const SENT_MAX: usize = HEADERS + MTU;
/// Tables of one block that are followed.
const TABLES: u8 = 4;

/// The frames of a received NTB.
#[derive(Debug, Default)]
pub(crate) struct Frames<'a> {
    block: &'a [u8],
    /// Of the entries not looked at yet, in the table that is read.
    entries: &'a [u8],
    /// Where the next table is; 0 if there is none.
    table: usize,
    tables: u8,
}

impl<'a> Frames<'a> {
    pub(crate) fn of(ntb: &'a [u8]) -> Self {
        Self::headed(ntb).unwrap_or_default()
    }

    fn headed(ntb: &'a [u8]) -> Option<Self> {
        if ntb.first_chunk::<4>()? != b"NCMH" || word(ntb, 4)? != 12 {
            return None;
        }
        // 0: as long as the transfer.
        let block = match word(ntb, 8)? {
            0 => ntb,
            len => ntb.get(..len)?,
        };
        Some(Self { block, entries: &[], table: word(ntb, 10)?, tables: 0 })
    }

    /// Goes on to the next table, if there is one.
    fn open_table(&mut self) -> Option<()> {
        if self.table == 0 || self.tables == TABLES {
            return None;
        }
        self.tables += 1;
        let table = self.block.get(self.table..)?;
        let table = table.get(..word(table, 4)?)?;
        if table.first_chunk::<4>()? != b"NCM0" {
            return None;
        }
        (self.table, self.entries) = (word(table, 6)?, table.get(8..)?);
        Some(())
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let Some((entry, rest)) = self.entries.split_first_chunk::<4>() else {
                self.open_table()?;
                continue;
            };
            let (at, len) = (word(entry, 0)?, word(entry, 2)?);
            // An entry of zeros ends the table.
            self.entries = if at == 0 || len == 0 { &[] } else { rest };
            if (FRAME_MIN..=MTU).contains(&len)
                && let Some(frame) = self.block.get(at..at + len)
            {
                return Some(frame);
            }
        }
    }
}

/// Writes the NTB of one frame, and gives its length.
pub(crate) fn write(number: u16, frame: &[u8], to: &mut [u8; SENT_MAX]) -> usize {
    let len = frame.len().min(MTU);
    let [number, total, frame_len] = [number, field(HEADERS + len), field(len)].map(u16::to_le_bytes);
    let header = [*b"NCMH", [12, 0, number[0], number[1]], [total[0], total[1], 12, 0]];
    let table = [*b"NCM0", [16, 0, 0, 0], [28, 0, frame_len[0], frame_len[1]], [0; 4]];
    let bytes = header.as_flattened().iter().chain(table.as_flattened()).chain(frame);
    to.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
    HEADERS + len
}

/// Of a length, which is at most [`SENT_MAX`].
fn field(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

/// The little-endian number at `at`.
fn word(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.first_chunk().map(|word| usize::from(u16::from_le_bytes(*word)))
}

#[cfg(test)]
mod tests;
