//! `deaddrop board-page`: what a board is provisioned with, for those who have no checkout of the firmware.

use std::io;
use std::path::PathBuf;

use deaddrop::{Error, Zeroizing};
use deaddrop_core::derive;
use deaddrop_provisioning::record::Mode;
use deaddrop_provisioning::{
    Address, PAGE_MAX, ProvisioningRecord, SEED_RECORD_LEN, Seed, SeedRecord, WifiSettings, page,
};

use super::setup::warn_weak;
use crate::exit::Failure;
use crate::private_file;
use crate::ui::{Event, Ui};

/// What to make, and where it goes.
pub(super) struct Job {
    pub(super) what: What,
    /// The file; without one, standard output.
    pub(super) out: Option<PathBuf>,
}

/// What to make.
pub(super) enum What {
    /// A provisioning record, with the Wi-Fi network of a board with a radio.
    Page { passphrase: Zeroizing<String>, address: Address, mode: Mode, wifi: Option<WifiSettings> },
    /// A seed record.
    Seed,
}

/// Refuses a terminal in the place of a file, before anything is asked or made.
pub(super) fn check_out(ui: &Ui, out: Option<&PathBuf>) -> Result<(), Failure> {
    if out.is_none() && ui.out_is_terminal() {
        return Err(Failure::usage(
            "what a board is given is not text for a terminal: name a file with --out, or pass it on with a pipe",
        ));
    }
    Ok(())
}

/// Makes it and writes it.
pub(super) async fn board_page(ui: &Ui, job: Job) -> Result<(), Failure> {
    let (bytes, seed) = match job.what {
        What::Page { passphrase, address, mode, wifi } => {
            warn_weak(ui, &passphrase).await?;
            (smol::unblock(move || member(&passphrase, address, mode, wifi.as_ref())).await?, false)
        }
        What::Seed => (seed()?, true),
    };
    let Some(path) = job.out else {
        return ui.copy_out(io::Cursor::new(bytes)).await;
    };
    let size = bytes.len();
    let what = if seed { "seed" } else { "page" };
    let to = path.clone();
    smol::unblock(move || private_file::create(&to, what, &bytes)).await?;
    ui.show(&Event::Page { path: &path, size, seed }).await
}

/// The page of a member of the room with this passphrase.
fn member(
    passphrase: &str,
    address: Address,
    mode: Mode,
    wifi: Option<&WifiSettings>,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let room = derive::room_secret(passphrase).map_err(Error::from)?;
    let mut bytes = Zeroizing::new([0; PAGE_MAX]);
    let record = ProvisioningRecord { prs: room.prs(), address, mode };
    Ok(Zeroizing::new(page::emit(&record, wifi, &mut bytes).to_vec()))
}

/// A seed record with a fresh seed, as it is when a board is flashed.
fn seed() -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut filled = Ok(());
    let seed = Seed::fill_with(|to| filled = getrandom::fill(to));
    filled.map_err(|error| {
        Failure::failed(format!("the system gives no random numbers: {error}; try again later"))
    })?;
    let mut record = Zeroizing::new([0; SEED_RECORD_LEN]);
    SeedRecord { number: 0, seed }.emit(&mut record);
    Ok(Zeroizing::new(record.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_the_prs_and_neither_passphrase_nor_room_secret() {
        let passphrase = "correct horse battery staple";
        let page = member(passphrase, Address::Dhcp, Mode { auto: true }, None).unwrap();
        let record = ProvisioningRecord::parse(&page).unwrap();
        let room = derive::room_secret(passphrase).unwrap();
        assert_eq!(record.prs.expose(), room.prs().expose());
        assert_eq!((record.address, record.mode.auto), (Address::Dhcp, true));
        for secret in [passphrase.as_bytes(), room.expose()] {
            assert!(!page.windows(secret.len()).any(|window| window == secret));
        }
    }

    #[test]
    fn no_two_boards_get_one_seed() {
        let drawn = || SeedRecord::parse(&seed().unwrap()).unwrap();
        assert_eq!(drawn().number, 0);
        assert!(drawn().seed != drawn().seed);
    }
}
