//! Parses the `MEMORY` block of a linker script. Origins and lengths must be numbers, with an optional suffix K or M.

use std::fmt;

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its first address.
    pub origin: u32,
    /// Its bytes.
    pub length: u32,
}

/// A region and its name.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) region: Region,
}

/// Why a `memory.x` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MapError {
    /// There is no such region.
    Missing(String),
    /// This line is no region, or exceeds the 32-bit address space.
    Line(String),
    /// These two regions overlap.
    Overlap(String, String),
    /// The stack is not below all other RAM, so that one that grows too deep would overwrite data.
    StackNotLowest,
}

impl Region {
    /// The address after its last: at most 2^32.
    pub fn end(self) -> u64 {
        u64::from(self.origin) + u64::from(self.length)
    }

    /// Whether the two share an address.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        u64::from(self.origin) < other.end() && u64::from(other.origin) < self.end()
    }
}

/// The regions of the `MEMORY` block, in their order.
pub(crate) fn regions(script: &str) -> Result<Vec<Named>, MapError> {
    let bare = without_comments(script);
    let (_, rest) = bare.split_once("MEMORY").ok_or_else(|| MapError::Missing("MEMORY".to_owned()))?;
    let (_, rest) = rest.split_once('{').ok_or_else(|| MapError::Missing("MEMORY".to_owned()))?;
    let (inside, _) = rest.split_once('}').ok_or_else(|| MapError::Missing("MEMORY".to_owned()))?;
    inside
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| region(line).ok_or_else(|| MapError::Line(line.to_owned())))
        .collect()
}

fn without_comments(script: &str) -> String {
    let mut bare = String::new();
    let mut rest = script;
    while let Some((before, comment)) = rest.split_once("/*") {
        bare.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    bare + rest
}

/// `NAME (attributes) : ORIGIN = number, LENGTH = number`, the attributes optional.
fn region(line: &str) -> Option<Named> {
    let (name, place) = line.split_once(':')?;
    let name = name.split_once('(').map_or(name, |(name, _)| name).trim().to_owned();
    let (origin, length) = place.split_once(',')?;
    let value =
        |text: &str, key: &str| number(text.trim().strip_prefix(key)?.trim_start().strip_prefix('=')?.trim());
    let region = Region { origin: value(origin, "ORIGIN")?, length: value(length, "LENGTH")? };
    (region.end() <= 1 << 32 && !name.is_empty()).then_some(Named { name, region })
}

fn number(text: &str) -> Option<u32> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (text.strip_suffix('K')?, 1024),
        b'M' => (text.strip_suffix('M')?, 1024 * 1024),
        _ => (text, 1),
    };
    let number = match digits.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => digits.parse::<u32>().ok()?,
    };
    number.checked_mul(unit)
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "memory.x has no region {name}"),
            Self::Line(line) => write!(f, "memory.x has a region that cannot be read: {line}"),
            Self::StackNotLowest => f.write_str(
                "the region STACK of memory.x is above RAM or RETAINED: a stack that overflows must fault",
            ),
            Self::Overlap(one, two) => write!(f, "the regions {one} and {two} of memory.x overlap"),
        }
    }
}

impl std::error::Error for MapError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        assert_eq!(number("0x1F"), Some(0x1F));
        assert_eq!(number("64K"), Some(65_536));
        assert_eq!(number("2M"), Some(2_097_152));
        for bad in ["", "K", "0x", "-1", "4G", "4294967296", "4096M", "1 K"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_line_that_is_no_region_is_shown() {
        let error = regions("MEMORY { \n RAM : ORIGIN = ORIGIN(FLASH), LENGTH = 1K\n }").unwrap_err();
        assert_eq!(error, MapError::Line("RAM : ORIGIN = ORIGIN(FLASH), LENGTH = 1K".to_owned()));
        assert!(regions("SECTIONS { }").is_err());
        assert!(regions("MEMORY {").is_err());
    }

    #[test]
    fn neighbours_do_not_overlap() {
        let one = Region { origin: 0, length: 10 };
        assert!(!one.overlaps(Region { origin: 10, length: 10 }));
        assert!(one.overlaps(Region { origin: 9, length: 10 }));
        let last = Region { origin: 0xFFFF_FFF0, length: 0x10 };
        assert_eq!(last.end(), 1 << 32);
        assert!(!one.overlaps(last));
    }
}
