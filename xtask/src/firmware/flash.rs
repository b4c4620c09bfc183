//! `firmware flash`: writes image, provisioning record and seed to a board.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use argh::FromArgs;
use deaddrop_memory_map::{MemoryMap, Region};
use deaddrop_provisioning::wifi::WifiRecordError;
use deaddrop_provisioning::{PAGE_MAX, ProvisioningRecord, SEED_RECORD_LEN, Seed, SeedRecord, page};
use testbed::secret_file;
use zeroize::Zeroizing;

use super::board::{self, Board};
use super::flash_method::{self, CommandLine, Files, FlashMethod};
use super::image::{self, Piece};
use super::radio::{self, Radio};
use super::{build, config, provision, uf2};
use crate::environment::random;
use crate::environment::repo::{Failure, Repo, shown_run, succeeds};

/// Build the image of a board and write it to the board; with a provisioning record that `firmware config` made, write
/// that and a new seed as well. Without one, those of the board stay as they are, and so does the firmware of its radio
/// without --radio.
#[derive(FromArgs)]
#[argh(subcommand, name = "flash")]
pub(crate) struct Flash {
    /// the board; see firmware/docs/boards.md
    #[argh(option, from_str_fn(board::named), arg_name = "name")]
    board: Board,
    /// the provisioning record that `firmware config` made
    #[argh(option, arg_name = "path")]
    record: Option<PathBuf>,
    /// the folder with the firmware of the board's radio and its licence; see firmware/docs/boards.md
    #[argh(option, arg_name = "folder")]
    radio: Option<PathBuf>,
    /// the mount point of an RP board's drive, if it is not found
    #[argh(option, arg_name = "folder")]
    drive: Option<PathBuf>,
    /// write a UF2 file instead, for an RP board on another machine
    #[argh(option, arg_name = "path")]
    uf2: Option<PathBuf>,
    /// print what would be written, and write nothing
    #[argh(switch)]
    dry_run: bool,
}

/// Builds, and writes or prints what would be written.
pub(crate) fn run(repo: &Repo, flash: &Flash) -> Result<(), Failure> {
    let map = provision::memory_map(repo, flash.board)?;
    let record = flash
        .record
        .as_ref()
        .map(|path| secret_file::read("the provisioning record", path, PAGE_MAX))
        .transpose()?;
    let radio = flash.radio.as_ref().map(|folder| {
        let region =
            map.radio.ok_or_else(|| Failure(format!("{} has no radio: leave out --radio", flash.board.name)));
        radio::read(folder, region?)
    });
    let radio = radio.transpose()?;
    let image = build::image(repo, flash.board)?;
    let elf = fs::read(&image).map_err(Failure::at(image.display()))?;
    let job = Job::new(flash.board, map, &elf, record.as_deref().map(Vec::as_slice), radio)?;
    print!("{job}");
    match flash.board.flash_method {
        FlashMethod::Uf2 { family, id } => drive(flash, &job, family, id),
        FlashMethod::OpenOcd { .. } | FlashMethod::ProbeRs { .. }
            if flash.drive.is_some() || flash.uf2.is_some() =>
        {
            Err(Failure(format!("--drive and --uf2 are for RP boards, and {} is none", flash.board.name)))
        }
        method => probe(repo, flash, &job, method, image),
    }
}

/// Everything that is written to a board, with addresses.
struct Job {
    board: &'static str,
    image: Vec<Piece>,
    /// The firmware of its radio.
    radio: Option<Radio>,
    /// Whether it has one.
    has_radio: bool,
    secrets: Option<Secrets>,
}

/// The provisioning record and the seed, which make the board a member of a room.
struct Secrets {
    record: Piece,
    seed: Piece,
    /// The second seed slot, which is erased.
    second: Region,
}

impl Job {
    /// Draws a new seed if there is a provisioning record. Fails if that is invalid, or the image overlaps it or a seed.
    fn new(
        board: Board,
        map: MemoryMap,
        elf: &[u8],
        record: Option<&[u8]>,
        radio: Option<Radio>,
    ) -> Result<Self, Failure> {
        let image = image::pieces(elf)?;
        let [first, second] = map.seeds;
        for piece in &image {
            for region in [map.record, first, second].into_iter().chain(map.radio) {
                if u64::from(piece.address) < region.end() && u64::from(region.origin) < piece.end() {
                    return Err(Failure(format!(
                        "the image reaches into {:#010x}, where the provisioning record, a seed or the radio's firmware is: it is \
                         too large",
                        region.origin
                    )));
                }
            }
        }
        let secrets = record.map(|record| Secrets::new(board, map, record)).transpose()?;
        Ok(Self { board: board.name, image, radio, has_radio: map.radio.is_some(), secrets })
    }

    /// The pieces of a UF2 file, which erases the second slot by writing 0xFF.
    fn pieces(&self) -> Vec<Piece> {
        let secrets = self.secrets.iter().flat_map(|secrets| {
            let Region { origin, length } = secrets.second;
            [secrets.record.clone(), secrets.seed.clone(), Piece::new("blank", origin, blank(length))]
        });
        let radio = self.radio.iter().map(|radio| radio.piece.clone());
        self.image.iter().cloned().chain(radio).chain(secrets).collect()
    }
}

impl Secrets {
    fn new(board: Board, map: MemoryMap, record: &[u8]) -> Result<Self, Failure> {
        ProvisioningRecord::parse(record).map_err(Failure::at("--record"))?;
        match page::wifi(record) {
            Ok(_) => config::check_wifi(board, map.radio.is_some(), true)?,
            Err(WifiRecordError::Absent) => config::check_wifi(board, map.radio.is_some(), false)?,
            Err(error) => return Err(Failure::at("--record")(error)),
        }
        // New each time and in no file, so that no seed can be written to two boards.
        let mut drawn = Ok(());
        let seed = Seed::fill_with(|to| drawn = random::fill(to));
        drawn?;
        let mut seed_record = Zeroizing::new([0; SEED_RECORD_LEN]);
        SeedRecord { number: 0, seed }.emit(&mut seed_record);
        let [first, second] = map.seeds;
        Ok(Self {
            record: Piece::new("record", map.record.origin, record.to_vec()),
            seed: Piece::new("seed", first.origin, seed_record.to_vec()),
            second,
        })
    }
}

/// Erased flash reads as 0xFF.
fn blank(length: u32) -> Vec<u8> {
    vec![0xFF; length as usize]
}

/// A line for each piece, without its content.
impl std::fmt::Display for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}:", self.board)?;
        let line = |f: &mut std::fmt::Formatter<'_>, Piece { name, address, bytes }: &Piece| {
            writeln!(f, "    {name:<6} {address:#010x} {:>8} bytes", bytes.len())
        };
        self.image.iter().try_for_each(|piece| line(f, piece))?;
        match &self.radio {
            Some(Radio { piece, licence }) => {
                line(f, piece)?;
                let licence = licence.display();
                writeln!(
                    f,
                    "    the radio's firmware is not part of deaddrop: the text of {licence} goes with every copy"
                )?;
            }
            None if self.has_radio => writeln!(f, "    the radio's firmware stays as it is")?,
            None => {}
        }
        let Some(Secrets { record, seed, second }) = &self.secrets else {
            return writeln!(f, "    provisioning record and seed stay as they are");
        };
        line(f, record)?;
        line(f, seed)?;
        writeln!(f, "    erased {:#010x} {:>8} bytes", second.origin, second.length)
    }
}

/// Copies a UF2 file to the board's drive, or writes it to a file.
fn drive(flash: &Flash, job: &Job, family: u32, id: &str) -> Result<(), Failure> {
    let file = Zeroizing::new(uf2::emit(family, &job.pieces())?);
    let what = format!("{} blocks of UF2, family {family:#010x}", file.len() / 512);
    let target = match (&flash.uf2, &flash.drive) {
        (Some(_), Some(_)) => return Err(Failure::new("--uf2 and --drive are two places: give one")),
        (Some(path), None) => Some(path.clone()),
        (None, Some(folder)) if flash_method::is_drive(id, folder) => Some(folder.join("deaddrop.uf2")),
        (None, Some(folder)) => {
            return Err(Failure(format!("{} is not the drive of an {id}", folder.display())));
        }
        (None, None) => match flash_method::find_drive(id, &flash_method::mounts()) {
            Ok(folder) => Some(folder.join("deaddrop.uf2")),
            Err(_) if flash.dry_run => None,
            Err(failure) => return Err(failure),
        },
    };
    let shown =
        target.as_ref().map_or_else(|| format!("the drive of an {id}"), |path| path.display().to_string());
    let Some(target) = target.filter(|_| !flash.dry_run) else {
        println!("would write {what}, to {shown}");
        return Ok(());
    };
    match flash.uf2 {
        Some(_) => secret_file::write_new(&target, &file)?,
        // The boot ROM's drive has no file modes, and a file on it is gone when the board restarts.
        None => fs::write(&target, &*file).map_err(Failure::at(target.display()))?,
    }
    println!("wrote {what}, to {shown}");
    Ok(())
}

/// Writes with a debug probe.
fn probe(repo: &Repo, flash: &Flash, job: &Job, method: FlashMethod, image: PathBuf) -> Result<(), Failure> {
    let folder = repo.cache("firmware").join("flash");
    let file = |piece: &Piece| folder.join(format!("{}.bin", piece.name));
    let files = Files {
        image,
        secrets: job.secrets.as_ref().map(|secrets| flash_method::Secrets {
            record: (file(&secrets.record), secrets.record.address),
            seed: (file(&secrets.seed), secrets.seed.address),
            erase: (secrets.second.origin, secrets.second.length),
            blank: folder.join("blank.bin"),
        }),
    };
    let commands = method.commands(&files);
    if flash.dry_run {
        print!("{}", would_run(&commands));
        return Ok(());
    }
    for (program, _) in &commands {
        if !succeeds(repo.program(program).arg("--version")) {
            return Err(Failure(format!(
                "{program} is not there: get it with: {}",
                flash_method::how_to_get(program)
            )));
        }
    }
    let folder = Folder::new(folder)?;
    if let Some(Secrets { record, seed, second }) = &job.secrets {
        folder.write(record)?;
        folder.write(seed)?;
        folder.write(&Piece::new("blank", second.origin, blank(second.length)))?;
    }
    for (program, words) in &commands {
        shown_run(repo.program(program).args(words))?;
    }
    Ok(())
}

/// The command lines.
fn would_run(commands: &[CommandLine]) -> String {
    let mut text = String::new();
    for (program, words) in commands {
        let quoted: Vec<_> = words
            .iter()
            .map(|word| {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=".contains(c);
                if word.chars().all(plain) { word.clone() } else { format!("'{word}'") }
            })
            .collect();
        let _ = writeln!(text, "would run: {program} {}", quoted.join(" "));
    }
    text
}

/// A folder of secrets at a path that `--dry-run` can show. Removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(path: PathBuf) -> Result<Self, Failure> {
        let _ = fs::remove_dir_all(&path);
        fs::DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&path)
            .map_err(Failure::at(path.display()))?;
        Ok(Self(path))
    }

    fn write(&self, piece: &Piece) -> Result<(), Failure> {
        secret_file::write_new(&self.0.join(format!("{}.bin", piece.name)), &piece.bytes)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use deaddrop_core::crypto::keys::Prs;
    use deaddrop_provisioning::{Address, RECORD_LEN, Ssid, WifiSettings};
    use std::os::unix::fs::PermissionsExt;

    fn record() -> [u8; RECORD_LEN] {
        let mut record = [0; RECORD_LEN];
        ProvisioningRecord { prs: Prs::new([0x11; 32]), address: Address::Dhcp, mode: Default::default() }
            .emit(&mut record);
        record
    }

    fn map() -> MemoryMap {
        MemoryMap::parse(
            "MEMORY {
                FLASH  : ORIGIN = 0x10000000, LENGTH = 2036K
                RECORD : ORIGIN = 0x101FD000, LENGTH = 4K
                SEED_A : ORIGIN = 0x101FE000, LENGTH = 4K
                SEED_B : ORIGIN = 0x101FF000, LENGTH = 4K
                STACK : ORIGIN = 0x20000000, LENGTH = 32K
                RETAINED : ORIGIN = 0x20008000, LENGTH = 256
                RAM : ORIGIN = 0x20008100, LENGTH = 128K
            }",
        )
        .unwrap()
    }

    fn board() -> Board {
        board::named("w5500-evb-pico").unwrap()
    }

    fn job(elf: &[u8]) -> Result<Job, Failure> {
        Job::new(board(), map(), elf, Some(&record()), None)
    }

    #[test]
    fn record_and_seed_go_to_their_places_and_the_second_slot_is_erased() {
        let job = job(&image::tests::elf(&[(1, 0x1000_0000, b"code")])).unwrap();
        let pieces = job.pieces();
        let places: Vec<_> =
            pieces.iter().map(|piece| (piece.name, piece.address, piece.bytes.len())).collect();
        let expected = [
            ("image", 0x1000_0000, 4),
            ("record", 0x101F_D000, 80),
            ("seed", 0x101F_E000, 64),
            ("blank", 0x101F_F000, 4096),
        ];
        assert_eq!(places, expected);
        assert_eq!(pieces[1].bytes, record());
        assert_eq!(SeedRecord::parse(&pieces[2].bytes).unwrap().number, 0);
        assert!(pieces[3].bytes.iter().all(|byte| *byte == 0xFF));
    }

    #[test]
    fn no_seed_is_written_twice() {
        let elf = image::tests::elf(&[(1, 0x1000_0000, b"code")]);
        let seed = || SeedRecord::parse(&job(&elf).unwrap().secrets.unwrap().seed.bytes).unwrap().seed;
        assert!(seed() != seed());
    }

    #[test]
    fn without_a_record_only_the_image_is_written() {
        let elf = image::tests::elf(&[(1, 0x1000_0000, b"code")]);
        let job = Job::new(board(), map(), &elf, None, None).unwrap();
        assert_eq!(job.pieces(), [Piece::new("image", 0x1000_0000, b"code".to_vec())]);
        assert!(job.to_string().ends_with("provisioning record and seed stay as they are\n"));
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let text = job(&image::tests::elf(&[(1, 0x1000_0000, b"code")])).unwrap().to_string();
        let expected = "w5500-evb-pico:\n    image  0x10000000        4 bytes\n    record 0x101fd000       80 bytes\n    \
                        seed   0x101fe000       64 bytes\n    erased 0x101ff000     4096 bytes\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_image_that_reaches_into_the_record_or_a_seed_is_refused() {
        let large = vec![0; 0x1_0000];
        for (address, bytes) in [
            (0x101F_CFFD, &b"code"[..]),
            (0x101F_D000, b"code"),
            (0x101F_E000, b"code"),
            (0x101F_FFFF, b"code"),
            (0x101F_0000, &large),
        ] {
            let failure = job(&image::tests::elf(&[(1, address, bytes)])).err().map(|failure| failure.0);
            assert!(failure.is_some_and(|text| text.contains("too large")), "{address:#x}");
        }
        assert!(job(&image::tests::elf(&[(1, 0x101F_CFFC, b"code")])).is_ok());
    }

    #[test]
    fn the_firmware_of_a_radio_has_its_place_and_the_image_stays_out_of_it() {
        let region = Region { origin: 0x101B_D000, length: 0x4_0000 };
        let map = MemoryMap { radio: Some(region), ..map() };
        let (board, elf) = (board::named("pico-w").unwrap(), image::tests::elf(&[(1, 0x1000_0000, b"code")]));
        let radio =
            Radio { piece: Piece::new("radio", region.origin, vec![7; 100]), licence: "LICENSE".into() };
        let job = Job::new(board, map, &elf, None, Some(radio)).unwrap();
        let names: Vec<_> = job.pieces().iter().map(|piece| piece.name).collect();
        assert_eq!(names, ["image", "radio"]);
        let shown = job.to_string();
        assert!(shown.contains("radio  0x101bd000      100 bytes"), "{shown}");
        assert!(shown.contains("the text of LICENSE goes with every copy"), "{shown}");
        let without = Job::new(board, map, &elf, None, None).unwrap().to_string();
        assert!(without.contains("the radio's firmware stays as it is"), "{without}");
        let elf = image::tests::elf(&[(1, region.origin, b"code")]);
        assert!(Job::new(board, map, &elf, None, None).err().unwrap().0.contains("too large"));
    }

    #[test]
    fn a_record_goes_to_the_kind_of_board_that_it_was_made_for() {
        let elf = image::tests::elf(&[(1, 0x1000_0000, b"code")]);
        let wifi = WifiSettings::from_settings(Some(Ssid::new("home").unwrap()), None, true, None).unwrap();
        let record = ProvisioningRecord::parse(&record()).unwrap();
        let mut both = [0; PAGE_MAX];
        page::emit(&record, wifi.as_ref(), &mut both);
        let radio = MemoryMap { radio: Some(Region { origin: 0x101B_D000, length: 0x4_0000 }), ..map() };
        let failure =
            |map, page: &[u8]| Job::new(board(), map, &elf, Some(page), None).err().map(|failure| failure.0);
        assert_eq!(failure(radio, &both), None);
        assert!(failure(map(), &both).unwrap().contains("has no radio"));
        assert!(failure(radio, &both[..RECORD_LEN]).unwrap().contains("no network but Wi-Fi"));
        both[PAGE_MAX - 1] ^= 1;
        for map in [map(), radio] {
            assert!(failure(map, &both).unwrap().contains("the Wi-Fi record is corrupt"));
        }
    }

    #[test]
    fn a_file_that_is_no_record_is_refused() {
        let elf = image::tests::elf(&[(1, 0x1000_0000, b"code")]);
        for (file, wrong) in
            [(&[0xFF; RECORD_LEN][..], "blank"), (&record()[1..], "corrupt"), (&[0; RECORD_LEN], "corrupt")]
        {
            let failure =
                Job::new(board(), map(), &elf, Some(file), None).err().map(|failure| failure.0).unwrap();
            assert!(failure.starts_with("--record: ") && failure.contains(wrong), "{failure}");
        }
    }

    #[test]
    fn commands_are_shown_as_one_would_type_them() {
        let commands =
            [("openocd", vec!["-f".to_owned(), "a.cfg".to_owned(), "flash write {/p}".to_owned()])];
        assert_eq!(would_run(&commands), "would run: openocd -f a.cfg 'flash write {/p}'\n");
    }

    #[test]
    fn files_for_a_probe_are_ours_alone_and_gone_afterwards() {
        let path = std::env::temp_dir().join(format!("deaddrop-flash-{}", std::process::id()));
        let folder = Folder::new(path.clone()).unwrap();
        folder.write(&Piece::new("record", 0, vec![1])).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(path.join("record.bin")).unwrap().permissions().mode() & 0o777, 0o600);
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn every_board_has_a_memory_map_whose_regions_are_whole_sectors() {
        for board in board::BOARDS {
            let map = provision::memory_map(&Repo::here(), *board).unwrap();
            let sector = map.seeds[0].length;
            for region in [map.record, map.seeds[0], map.seeds[1]] {
                assert_eq!(region.length, sector, "{}", board.name);
                assert!(region.origin.is_multiple_of(sector), "{}", board.name);
            }
        }
    }
}
