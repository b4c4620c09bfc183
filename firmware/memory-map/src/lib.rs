//! The layout of a board's memory, read from its `memory.x`.
//!
//! Beside the linker's `FLASH` and `RAM`, a board's `memory.x` names three regions of flash without code: `RECORD`, for
//! the provisioning record, and the seed slots `SEED_A` and `SEED_B`. Of RAM it names two that hold no static data:
//! `STACK`, which is the lowest, so that a stack that grows beyond it runs into addresses without memory and faults, and
//! `RETAINED`, which no start initialises. A board with a radio has a fourth region of flash without code, `RADIO`, for the
//! radio's own firmware. The board's build script calls [`link`], which generates constants for the regions of flash and
//! tells the linker of the others; xtask reads the same file to know where to write what.
//!
//! This crate runs on the build machine, never on a board.

mod script;

use std::path::Path;
use std::{env, fs, io};

pub use script::{MapError, Region};

/// The regions of a board without code or static data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryMap {
    /// The region of the provisioning record.
    pub record: Region,
    /// The two seed slots, one erase block each. Provisioning writes the first.
    pub seeds: [Region; 2],
    /// The region of the radio's firmware, of a board that has a radio.
    pub radio: Option<Region>,
    /// The stack, below all other RAM.
    pub stack: Region,
    /// RAM that outlives a reset.
    pub retained: Region,
}

impl MemoryMap {
    /// Reads a `memory.x`.
    pub fn parse(script: &str) -> Result<Self, MapError> {
        let regions = script::regions(script)?;
        let find = |name: &str| {
            let found = regions.iter().find(|region| region.name == name);
            found.map(|region| region.region).ok_or_else(|| MapError::Missing(name.to_owned()))
        };
        let map = Self {
            record: find("RECORD")?,
            seeds: [find("SEED_A")?, find("SEED_B")?],
            radio: find("RADIO").ok(),
            stack: find("STACK")?,
            retained: find("RETAINED")?,
        };
        for above in [find("RAM")?, map.retained] {
            if above.origin < map.stack.origin {
                return Err(MapError::StackNotLowest);
            }
        }
        for (at, one) in regions.iter().enumerate() {
            if let Some(two) = regions.iter().skip(at + 1).find(|two| one.region.overlaps(two.region)) {
                return Err(MapError::Overlap(one.name.clone(), two.name.clone()));
            }
        }
        Ok(map)
    }

    /// What the linker needs to know beside the regions: symbols of cortex-m-rt and of `deaddrop-cortex-m`.
    const SYMBOLS: &str = "\n\
        _stack_start = ORIGIN(STACK) + LENGTH(STACK);\n\
        _stack_end = ORIGIN(STACK);\n\
        _retained = ORIGIN(RETAINED);\n\
        ASSERT(LENGTH(RETAINED) >= 256, \"RETAINED is too small\");\n";

    /// The ends of the radio's region, symbols of `deaddrop-cyw43`.
    const RADIO_SYMBOLS: &str = "\
        _radio = ORIGIN(RADIO);\n\
        _radio_end = ORIGIN(RADIO) + LENGTH(RADIO);\n";

    /// The linker script: that of the board, and symbols.
    fn script(&self, text: &str) -> String {
        let radio = self.radio.map_or("", |_| Self::RADIO_SYMBOLS);
        [text, Self::SYMBOLS, radio].concat()
    }

    /// Rust constants for the board's program.
    fn constants(&self) -> String {
        let [a, b] = self.seeds;
        format!(
            "/// Address of the provisioning record.\n\
             pub(crate) const RECORD: u32 = {:#x};\n\
             /// Addresses of the two seed slots.\n\
             pub(crate) const SEEDS: [u32; 2] = [{:#x}, {:#x}];\n\
             /// Bytes of each.\n\
             pub(crate) const SEED_LEN: u32 = {:#x};\n",
            self.record.origin, a.origin, b.origin, a.length
        )
    }
}

/// Call this from a board's build script. Passes `memory.x` and the further linker `scripts` to the linker, and writes
/// the module `memory_map.rs` to `OUT_DIR`.
pub fn link(scripts: &[&str]) -> io::Result<()> {
    let variable =
        |name: &str| env::var_os(name).ok_or_else(|| io::Error::other(format!("{name} is not set")));
    let script = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("memory.x");
    let text = fs::read_to_string(&script)?;
    let map = MemoryMap::parse(&text).map_err(io::Error::other)?;
    let out = variable("OUT_DIR")?;
    fs::write(Path::new(&out).join("memory.x"), map.script(&text))?;
    fs::write(Path::new(&out).join("memory_map.rs"), map.constants())?;
    println!("cargo::rustc-link-search={}", out.to_string_lossy());
    println!("cargo::rerun-if-changed=memory.x");
    // No page alignment: otherwise segments would begin below the start of flash.
    println!("cargo::rustc-link-arg-bins=--nmagic");
    for script in scripts {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "
        /* A board. */
        MEMORY {
            FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 1664K
            RECORD     : ORIGIN = 0x081A0000, LENGTH = 128K /* never written */
            SEED_A     : ORIGIN = 0x081C0000, LENGTH = 128K
            SEED_B : ORIGIN = 0x081E0000 , LENGTH=0x20000
            STACK      : ORIGIN = 0x20000000, LENGTH = 16K
            RETAINED   : ORIGIN = 0x20004000, LENGTH = 256
            RAM (rwx)  : ORIGIN = 0x20004100, LENGTH = 131072
        }";

    #[test]
    fn the_regions_are_found() {
        let map = MemoryMap::parse(SCRIPT).unwrap();
        assert_eq!(map.record, Region { origin: 0x081A_0000, length: 0x2_0000 });
        assert_eq!(map.seeds.map(|region| region.origin), [0x081C_0000, 0x081E_0000]);
        assert_eq!(map.seeds.map(|region| region.length), [0x2_0000; 2]);
        assert_eq!(map.stack, Region { origin: 0x2000_0000, length: 0x4000 });
        assert_eq!(map.retained, Region { origin: 0x2000_4000, length: 256 });
    }

    #[test]
    fn a_stack_above_other_ram_is_refused() {
        let moved = SCRIPT.replace("ORIGIN = 0x20000000", "ORIGIN = 0x20030000");
        let error = MemoryMap::parse(&moved).unwrap_err();
        assert_eq!(error, MapError::StackNotLowest);
        assert!(error.to_string().contains("STACK"));
    }

    #[test]
    fn a_region_that_is_missing_is_named() {
        let error = MemoryMap::parse(&SCRIPT.replace("SEED_B", "SEED_C")).unwrap_err();
        assert_eq!(error.to_string(), "memory.x has no region SEED_B");
    }

    #[test]
    fn regions_over_each_other_are_named() {
        let error = MemoryMap::parse(&SCRIPT.replace("1664K", "1665K")).unwrap_err();
        assert_eq!(error.to_string(), "the regions FLASH and RECORD of memory.x overlap");
        let error = MemoryMap::parse(&SCRIPT.replace("0x081C0000", "0x081D0000")).unwrap_err();
        assert_eq!(error.to_string(), "the regions SEED_A and SEED_B of memory.x overlap");
    }

    #[test]
    fn constants_are_as_the_regions() {
        let constants = MemoryMap::parse(SCRIPT).unwrap().constants();
        assert!(constants.contains("RECORD: u32 = 0x81a0000;"), "{constants}");
        assert!(constants.contains("SEEDS: [u32; 2] = [0x81c0000, 0x81e0000];"), "{constants}");
        assert!(constants.contains("SEED_LEN: u32 = 0x20000;"), "{constants}");
        assert!(!MemoryMap::parse(SCRIPT).unwrap().script(SCRIPT).contains("_radio"));
    }

    #[test]
    fn a_board_with_a_radio_has_a_region_for_its_firmware() {
        assert_eq!(MemoryMap::parse(SCRIPT).unwrap().radio, None);
        let region = "RADIO : ORIGIN = 0x08200000, LENGTH = 256K\n SEED_B :";
        let map = MemoryMap::parse(&SCRIPT.replace("SEED_B :", region)).unwrap();
        assert_eq!(map.radio, Some(Region { origin: 0x0820_0000, length: 0x4_0000 }));
        assert!(map.script("").contains("_radio_end = ORIGIN(RADIO) + LENGTH(RADIO);"));
        let region = region.replace("0x08200000", "0x081D0000");
        let error = MemoryMap::parse(&SCRIPT.replace("SEED_B :", &region)).unwrap_err();
        assert!(error.to_string().contains("SEED_A and RADIO"), "{error}");
    }
}
