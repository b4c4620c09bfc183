//! A complete start, for a board whose provisioning record and seeds are in one flash.

use embedded_io_async::{Read, Write};
use embedded_storage::nor_flash::NorFlash;

use super::{Hardware, HardwareEntropy, Ready, boot_from_flash, halt};

/// Printed when the generator failed and there is a seed.
const FAILED: &[u8] =
    b"deaddrop: warning: the hardware generator failed. The seed is enough, but this board is not well.\r\n";

/// [`boot_from_flash`], with warnings and errors printed on the console. Returns only if the board may talk.
///
/// Start the watchdog afterwards: on an error this waits for ever, and repeated resets would wear out the flash of the
/// seeds.
pub async fn start<F: NorFlash>(
    console: &mut (impl Read + Write),
    flash: F,
    record: u32,
    slots: [u32; 2],
    hardware: Option<&mut dyn HardwareEntropy>,
) -> Ready {
    match boot_from_flash(flash, record, slots, hardware) {
        Ok(ready) => {
            if ready.hardware == Hardware::Failed {
                // An error is ignored: there is no other place to report it.
                let _ = console.write_all(FAILED).await;
            }
            ready
        }
        Err(refusal) => halt(console, refusal).await,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use core::convert::Infallible;
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use std::vec::Vec;

    use deaddrop_core::crypto::keys::Prs;
    use deaddrop_provisioning::{Address, ProvisioningRecord, RECORD_LEN, SEED_RECORD_LEN, Seed, SeedRecord};

    use super::*;
    use crate::boot::flash::Flash;
    use crate::boot::{BootError, NoEntropy};

    #[derive(Default)]
    struct Screen(Vec<u8>);

    impl embedded_io_async::ErrorType for Screen {
        type Error = Infallible;
    }

    impl Read for Screen {
        async fn read(&mut self, _: &mut [u8]) -> Result<usize, Infallible> {
            core::future::pending().await
        }
    }

    impl Write for Screen {
        async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
            self.0.extend(bytes);
            Ok(bytes.len())
        }

        async fn flush(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
    }

    struct Dead;

    impl HardwareEntropy for Dead {
        fn fill(&mut self, _: &mut [u8; 32]) -> Result<(), NoEntropy> {
            Err(NoEntropy)
        }
    }

    /// Whether it returned, and what was on the screen.
    fn started(flash: Flash, hardware: Option<&mut dyn HardwareEntropy>) -> (bool, std::string::String) {
        let mut screen = Screen::default();
        let returned = {
            let start = pin!(start(&mut screen, flash, 0, [256, 384], hardware));
            matches!(start.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_))
        };
        (returned, std::string::String::from_utf8(screen.0).unwrap())
    }

    fn provisioned() -> Flash {
        let mut flash = Flash::new(4);
        let mut record = [0; RECORD_LEN];
        ProvisioningRecord { prs: Prs::new([5; 32]), address: Address::Dhcp, mode: Default::default() }
            .emit(&mut record);
        let mut seed = [0; SEED_RECORD_LEN];
        SeedRecord { number: 0, seed: Seed::new([7; 32]) }.emit(&mut seed);
        flash.bytes[..RECORD_LEN].copy_from_slice(&record);
        flash.bytes[256..256 + SEED_RECORD_LEN].copy_from_slice(&seed);
        flash
    }

    #[test]
    fn a_board_that_may_talk_says_nothing() {
        assert_eq!(started(provisioned(), None), (true, "".into()));
    }

    #[test]
    fn one_that_may_not_says_why_and_waits() {
        let (returned, said) = started(Flash::new(4), None);
        assert!(!returned);
        assert!(said.contains("the provisioning record is blank"), "{said}");
        let mut no_seed = provisioned();
        no_seed.bytes[256..].fill(0xFF);
        let (returned, said) = started(no_seed, None);
        assert!(!returned);
        assert_eq!(said, std::format!("deaddrop: {}.\r\n", BootError::NoSeed));
    }

    #[test]
    fn a_generator_that_failed_is_told_of() {
        let (returned, said) = started(provisioned(), Some(&mut Dead));
        assert!(returned && said.contains("generator failed"), "{said}");
    }
}
