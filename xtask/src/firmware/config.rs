//! `firmware config`: the provisioning record of a board.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use argh::FromArgs;
use deaddrop_core::derive;
use deaddrop_provisioning::record::Mode;
use deaddrop_provisioning::wifi::PSK_DIGITS;
use deaddrop_provisioning::{
    Address, Country, PAGE_MAX, Prefixed, ProvisioningRecord, Ssid, WifiKey, WifiSettings, page,
};
use zeroize::Zeroizing;

use super::board::{self, Board};
use super::{provision, room};
use crate::environment::repo::{Failure, Repo};
use testbed::secret_file;

/// Make the provisioning record of a board: the secret of its room, how it gets its address, and the Wi-Fi network of one
/// with a radio.
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
    /// the name of the Wi-Fi network that a board with a radio joins
    #[argh(option, arg_name = "name")]
    ssid: Option<Ssid>,
    /// file with the key of that network, which others cannot read: its passphrase, or the 64 hexadecimal digits of its PSK
    #[argh(option, arg_name = "path")]
    wifi_key_file: Option<PathBuf>,
    /// join that network without a key: what is sent there can be read by all who are near
    #[argh(switch)]
    wifi_open: bool,
    /// where the board is, as in DE, which decides channels and power; without it, what is allowed nearly everywhere
    #[argh(option, arg_name = "country")]
    wifi_country: Option<Country>,
    /// the file to write; it must not exist yet
    #[argh(option, arg_name = "path")]
    out: PathBuf,
}

/// Derives, and writes the file.
pub(crate) fn run(repo: &Repo, config: &Config) -> Result<(), Failure> {
    let address =
        Address::from_settings(config.address, config.gateway).map_err(|error| Failure(error.to_string()))?;
    let wifi = wifi(config)?;
    let radio = provision::memory_map(repo, config.board)?.radio.is_some();
    check_wifi(config.board, radio, wifi.is_some())?;
    let passphrase = room::passphrase(&config.room_file)?;
    let room = derive::room_secret(&passphrase).map_err(Failure::at("the passphrase"))?;
    let record = ProvisioningRecord { prs: room.prs(), address, mode: Mode { auto: config.auto } };
    let mut file = Zeroizing::new([0; PAGE_MAX]);
    secret_file::write_new(&config.out, page::emit(&record, wifi.as_ref(), &mut file))?;
    let (name, out) = (config.board.name, config.out.display());
    println!("{out} makes a {name} a member of the room: remove it when the board has it.");
    let radio = if radio { " --radio FOLDER" } else { "" };
    println!("    cargo xtask firmware flash --board {name} --record {out}{radio}");
    Ok(())
}

/// The Wi-Fi network, if there is one.
fn wifi(config: &Config) -> Result<Option<WifiSettings>, Failure> {
    let key = config.wifi_key_file.as_ref().map(|path| {
        // The longest key and a line end.
        let text = secret_file::read("the Wi-Fi key file", path, PSK_DIGITS + 2)?;
        WifiKey::from_text(&text).map_err(Failure::at(path.display()))
    });
    WifiSettings::from_settings(config.ssid, key.transpose()?, config.wifi_open, config.wifi_country)
        .map_err(|error| Failure(error.to_string()))
}

/// Refuses a record with a Wi-Fi network for a board without a radio, which would only keep its key, and one without for a
/// board that has no other network.
pub(crate) fn check_wifi(board: Board, radio: bool, wifi: bool) -> Result<(), Failure> {
    let name = board.name;
    match (radio, wifi) {
        (false, true) => Err(Failure(format!("{name} has no radio: make a record without --ssid for it"))),
        (true, false) => Err(Failure(format!(
            "{name} has no network but Wi-Fi: name one with --ssid, and its key with --wifi-key-file"
        ))),
        _ => Ok(()),
    }
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
            run(&Repo::here(), &config)?;
            assert_eq!(fs::metadata(&config.out).unwrap().permissions().mode() & 0o777, 0o600);
            let again = run(&Repo::here(), &config).unwrap_err().0;
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
    fn a_board_without_a_radio_gets_no_key_and_one_with_a_radio_gets_a_network() {
        let (wired, radio) = (board::named("lm3s6965evb").unwrap(), true);
        assert!(check_wifi(wired, !radio, false).is_ok() && check_wifi(wired, radio, true).is_ok());
        assert!(check_wifi(wired, !radio, true).unwrap_err().0.contains("has no radio"));
        assert!(check_wifi(wired, radio, false).unwrap_err().0.contains("name one with --ssid"));
        let failure = made("wired", &["--ssid", "home", "--wifi-open"]).unwrap_err().0;
        assert!(failure.contains("lm3s6965evb has no radio"), "{failure}");
    }

    #[test]
    fn a_wifi_key_is_read_from_a_file_that_others_cannot_read() {
        let path = std::env::temp_dir().join(format!("deaddrop-config-key-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let shown = path.to_string_lossy().into_owned();
        let words = ["--board", "lm3s6965evb", "--room-file", "room", "--out", "out", "--ssid", "home"];
        let words = [&words[..], &["--wifi-key-file", &shown]].concat();
        let config = Config::from_args(&["config"], &words).unwrap();
        secret_file::write_new(&path, b"open sesame\n").unwrap();
        let WifiKey::Passphrase(passphrase) = wifi(&config).unwrap().unwrap().key else { panic!("a key") };
        assert_eq!(passphrase.expose(), b"open sesame");
        fs::write(&path, "short").unwrap();
        let failure = wifi(&config).unwrap_err().0;
        assert!(failure.contains(&*shown) && failure.contains("8 to 63 characters"), "{failure}");
        assert!(!failure.contains("short"), "{failure}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let failure = wifi(&config).unwrap_err().0;
        fs::remove_file(&path).unwrap();
        assert!(failure.contains("chmod 600"), "{failure}");
    }

    #[test]
    fn wrong_settings_are_refused_with_what_is_wrong() {
        for (words, wrong) in [
            (&["--address", "10.1.2.3"][..], "192.168.1.7/24"),
            (&["--address", "10.1.2.3/31"], "1 to 30 bits"),
            (&["--address", "10.1.2.0/24"], "first or last"),
            (&["--address", "10.1.2.3/24", "--gateway", "10.1.3.1"], "same network"),
            (&["--gateway", "10.1.3.1"], "goes with --address"),
            (&["--ssid", "home"], "give --wifi-key-file, or --wifi-open"),
            (&["--ssid", ""], "1 to 32 bytes"),
            (&["--wifi-country", "de"], "two capital letters"),
            (&["--wifi-open"], "go with --ssid"),
        ] {
            let failure = made("wrong", words).unwrap_err().0;
            assert!(failure.contains(wrong), "{failure}");
        }
    }
}
