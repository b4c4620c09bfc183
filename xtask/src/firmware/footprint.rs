//! Flash and RAM of an image, in all and by crate.

use std::collections::BTreeMap;

use object::elf::{SHF_ALLOC, SHF_WRITE};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind};

use crate::environment::repo::Failure;

/// The row for bytes without a symbol: strings, tables of constants, padding.
const CONSTANTS: &str = "(constants, strings, padding)";
/// The row for symbols without a crate: vectors, entry points and handlers.
const BARE: &str = "(vectors and entry points)";

/// Bytes in flash and in RAM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub(crate) flash: u64,
    pub(crate) ram: u64,
}

/// An image, measured.
#[derive(Debug)]
pub(crate) struct Footprint {
    /// All of it, without the stack.
    pub(crate) total: Bytes,
    /// The same by crate.
    pub(crate) crates: BTreeMap<String, Bytes>,
    /// The largest pieces by name.
    pub(crate) pieces: Vec<(String, Bytes)>,
}

impl Footprint {
    /// Measures an ELF image.
    pub(crate) fn of(image: &[u8]) -> Result<Self, Failure> {
        let file = object::File::parse(image).map_err(Failure::at("the image"))?;
        let mut total = Bytes::default();
        let mut places = BTreeMap::new();
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            if !sh_flags.contains(SHF_ALLOC) {
                continue;
            }
            let place = Place {
                flash: section.kind() != SectionKind::UninitializedData && section.file_range().is_some(),
                ram: sh_flags.contains(SHF_WRITE),
            };
            total.add(place.bytes(section.size()));
            places.insert(section.index().0, place);
        }
        let mut crates: BTreeMap<String, Bytes> = BTreeMap::new();
        let mut pieces = BTreeMap::new();
        let mut named = Bytes::default();
        for symbol in file.symbols().filter(|symbol| symbol.is_definition() && symbol.size() > 0) {
            let place = symbol.section_index().and_then(|index| places.get(&index.0));
            let (Some(place), Ok(name)) = (place, symbol.name()) else { continue };
            // Functions folded into one have several names and one address.
            if pieces.contains_key(&symbol.address()) {
                continue;
            }
            let bytes = place.bytes(symbol.size());
            let plain = format!("{:#}", rustc_demangle::demangle(name));
            named.add(bytes);
            crates.entry(crate_of(&plain).unwrap_or(BARE).to_owned()).or_default().add(bytes);
            pieces.insert(symbol.address(), (plain, bytes));
        }
        crates.insert(
            CONSTANTS.to_owned(),
            Bytes {
                flash: total.flash.saturating_sub(named.flash),
                ram: total.ram.saturating_sub(named.ram),
            },
        );
        let mut pieces: Vec<_> = pieces.into_values().collect();
        pieces.sort_by_key(|(_, bytes)| std::cmp::Reverse(bytes.flash.max(bytes.ram)));
        Ok(Self { total, crates, pieces })
    }

    /// The table of crates, largest first, in KiB.
    pub(crate) fn by_crate(&self) -> String {
        let mut rows: Vec<_> = self.crates.iter().filter(|(_, bytes)| bytes.flash + bytes.ram > 0).collect();
        rows.sort_by_key(|(_, bytes)| std::cmp::Reverse((bytes.flash, bytes.ram)));
        let mut text = format!("    {:>8} {:>8}  KiB, by crate\n", "flash", "RAM");
        for (name, bytes) in rows {
            text.push_str(&format!("    {:>8.1} {:>8.1}  {name}\n", kib(bytes.flash), kib(bytes.ram)));
        }
        text
    }

    /// The `n` largest pieces of each memory.
    pub(crate) fn largest(&self, n: usize) -> String {
        let mut text = String::new();
        for (what, of) in [("flash", (|bytes| bytes.flash) as fn(&Bytes) -> u64), ("RAM", |bytes| bytes.ram)]
        {
            let mut pieces: Vec<_> = self.pieces.iter().filter(|(_, bytes)| of(bytes) > 0).collect();
            pieces.sort_by_key(|(_, bytes)| std::cmp::Reverse(of(bytes)));
            text.push_str(&format!("    largest in {what}, bytes\n"));
            for (name, bytes) in pieces.into_iter().take(n) {
                text.push_str(&format!("    {:>8}  {name}\n", of(bytes)));
            }
        }
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes of flash are far below 2^52")]
fn kib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}

impl Bytes {
    fn add(&mut self, other: Self) {
        self.flash += other.flash;
        self.ram += other.ram;
    }
}

/// The memories of a section: initialised data is in both, because flash holds its initial values.
struct Place {
    flash: bool,
    ram: bool,
}

impl Place {
    fn bytes(&self, size: u64) -> Bytes {
        Bytes { flash: if self.flash { size } else { 0 }, ram: if self.ram { size } else { 0 } }
    }
}

/// The crate of a symbol: the first in its name, except that a generic function of the standard library counts
/// for the crate that it is instantiated for.
fn crate_of(plain: &str) -> Option<&str> {
    let mut standard = None;
    for (at, _) in plain.match_indices("::") {
        let before = plain.get(..at)?;
        let start = before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
        let name = before.get(start..)?;
        // Only the first part of a path is a crate.
        if name.is_empty() || before.get(..start)?.ends_with(':') {
            continue;
        }
        match name {
            "core" | "alloc" => standard = standard.or(Some(name)),
            _ => return Some(name),
        }
    }
    standard.or_else(|| is_builtin(plain).then_some("compiler_builtins"))
}

/// Whether this is a function that compilers call implicitly (`memcpy` and the like).
fn is_builtin(name: &str) -> bool {
    ["__aeabi_", "mem", "__udiv", "__mul", "__ashl", "__lshr", "bcmp"]
        .iter()
        .any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_counts_for_the_crate_it_is_from() {
        for (plain, expected) in [
            ("<deaddrop_core::drops::Drops<2> as core::fmt::Debug>::fmt", Some("deaddrop_core")),
            ("<&mut smoltcp::iface::Interface>::poll::<a::B>", Some("smoltcp")),
            ("core::ptr::drop_in_place::<embassy_net::Stack>", Some("embassy_net")),
            ("<u8 as core::fmt::Display>::fmt", Some("core")),
            ("sha2::sha512::compress", Some("sha2")),
            ("memcpy", Some("compiler_builtins")),
            ("__aeabi_uldivmod", Some("compiler_builtins")),
            ("UART0", None),
        ] {
            assert_eq!(crate_of(plain), expected, "{plain}");
        }
    }

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(Footprint::of(b"\x7fELF, or not").is_err());
    }

    #[test]
    fn initialised_data_counts_twice() {
        assert_eq!(Place { flash: true, ram: true }.bytes(7), Bytes { flash: 7, ram: 7 });
        assert_eq!(Place { flash: false, ram: true }.bytes(7), Bytes { flash: 0, ram: 7 });
    }
}
