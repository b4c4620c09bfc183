//! `firmware config`: the provisioning record of a board.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use argh::FromArgs;
use deaddrop_core::derive;
use deaddrop_provisioning::record::Mode;
use deaddrop_provisioning::{Address, Prefixed, ProvisioningRecord, RECORD_LEN};
use zeroize::Zeroizing;

use super::board::{self, Board};
use super::room;
use crate::environment::repo::Failure;
use testbed::secret_file;

/// Make the provisioning record of a board: the secret of its room, and how it gets its address.
#[derive(FromArgs)]
#[argh(subcommand, name = "config")]
pub(crate) struct Config {
    /// the board; see firmware/docs/boards.md
    #[argh(option, from_str_fn(board::named), arg_name = "name")]
    board: Board,
    /// file with the passphrase of the room, which others cannot read
    #[argh(option, arg_name = "path")]
    room_file: PathBuf,
    /// the board's address and prefix, such as 192.168.1.7/24; without it, DHCP
    #[argh(option, arg_name = "ip/prefix")]
    address: Option<Prefixed>,
    /// the gateway of its network, with --address
    #[argh(option, arg_name = "ip")]
    gateway: Option<Ipv4Addr>,
    /// have the board fetch messages as they are offered
    #[argh(switch)]
    auto: bool,
    /// the file to write; it must not exist yet
    #[argh(option, arg_name = "path")]
    out: PathBuf,
}

/// Derives, and writes the file.
pub(crate) fn run(config: &Config) -> Result<(), Failure> {
    let address =
        Address::from_settings(config.address, config.gateway).map_err(|error| Failure(error.to_string()))?;
    let passphrase = room::passphrase(&config.room_file)?;
    let room = derive::room_secret(&passphrase).map_err(Failure::at("the passphrase"))?;
    let record = ProvisioningRecord { prs: room.prs(), address, mode: Mode { auto: config.auto } };
    let mut file = Zeroizing::new([0; RECORD_LEN]);
    record.emit(&mut file);
    secret_file::write_new(&config.out, &*file)?;
    let (name, out) = (config.board.name, config.out.display());
    println!("{out} makes a {name} a member of the room: remove it when the board has it.");
    println!("    cargo xtask firmware flash --board {name} --record {out}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use deaddrop_provisioning::Ipv4Network;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    const PASSPHRASE: &str = "correct horse battery staple";
    /// The room secret of core/docs/protocol.md's example.
    const PRS: &str = "7efc265ded98f7e5064fd06d562066b3cdd4f7adefba38af54ddefd6f9808c3d";

    /// Makes the file with these arguments and a room file, and gives its bytes.
    fn made(name: &str, words: &[&str]) -> Result<Vec<u8>, Failure> {
        let folder = std::env::temp_dir().join(format!("deaddrop-config-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let room = folder.join("room");
        secret_file::write_new(&room, format!("{PASSPHRASE}\n").as_bytes()).unwrap();
        let out = folder.join("record.bin");
        let (room, out) = (room.to_string_lossy(), out.to_string_lossy());
        let mut all = vec!["--board", "lm3s6965evb", "--room-file", &room, "--out", &out];
        all.extend(words);
        let config = Config::from_args(&["config"], &all).map_err(|exit| Failure(exit.output));
        let bytes = config.and_then(|config| {
            run(&config)?;
            assert_eq!(fs::metadata(&config.out).unwrap().permissions().mode() & 0o777, 0o600);
            let again = run(&config).unwrap_err().0;
            assert!(again.contains("left as it is"), "{again}");
            Ok(fs::read(&config.out).unwrap())
        });
        fs::remove_dir_all(&folder).unwrap();
        bytes
    }

    #[test]
    fn the_file_holds_the_prs_and_neither_passphrase_nor_room_secret() {
        let file = made("holds", &[]).unwrap();
        let record = ProvisioningRecord::parse(&file).unwrap();
        let prs: String = record.prs.expose().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(prs, PRS);
        assert_eq!(record.address, Address::Dhcp);
        assert!(!record.mode.auto);
        let room = derive::room_secret(PASSPHRASE).unwrap();
        for secret in [PASSPHRASE.as_bytes(), room.expose()] {
            assert!(!file.windows(secret.len()).any(|window| window == secret));
        }
    }

    #[test]
    fn what_is_asked_for_is_in_the_record() {
        let words = ["--address", "10.1.2.3/16", "--gateway", "10.1.0.1", "--auto"];
        let record = ProvisioningRecord::parse(&made("asked", &words).unwrap()).unwrap();
        let network = Ipv4Network::new([10, 1, 2, 3].into(), 16, Some([10, 1, 0, 1].into())).unwrap();
        assert_eq!(record.address, Address::Static(network));
        assert!(record.mode.auto);
    }

    /// The installed command has the same test.
    #[test]
    fn the_file_is_the_documented_page() {
        let document = include_str!("../../../firmware/docs/provisioning.md");
        let block = document.split("```").find_map(|block| block.strip_prefix("hex page\n")).unwrap();
        let bytes: Vec<u8> =
            block.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        let words = ["--address", "192.168.1.7/24", "--gateway", "192.168.1.1", "--auto"];
        assert_eq!(made("page", &words).unwrap(), bytes);
    }

    #[test]
    fn wrong_addresses_are_refused_with_what_is_wrong() {
        for (words, wrong) in [
            (&["--address", "10.1.2.3"][..], "192.168.1.7/24"),
            (&["--address", "10.1.2.3/31"], "1 to 30 bits"),
            (&["--address", "10.1.2.0/24"], "first or last"),
            (&["--address", "10.1.2.3/24", "--gateway", "10.1.3.1"], "same network"),
            (&["--gateway", "10.1.3.1"], "goes with --address"),
        ] {
            let failure = made("wrong", words).unwrap_err().0;
            assert!(failure.contains(wrong), "{failure}");
        }
    }
}
