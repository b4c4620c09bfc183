//! The radio's own firmware, from a folder that the user names. It is its maker's and not in this repository.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use deaddrop_memory_map::Region;
use deaddrop_provisioning::RadioFiles;

use super::image::Piece;
use crate::environment::repo::Failure;

const FIRMWARE: &str = "43439A0.bin";
const NVRAM: &str = "nvram_rp2040.bin";
const CLM: &str = "43439A0_clm.bin";
/// How the licence's name begins, and what stands in it.
const LICENCE: (&str, &str) = ("license", "Permissive Binary License");
/// Longer ones do not fit the chip's RAM.
const FILE_MAX: u64 = 512 * 1024;

/// The files of a radio, as they are written to flash.
pub(crate) struct Radio {
    /// The region's content.
    pub(crate) piece: Piece,
    /// The text of their licence, which goes with every copy.
    pub(crate) licence: PathBuf,
}

/// Reads the files in `folder` for the region of a board's radio.
pub(crate) fn read(folder: &Path, region: Region) -> Result<Radio, Failure> {
    let licence = licence(folder)?;
    let [firmware, nvram, clm] = [FIRMWARE, NVRAM, CLM].map(|name| file(folder, name));
    let (firmware, nvram, clm) = (firmware?, nvram?, clm?);
    let files = RadioFiles { firmware: &firmware, nvram: &nvram, clm: &clm };
    let mut bytes = vec![0; files.len()];
    if bytes.len() as u64 > u64::from(region.length) || files.emit(&mut bytes).is_none() {
        return Err(Failure(format!(
            "the files in {} take {} bytes, and the board has {} for them: none may be empty, and they must be those of \
             a CYW43439",
            folder.display(),
            bytes.len(),
            region.length
        )));
    }
    Ok(Radio { piece: Piece::new("radio", region.origin, bytes), licence })
}

fn file(folder: &Path, name: &str) -> Result<Vec<u8>, Failure> {
    let path = folder.join(name);
    let shown = path.display();
    let length = fs::metadata(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure(format!(
            "{shown} is not there: firmware/docs/boards.md says where the radio's firmware is from"
        )),
        _ => Failure::at(shown.to_string())(error),
    })?;
    if length.len() > FILE_MAX {
        return Err(Failure(format!("{shown} has {} bytes, more than the radio has RAM", length.len())));
    }
    fs::read(&path).map_err(Failure::at(shown))
}

/// The licence of the files, which must lie beside them.
fn licence(folder: &Path) -> Result<PathBuf, Failure> {
    let entries = fs::read_dir(folder).map_err(|error| {
        Failure(format!(
            "--radio {}: {error}: give the folder that holds the radio's firmware; firmware/docs/boards.md says where that is from",
            folder.display()
        ))
    })?;
    let mut files = entries.flatten().map(|entry| entry.path());
    let found = files.find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let text = || fs::read(path).is_ok_and(|text| String::from_utf8_lossy(&text).contains(LICENCE.1));
        name.starts_with(LICENCE.0) && text()
    });
    found.ok_or_else(|| {
        Failure(format!(
            "{} holds no licence of the radio's firmware: put the text of the Infineon Permissive Binary License 1.0 there, \
             as it came with the files (LICENSE-permissive-binary-license-1.0.txt); it goes with every copy of them",
            folder.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::repo::Repo;
    use crate::firmware::board::BOARDS;
    use crate::firmware::flash_method::FlashMethod;
    use crate::firmware::provision;

    const REGION: Region = Region { origin: 0x101B_D000, length: 256 };

    /// A folder with files of these bytes, which are not the radio's.
    fn folder(name: &str, files: &[(&str, &[u8])]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("deaddrop-radio-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in files {
            fs::write(folder.join(name), bytes).unwrap();
        }
        folder
    }

    const TEXT: &[u8] = b"Permissive Binary License\nVersion 1.0";
    const FILES: [(&str, &[u8]); 4] = [
        ("LICENSE-permissive-binary-license-1.0.txt", TEXT),
        (FIRMWARE, &[1; 50]),
        (NVRAM, b"a=b\0\0"),
        (CLM, &[3; 7]),
    ];

    fn failure(name: &str, files: &[(&str, &[u8])]) -> String {
        let folder = folder(name, files);
        let failure = read(&folder, REGION).err().map(|failure| failure.0);
        fs::remove_dir_all(&folder).unwrap();
        failure.unwrap()
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_with_what_to_give() {
        let why = read(Path::new("/no/such/folder"), REGION).err().unwrap().0;
        assert!(
            why.starts_with("--radio /no/such/folder: ") && why.contains("boards.md says where"),
            "{why}"
        );
    }

    #[test]
    fn the_files_are_written_as_the_board_reads_them() {
        let folder = folder("whole", &FILES);
        let radio = read(&folder, REGION).unwrap();
        assert_eq!((radio.piece.name, radio.piece.address), ("radio", REGION.origin));
        let files = RadioFiles::parse(&radio.piece.bytes).unwrap();
        assert_eq!([files.firmware, files.nvram, files.clm], [FILES[1].1, FILES[2].1, FILES[3].1]);
        assert_eq!(radio.licence, folder.join(FILES[0].0));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn without_the_licence_beside_them_they_are_not_written() {
        assert!(failure("bare", &FILES[1..]).contains("holds no licence"));
        let other = [&[("LICENSE", &b"MIT"[..])], &FILES[1..]].concat();
        assert!(failure("other", &other).contains("Infineon Permissive Binary License 1.0"));
    }

    #[test]
    fn a_file_that_is_missing_empty_or_too_large_is_named() {
        for missing in 1..4 {
            let mut files = FILES.to_vec();
            let (name, _) = files.remove(missing);
            let failure = failure("missing", &files);
            assert!(failure.contains(name) && failure.contains("boards.md"), "{failure}");
        }
        let mut files = FILES;
        files[1].1 = &[];
        assert!(failure("empty", &files).contains("none may be empty"));
        files[1].1 = &[1; 300];
        assert!(failure("large", &files).contains("the board has 256 for them"));
    }

    #[test]
    fn every_board_with_a_radio_has_room_for_its_firmware_and_a_way_to_write_it() {
        let map = |board| provision::memory_map(&Repo::here(), board).unwrap();
        let radios: Vec<_> = BOARDS.iter().filter_map(|board| Some((*board, map(*board).radio?))).collect();
        assert_eq!(radios.iter().map(|(board, _)| board.name).collect::<Vec<_>>(), ["pico-w", "pico2-w"]);
        for (board, region) in radios {
            // Version 7.95 of the firmware has 231,077 bytes.
            assert!(region.length >= 240_000, "{}", board.name);
            assert!(matches!(board.flash_method, FlashMethod::Uf2 { .. }), "{}", board.name);
        }
    }
}
