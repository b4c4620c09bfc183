//! Where boards are tested: a network, an image, peers, and the stack of every board that ran.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deaddrop_memory_map::MemoryMap;
use deaddrop_provisioning::record::Mode;
use deaddrop_provisioning::{Address, Ipv4Network};

use super::board::EMULATED;
use super::build;
use super::emulator::{Emulated, Machine, PROGRAM, RAM, RAM_LEN};
use super::footprint::Footprint;
use super::network::{Network, PREFIX, Port};
use super::peer::Peer;
use super::provision;
use super::stack;
use crate::demo;
use crate::repo::{Failure, Repo};

/// The room that tests meet in.
pub(crate) const ROOM: &str = "copper lantern harbour ninety";
/// How long to wait for what should happen soon: then a test fails, it does not measure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Hosts of the network.
const HOSTS: u8 = 9;
/// Ports for boards.
const PORTS: u8 = 2;

/// Everything a test needs.
pub(crate) struct Lab<'a> {
    repo: &'a Repo,
    pub(crate) network: Network,
    pub(crate) map: MemoryMap,
    pub(crate) image: PathBuf,
    /// For files of this test alone.
    folder: PathBuf,
    deaddrop: PathBuf,
    paint: PathBuf,
    elf: Vec<u8>,
    static_end: u32,
    /// The deepest stack so far.
    pub(crate) stack: u32,
}

/// What a board has in flash.
pub(crate) struct Provisioned {
    /// From the page's address on.
    pub(crate) page: Option<Vec<u8>>,
    /// The file for its seeds; without one they are in flash.
    pub(crate) seeds: Seeds,
}

/// Where a board's seeds are.
pub(crate) enum Seeds {
    /// In a file that is there already.
    File(PathBuf),
    /// In flash, which the emulator cannot write.
    Flash(Vec<u8>),
}

impl<'a> Lab<'a> {
    /// Builds all that is tested, and the network.
    pub(crate) fn new(repo: &'a Repo, folder: &Path) -> Result<Self, Failure> {
        let image = build::image(repo, EMULATED)?;
        let elf = fs::read(&image).map_err(Failure::at(image.display()))?;
        let static_end = Footprint::of(&elf)?.static_end;
        Ok(Self {
            repo,
            network: Network::new(HOSTS, PORTS)?,
            map: provision::memory_map(repo, EMULATED)?,
            static_end,
            image,
            elf,
            folder: folder.to_owned(),
            deaddrop: demo::build(repo)?,
            paint: stack::paint(folder.join("paint.bin"), static_end)?,
            stack: 0,
        })
    }

    /// A path for a file of this name.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What a member of this room at the `n`th port has in flash, with seeds of its own.
    pub(crate) fn provisioned(&self, n: u8, room: &str, mode: Mode) -> Result<Provisioned, Failure> {
        let network = Ipv4Network::new(self.network.port(n).ip.octets().into(), PREFIX, None);
        let address = Address::Static(network.map_err(Failure::at("the board's address"))?);
        let page = Some(provision::page(room, address, mode)?);
        Ok(Provisioned { page, seeds: Seeds::File(self.seeds(n)?) })
    }

    /// A new file for the seeds of the `n`th board.
    pub(crate) fn seeds(&self, n: u8) -> Result<PathBuf, Failure> {
        let slots = provision::slots(&self.map, &provision::seed([0x40 | n; 32]));
        provision::write(&self.path(&format!("seeds{n}.bin")), &slots)
    }

    /// Starts a board at the `n`th port with this in its flash.
    pub(crate) fn start(&self, n: u8, provisioned: Provisioned) -> Result<Emulated, Failure> {
        let port = self.port(n);
        let nic = format!("tap,ifname={},script=no,downscript=no,mac={}", port.interface, port.mac);
        self.start_with(n, provisioned, nic)
    }

    /// The same with another network, as QEMU's `-nic` takes it.
    pub(crate) fn start_with(
        &self,
        n: u8,
        provisioned: Provisioned,
        nic: String,
    ) -> Result<Emulated, Failure> {
        let mut flash = Vec::new();
        if let Some(page) = provisioned.page {
            let file = provision::write(&self.path(&format!("page{n}.bin")), &page)?;
            flash.push((self.map.page.origin, file));
        }
        let seeds = match provisioned.seeds {
            Seeds::File(file) => Some(file),
            Seeds::Flash(record) => {
                let [first, _] = self.map.seeds;
                flash.push((first.origin, provision::write(&self.path(&format!("slot{n}.bin")), &record)?));
                None
            }
        };
        let machine =
            Machine { image: &self.image, flash, seeds, ram: Some((self.static_end, &self.paint)), nic };
        Emulated::start(self.network.command(PROGRAM), &machine, &self.folder, &format!("board{n}"))
    }

    /// Starts the app as a process at the `n`th port, as a member of the room, and waits until it is on the network.
    pub(crate) fn on_linux(&self, n: u8) -> Result<Emulated, Failure> {
        let page = self.provisioned(n, ROOM, Mode::default())?.page.unwrap_or_default();
        let page = provision::write(&self.path(&format!("page{n}.bin")), &page)?;
        let seed = provision::write(&self.path(&format!("seed{n}.bin")), &[0x50 | n; 32])?;
        let mut command = self.network.command(&build::on_linux(self.repo)?.to_string_lossy());
        command.arg(self.port(n).interface).args([page, seed]);
        let mut app = Emulated::process(command, &format!("app{n}"))?;
        app.is_up()?;
        Ok(app)
    }

    /// Starts a member of the room at the `n`th port and waits until it is on the network.
    pub(crate) fn member(&self, n: u8) -> Result<Emulated, Failure> {
        let mut board = self.start(n, self.provisioned(n, ROOM, Mode::default())?)?;
        board.is_up()?;
        Ok(board)
    }

    /// The `n`th board's place in the network.
    pub(crate) fn port(&self, n: u8) -> Port {
        self.network.port(n)
    }

    /// Starts a deaddrop on the `n`th host with these words.
    pub(crate) fn peer(&self, n: usize, words: &[&str]) -> Result<Peer, Failure> {
        self.peer_of(n, ROOM, words)
    }

    /// The same in another room.
    pub(crate) fn peer_of(&self, n: usize, room: &str, words: &[&str]) -> Result<Peer, Failure> {
        let room = provision::write(&self.path(&format!("room{n}.txt")), room.as_bytes())?;
        let inbox = self.inbox(n)?;
        let room = room.to_string_lossy();
        let words = [words, &["--room-file", &room]].concat();
        Peer::start(&self.deaddrop, self.network.host(n)?, &inbox, &words)
    }

    /// The folder in which the `n`th host saves files.
    pub(crate) fn inbox(&self, n: usize) -> Result<PathBuf, Failure> {
        let inbox = self.path(&format!("inbox{n}"));
        fs::create_dir_all(&inbox).map_err(Failure::at(inbox.display()))?;
        Ok(inbox)
    }

    /// Runs one of our own commands on the `n`th host, to its end.
    pub(crate) fn ourselves(&self, n: usize, words: &[&str]) -> Result<String, Failure> {
        let ourselves = std::env::current_exe().map_err(Failure::at("our own path"))?;
        let mut command = self.network.host(n)?.command(&ourselves.to_string_lossy());
        crate::repo::captured(command.args(words).current_dir(&self.repo.root))
    }

    /// Notes how deep the stack was, for this image.
    pub(crate) fn note_stack(
        &self,
        note: fn(&Path, &[u8], u32) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        note(&self.image, &self.elf, self.stack)
    }

    /// Reads back how deep the board's stack was, which ends its part in a test: it must still run.
    pub(crate) fn finish(&mut self, mut board: Emulated) -> Result<(), Failure> {
        board.runs()?;
        let ram = board.memory(RAM, RAM_LEN, &self.path("ram.bin"))?;
        self.stack = self.stack.max(stack::high_water(&ram, self.static_end)?);
        Ok(())
    }
}
