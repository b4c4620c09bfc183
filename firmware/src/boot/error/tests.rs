extern crate std;
use core::convert::Infallible;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;

#[test]
fn a_refusal_says_what_to_do() {
    for refusal in [
        BootError::Provisioning(ProvisioningError::Blank),
        BootError::Provisioning(ProvisioningError::Corrupt),
        BootError::Provisioning(ProvisioningError::Newer { version: 2 }),
        BootError::SeedNotRead,
        BootError::NoSeed,
        BootError::NoEntropy,
        BootError::SeedNotReplaced,
        BootError::SeedDidNotStick,
    ] {
        let text = refusal.to_string();
        assert!(text.len() < 400 - "deaddrop: .\r\n".len(), "{}", text.len());
        assert!(text.contains(" or ") || text.contains("provision") || text.contains("switch off"), "{text}");
        assert!(text.ends_with("until then it does not talk on the network"), "{text}");
    }
    assert!(
        BootError::Provisioning(ProvisioningError::Blank)
            .to_string()
            .starts_with("the provisioning record is blank: provision this board with ")
    );
    assert!(
        BootError::Provisioning(ProvisioningError::Newer { version: 2 }).to_string().contains("version 2")
    );
}

/// A console on which this many keys are pressed, and then none.
struct Typed {
    keys: usize,
    written: Vec<u8>,
}

impl embedded_io_async::ErrorType for Typed {
    type Error = Infallible;
}

impl Read for Typed {
    async fn read(&mut self, _: &mut [u8]) -> Result<usize, Infallible> {
        if self.keys == 0 {
            core::future::pending::<()>().await;
        }
        self.keys -= 1;
        Ok(1)
    }
}

impl Write for Typed {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.written.extend(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[test]
fn a_refusal_is_said_at_the_start_and_to_whoever_types() {
    for keys in 0..3 {
        let mut console = Typed { keys, written: Vec::new() };
        {
            let refused = pin!(halt(&mut console, BootError::NoSeed));
            assert!(matches!(refused.poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
        }
        let line = std::format!("deaddrop: {}.\r\n", BootError::NoSeed);
        assert_eq!(String::from_utf8(console.written).unwrap(), line.repeat(keys + 1));
    }
}
