//! The table of boards. To add a board, add a row.

use super::flash_method::FlashMethod;
use super::uf2;
use crate::environment::toolchain::Target;

/// A board that there is an image for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Board {
    /// Its name, and that of its folder below `firmware/boards/`.
    pub(crate) name: &'static str,
    /// The target of its image.
    pub(crate) target: Target,
    /// The package of its image, and the name of that image.
    pub(crate) package: &'static str,
    /// How its image is written to it.
    pub(crate) flash_method: FlashMethod,
}

/// The board that QEMU emulates.
pub(crate) const EMULATED: Board = Board {
    name: "lm3s6965evb",
    target: Target::Thumbv7m,
    package: "deaddrop-lm3s6965evb",
    flash_method: FlashMethod::OpenOcd { script: "board/ek-lm3s6965.cfg" },
};

/// The example of a product on that board.
pub(crate) const FETCH_ONCE: Board = Board { package: "deaddrop-fetch-once", ..EMULATED };

/// The image that measures the cryptography, on the core of that board.
pub(crate) const BENCH: Board = Board { package: "deaddrop-bench", ..EMULATED };

/// All boards.
pub(crate) const BOARDS: &[Board] = &[
    EMULATED,
    Board {
        name: "w5500-evb-pico",
        target: Target::Thumbv6m,
        package: "deaddrop-w5500-evb-pico",
        flash_method: FlashMethod::Uf2 { family: uf2::RP2040, id: "RPI-RP2" },
    },
    Board {
        name: "w6100-evb-pico2",
        target: Target::Thumbv8mMainHf,
        package: "deaddrop-w6100-evb-pico2",
        flash_method: FlashMethod::Uf2 { family: uf2::RP2350_ARM_S, id: "RP2350" },
    },
    Board {
        name: "pico-w",
        target: Target::Thumbv6m,
        package: "deaddrop-pico-w",
        flash_method: FlashMethod::Uf2 { family: uf2::RP2040, id: "RPI-RP2" },
    },
    Board {
        name: "pico2-w",
        target: Target::Thumbv8mMainHf,
        package: "deaddrop-pico2-w",
        flash_method: FlashMethod::Uf2 { family: uf2::RP2350_ARM_S, id: "RP2350" },
    },
    Board {
        name: "pico",
        target: Target::Thumbv6m,
        package: "deaddrop-pico",
        flash_method: FlashMethod::Uf2 { family: uf2::RP2040, id: "RPI-RP2" },
    },
    Board {
        name: "pico2",
        target: Target::Thumbv8mMainHf,
        package: "deaddrop-pico2",
        flash_method: FlashMethod::Uf2 { family: uf2::RP2350_ARM_S, id: "RP2350" },
    },
    // OpenOCD 0.12 does not support the chip.
    Board {
        name: "nucleo-h563zi",
        target: Target::Thumbv8mMainHf,
        package: "deaddrop-nucleo-h563zi",
        flash_method: FlashMethod::ProbeRs { chip: "STM32H563ZITx" },
    },
    Board {
        name: "nucleo-h743zi",
        target: Target::Thumbv7emHf,
        package: "deaddrop-nucleo-h743zi",
        flash_method: FlashMethod::OpenOcd { script: "board/st_nucleo_h743zi.cfg" },
    },
];

/// The board of this name, or a message that lists the names. For argh.
pub(crate) fn named(name: &str) -> Result<Board, String> {
    BOARDS.iter().copied().find(|board| board.name == name).ok_or_else(|| {
        let known: Vec<_> = BOARDS.iter().map(|board| board.name).collect();
        format!("no board {name:?}; there are: {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::repo::Repo;

    #[test]
    fn a_board_is_found_by_its_name_alone() {
        assert_eq!(named("lm3s6965evb").unwrap().package, "deaddrop-lm3s6965evb");
        for bad in ["", "lm3s", "LM3S6965EVB"] {
            assert!(named(bad).unwrap_err().contains("there are: lm3s6965evb"), "{bad}");
        }
    }

    #[test]
    fn every_board_has_a_folder_and_a_name_of_its_own() {
        for (at, board) in BOARDS.iter().enumerate() {
            let manifest = Repo::here().root.join("firmware/boards").join(board.name).join("Cargo.toml");
            let manifest = std::fs::read_to_string(&manifest).expect("the manifest of a board");
            assert!(manifest.contains(&format!("name = \"{}\"", board.package)), "{}", board.name);
            assert!(BOARDS.iter().skip(at + 1).all(|other| other.name != board.name));
        }
    }
}
