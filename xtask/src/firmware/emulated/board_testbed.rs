//! Where emulated boards are tested: a LAN, the board's image, deaddrop on hosts, and the deepest stack so far.

use std::fs;
use std::path::{Path, PathBuf};

use deaddrop_memory_map::MemoryMap;
use deaddrop_provisioning::record::Mode;
use deaddrop_provisioning::{Address, Ipv4Network};

use testbed::emulator::{Emulated, Machine, PROGRAM};
use testbed::lan::{Lan, PREFIX, Tap};
use testbed::process::Process;
use testbed::{Failure, ROOM};

use crate::demo;
use crate::environment::repo::Repo;
use crate::firmware::board::EMULATED;
use crate::firmware::budget::Budget;
use crate::firmware::footprint::Footprint;
use crate::firmware::{build, provision, size, stack};

/// Hosts of the network.
const HOSTS: u8 = 9;
/// Boards of the network.
const BOARDS: u8 = 2;

/// Everything that a test of a board uses.
pub(crate) struct BoardTestbed<'a> {
    pub(crate) repo: &'a Repo,
    pub(crate) lan: Lan,
    pub(crate) map: MemoryMap,
    pub(crate) image: PathBuf,
    /// For files of this test alone.
    folder: PathBuf,
    deaddrop: PathBuf,
    paint: PathBuf,
    elf: Vec<u8>,
    /// The deepest stack of any board so far, in bytes.
    pub(crate) stack: u32,
}

/// The flash content of a board.
pub(crate) struct Provisioned {
    /// The provisioning record.
    pub(crate) record: Option<Vec<u8>>,
    /// Where its seeds are.
    pub(crate) seeds: Seeds,
}

/// Where a board's seeds are.
pub(crate) enum Seeds {
    /// In a file that is there already.
    File(PathBuf),
    /// In flash, which the emulator cannot write.
    Flash(Vec<u8>),
}

impl<'a> BoardTestbed<'a> {
    /// Builds the image, the app and deaddrop, and makes the network.
    pub(crate) fn new(repo: &'a Repo, folder: &Path) -> Result<Self, Failure> {
        let image = build::image(repo, EMULATED)?;
        let elf = fs::read(&image).map_err(Failure::at(image.display()))?;
        let map = provision::memory_map(repo, EMULATED)?;
        Ok(Self {
            repo,
            lan: Lan::with_boards(HOSTS, BOARDS)?,
            map,
            image,
            elf,
            folder: folder.to_owned(),
            deaddrop: demo::build(repo)?,
            paint: stack::paint(folder.join("paint.bin"), map.stack)?,
            stack: 0,
        })
    }

    /// A path for a file of this name.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Flash content for the `n`th board as a member of this room, with new seeds.
    pub(crate) fn provisioned(&self, n: u8, room: &str, mode: Mode) -> Result<Provisioned, Failure> {
        let record = Some(provision::record(room, self.address(n)?, mode)?);
        Ok(Provisioned { record, seeds: Seeds::File(self.seeds(n)?) })
    }

    /// The address of the `n`th board.
    fn address(&self, n: u8) -> Result<Address, Failure> {
        let network = Ipv4Network::new(self.tap(n).ip.octets().into(), PREFIX, None);
        Ok(Address::Static(network.map_err(Failure::at("the board's address"))?))
    }

    /// A new file for the seeds of the `n`th board.
    pub(crate) fn seeds(&self, n: u8) -> Result<PathBuf, Failure> {
        let slots = provision::slots(&self.map, &provision::seed([0x40 | n; 32]));
        provision::write(&self.path(&format!("seeds{n}.bin")), &slots)
    }

    /// Starts the `n`th board with this in its flash.
    pub(crate) fn start(&self, n: u8, provisioned: Provisioned) -> Result<Emulated, Failure> {
        self.start_with(n, provisioned, self.nic(n))
    }

    /// The same with another image.
    pub(crate) fn start_image(
        &self,
        n: u8,
        image: &Path,
        provisioned: Provisioned,
    ) -> Result<Emulated, Failure> {
        self.run(n, image, provisioned, self.nic(n))
    }

    /// The same as [`Self::start`] with another network, as QEMU's `-nic` takes it.
    pub(crate) fn start_with(
        &self,
        n: u8,
        provisioned: Provisioned,
        nic: String,
    ) -> Result<Emulated, Failure> {
        self.run(n, &self.image, provisioned, nic)
    }

    /// The `n`th port of the switch.
    fn nic(&self, n: u8) -> String {
        let tap = self.tap(n);
        format!("tap,ifname={},script=no,downscript=no,mac={}", tap.interface, tap.mac)
    }

    fn run(&self, n: u8, image: &Path, provisioned: Provisioned, nic: String) -> Result<Emulated, Failure> {
        let mut flash = Vec::new();
        if let Some(record) = provisioned.record {
            let file = provision::write(&self.path(&format!("record{n}.bin")), &record)?;
            flash.push((self.map.record.origin, file));
        }
        let seeds = match provisioned.seeds {
            Seeds::File(file) => Some(file),
            Seeds::Flash(record) => {
                let [first, _] = self.map.seeds;
                flash.push((first.origin, provision::write(&self.path(&format!("slot{n}.bin")), &record)?));
                None
            }
        };
        let machine = Machine { image, flash, seeds, ram: Some((self.map.stack.origin, &self.paint)), nic };
        Emulated::start(self.lan.switch().command(PROGRAM), &machine, &self.folder, &format!("board{n}"))
    }

    /// Starts the app as a process at the `n`th port, as a member of the room, and waits until it is on the network.
    pub(crate) fn on_linux(&self, n: u8) -> Result<Emulated, Failure> {
        let mut app = self.on_linux_at(n, self.address(n)?)?;
        app.is_up()?;
        Ok(app)
    }

    /// The same with this address, without a wait for it.
    pub(crate) fn on_linux_at(&self, n: u8, address: Address) -> Result<Emulated, Failure> {
        let record = provision::record(ROOM, address, Mode::default())?;
        let record = provision::write(&self.path(&format!("record{n}.bin")), &record)?;
        let seed = provision::write(&self.path(&format!("seed{n}.bin")), &[0x50 | n; 32])?;
        let mut command = self.lan.switch().command(&build::on_linux(self.repo)?.to_string_lossy());
        command.arg(self.tap(n).interface).args([record, seed]);
        Emulated::process(command, &format!("app{n}"))
    }

    /// Starts a member of the room at the `n`th port and waits until it is on the network.
    pub(crate) fn member(&self, n: u8) -> Result<Emulated, Failure> {
        let mut board = self.start(n, self.provisioned(n, ROOM, Mode::default())?)?;
        board.is_up()?;
        Ok(board)
    }

    /// The `n`th board's port of the switch.
    pub(crate) fn tap(&self, n: u8) -> Tap {
        self.lan.tap(n)
    }

    /// Starts deaddrop on the `n`th host with these arguments.
    pub(crate) fn peer(&self, n: usize, words: &[&str]) -> Result<Process, Failure> {
        self.peer_of(n, ROOM, words)
    }

    /// The same in another room.
    pub(crate) fn peer_of(&self, n: usize, room: &str, words: &[&str]) -> Result<Process, Failure> {
        let room = provision::write(&self.path(&format!("room{n}.txt")), room.as_bytes())?;
        let inbox = self.inbox(n)?;
        let room = room.to_string_lossy();
        let words = [words, &["--room-file", &room]].concat();
        let mut command = self.lan.host(n)?.command(&self.deaddrop.to_string_lossy());
        command.args(&words).arg("--json").current_dir(&inbox).env_remove("DEADDROP_ROOM");
        let mut peer = Process::spawn(command, format!("deaddrop {} on host {n}", words.join(" ")))?;
        peer.close_input();
        Ok(peer)
    }

    /// The folder in which the `n`th host saves files.
    pub(crate) fn inbox(&self, n: usize) -> Result<PathBuf, Failure> {
        let inbox = self.path(&format!("inbox{n}"));
        fs::create_dir_all(&inbox).map_err(Failure::at(inbox.display()))?;
        Ok(inbox)
    }

    /// Runs a command of xtask on the `n`th host, to its end.
    pub(crate) fn ourselves(&self, n: usize, words: &[&str]) -> Result<String, Failure> {
        let ourselves = std::env::current_exe().map_err(Failure::at("our own path"))?;
        let mut command = self.lan.host(n)?.command(&ourselves.to_string_lossy());
        testbed::command::captured(command.args(words).current_dir(&self.repo.root))
    }

    /// A message for each part of the image that is over budget, its deepest stack so far among them.
    pub(crate) fn over_budget(&self) -> Result<Vec<String>, Failure> {
        let budget = Budget::of(self.repo, EMULATED.name)?;
        Ok(size::excess(EMULATED.name, Footprint::of(&self.elf)?.total, Some(self.stack.into()), budget))
    }

    /// Records the deepest stack with the size of this image.
    pub(crate) fn note_stack(
        &self,
        note: fn(&Path, &[u8], u32) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        note(&self.image, &self.elf, self.stack)
    }

    /// Ends a board's part in a test: it must still run, and its stack depth is read from its memory.
    pub(crate) fn finish(&mut self, mut board: Emulated) -> Result<(), Failure> {
        board.runs()?;
        let dump = board.memory(self.map.stack.origin, self.map.stack.length, &self.path("stack.bin"))?;
        self.stack = self.stack.max(stack::high_water(&dump)?);
        Ok(())
    }
}
