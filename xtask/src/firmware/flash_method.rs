//! How an image is written to a board: over the USB drive of its boot ROM (UF2), or by OpenOCD or probe-rs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::environment::repo::Failure;

/// How a board is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlashMethod {
    /// A UF2 file on the drive that the board becomes when it is plugged in with BOOTSEL held.
    Uf2 {
        /// The UF2 family id.
        family: u32,
        /// The `Board-ID` in the drive's `INFO_UF2.TXT`.
        id: &'static str,
    },
    /// OpenOCD, with the debugger that is on the board.
    OpenOcd {
        /// OpenOCD's own script for the board.
        script: &'static str,
    },
    /// probe-rs, with the debugger that is on the board.
    ProbeRs {
        /// probe-rs's name of the chip.
        chip: &'static str,
    },
}

/// The files that OpenOCD or probe-rs writes, with their addresses.
pub(crate) struct Files {
    /// The ELF file of the image.
    pub(crate) image: PathBuf,
    /// Provisioning record and seed, if they are written too.
    pub(crate) secrets: Option<Secrets>,
}

/// Files of raw bytes, each with its address.
pub(crate) struct Secrets {
    /// The provisioning record.
    pub(crate) record: (PathBuf, u32),
    /// The record for the first seed slot.
    pub(crate) seed: (PathBuf, u32),
    /// The second seed slot, which is erased: address and bytes.
    pub(crate) erase: (u32, u32),
    /// A file of as many 0xFF bytes, because probe-rs cannot erase a part of flash.
    pub(crate) blank: PathBuf,
}

/// A program and its arguments.
pub(crate) type CommandLine = (&'static str, Vec<String>);

impl FlashMethod {
    /// The commands to run, in this order; none for a drive.
    pub(crate) fn commands(self, files: &Files) -> Vec<CommandLine> {
        match self {
            Self::Uf2 { .. } => Vec::new(),
            Self::OpenOcd { script } => vec![("openocd", openocd(script, files))],
            Self::ProbeRs { chip } => probe_rs(chip, files),
        }
    }
}

fn openocd(script: &str, files: &Files) -> Vec<String> {
    // Braces quote a path with spaces in Tcl.
    let quoted = |path: &Path| format!("{{{}}}", path.display());
    let image = quoted(&files.image);
    let mut commands = vec!["init".to_owned(), "reset init".to_owned()];
    commands.push(format!("flash write_image erase {image}"));
    commands.push(format!("verify_image {image}"));
    if let Some(secrets) = &files.secrets {
        for (path, address) in [&secrets.record, &secrets.seed] {
            let path = quoted(path);
            commands.push(format!("flash write_image erase {path} {address:#010x} bin"));
            commands.push(format!("verify_image {path} {address:#010x} bin"));
        }
        let (address, length) = secrets.erase;
        commands.push(format!("flash erase_address {address:#010x} {length:#x}"));
    }
    commands.extend(["reset run".to_owned(), "shutdown".to_owned()]);
    let mut words = vec!["-f".to_owned(), script.to_owned()];
    words.extend(commands.into_iter().flat_map(|command| ["-c".to_owned(), command]));
    words
}

fn probe_rs(chip: &str, files: &Files) -> Vec<CommandLine> {
    let download = |path: &Path, address: Option<u32>| {
        let mut words: Vec<_> = ["download", "--chip", chip, "--verify"].map(str::to_owned).into();
        if let Some(address) = address {
            let address = format!("{address:#010x}");
            words.extend(["--binary-format", "bin", "--base-address", &address].map(str::to_owned));
        }
        words.push(path.display().to_string());
        ("probe-rs", words)
    };
    let mut commands = vec![download(&files.image, None)];
    if let Some(secrets) = &files.secrets {
        for (path, address) in [&secrets.record, &secrets.seed] {
            commands.push(download(path, Some(*address)));
        }
        // probe-rs cannot erase a part of flash, but it erases the sectors that it writes.
        commands.push(download(&secrets.blank, Some(secrets.erase.0)));
    }
    commands.push(("probe-rs", ["reset", "--chip", chip].map(str::to_owned).into()));
    commands
}

/// How to install a program.
pub(crate) fn how_to_get(program: &str) -> &'static str {
    match program {
        "openocd" => "sudo apt-get install openocd",
        _ => "cargo install --locked probe-rs-tools",
    }
}

/// The drive of a board in its boot ROM, among these mount points.
pub(crate) fn find_drive(id: &str, mounts: &[PathBuf]) -> Result<PathBuf, Failure> {
    let drives: Vec<_> = mounts
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| is_drive(id, path))
        .collect();
    match drives.as_slice() {
        [drive] => Ok(drive.clone()),
        [] => Err(Failure(format!(
            "no drive of an {id} is mounted: hold BOOTSEL while plugging the board in, and mount the drive; or give \
             where it is with --drive, or have a file written with --uf2"
        ))),
        _ => Err(Failure(format!("{} drives of an {id} are mounted: choose one with --drive", drives.len()))),
    }
}

/// Whether this folder is the drive of such a board.
pub(crate) fn is_drive(id: &str, folder: &Path) -> bool {
    fs::read_to_string(folder.join("INFO_UF2.TXT")).is_ok_and(|text| {
        text.lines().any(|line| line.trim().strip_prefix("Board-ID:").is_some_and(|is| is.trim() == id))
    })
}

/// The folders in which desktops mount this user's drives.
pub(crate) fn mounts() -> Vec<PathBuf> {
    let user = std::env::var_os("USER").unwrap_or_default();
    ["/media", "/run/media"]
        .iter()
        .flat_map(|folder| [PathBuf::from(folder), Path::new(folder).join(&user)])
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        let secrets = Secrets {
            record: ("/record.bin".into(), 0x081A_0000),
            seed: ("/seed.bin".into(), 0x081C_0000),
            erase: (0x081E_0000, 0x2_0000),
            blank: "/blank.bin".into(),
        };
        Files { image: "/a b/image".into(), secrets: Some(secrets) }
    }

    #[test]
    fn without_secrets_only_the_image_is_written() {
        let files = || Files { secrets: None, ..files() };
        let [(_, openocd)] = &FlashMethod::OpenOcd { script: "x" }.commands(&files())[..] else {
            panic!("one run")
        };
        let words = openocd.join(" ");
        assert!(!words.contains(".bin") && !words.contains("erase_address"), "{words}");
        assert_eq!(FlashMethod::ProbeRs { chip: "x" }.commands(&files()).len(), 2);
    }

    #[test]
    fn openocd_writes_and_verifies_all_and_erases_the_second_slot() {
        let commands = FlashMethod::OpenOcd { script: "board/x.cfg" }.commands(&files());
        let [(program, words)] = &commands[..] else { panic!("one run") };
        assert_eq!(*program, "openocd");
        assert_eq!(
            words.join("\n").replace("-c\n", ""),
            "-f\nboard/x.cfg\ninit\nreset init\n\
             flash write_image erase {/a b/image}\nverify_image {/a b/image}\n\
             flash write_image erase {/record.bin} 0x081a0000 bin\nverify_image {/record.bin} 0x081a0000 bin\n\
             flash write_image erase {/seed.bin} 0x081c0000 bin\nverify_image {/seed.bin} 0x081c0000 bin\n\
             flash erase_address 0x081e0000 0x20000\nreset run\nshutdown"
        );
    }

    #[test]
    fn probe_rs_writes_and_verifies_all_and_blanks_the_second_slot() {
        let commands = FlashMethod::ProbeRs { chip: "CHIP" }.commands(&files());
        let lines: Vec<_> =
            commands.iter().map(|(program, words)| format!("{program} {}", words.join(" "))).collect();
        let bin = "--chip CHIP --verify --binary-format bin --base-address";
        assert_eq!(
            lines,
            [
                "probe-rs download --chip CHIP --verify /a b/image".to_owned(),
                format!("probe-rs download {bin} 0x081a0000 /record.bin"),
                format!("probe-rs download {bin} 0x081c0000 /seed.bin"),
                format!("probe-rs download {bin} 0x081e0000 /blank.bin"),
                "probe-rs reset --chip CHIP".to_owned(),
            ]
        );
    }

    #[test]
    fn a_drive_is_known_by_what_it_says_of_itself() {
        let root = std::env::temp_dir().join(format!("deaddrop-drive-{}", std::process::id()));
        let (one, two, other) = (root.join("one"), root.join("two"), root.join("other"));
        for folder in [&one, &two, &other] {
            fs::create_dir_all(folder).unwrap();
        }
        let info = "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n";
        fs::write(one.join("INFO_UF2.TXT"), info).unwrap();
        fs::write(other.join("INFO_UF2.TXT"), info.replace("RPI-RP2", "RP2350")).unwrap();
        let mounts = [root.join("none"), root.clone()];
        assert_eq!(find_drive("RPI-RP2", &mounts).unwrap(), one);
        assert_eq!(find_drive("RP2350", &mounts).unwrap(), other);
        assert!(find_drive("RPI-RP", &mounts).unwrap_err().0.contains("BOOTSEL"));
        fs::write(two.join("INFO_UF2.TXT"), info).unwrap();
        assert!(find_drive("RPI-RP2", &mounts).unwrap_err().0.contains("2 drives"));
        fs::remove_dir_all(&root).unwrap();
    }
}
