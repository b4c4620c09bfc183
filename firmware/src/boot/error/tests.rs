extern crate std;
use std::string::ToString;

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
