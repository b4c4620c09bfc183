//! The page of flash that provisioning writes: the provisioning record, and behind it the Wi-Fi record of a board with a
//! radio.

use crate::record::{ProvisioningRecord, RECORD_LEN};
use crate::wifi::{WIFI_RECORD_LEN, WifiRecordError, WifiSettings};

/// Bytes of a page with both records.
pub const PAGE_MAX: usize = RECORD_LEN + WIFI_RECORD_LEN;

/// Writes the records into `page`, and gives the part that they take. It is secret: wipe it after use.
pub fn emit<'a>(
    record: &ProvisioningRecord,
    wifi: Option<&WifiSettings>,
    page: &'a mut [u8; PAGE_MAX],
) -> &'a [u8] {
    let (first, second) = page.split_at_mut(RECORD_LEN);
    if let Ok(first) = first.try_into() {
        record.emit(first);
    }
    let mut length = RECORD_LEN;
    if let (Some(wifi), Ok(second)) = (wifi, second.try_into()) {
        wifi.emit(second);
        length = PAGE_MAX;
    }
    page.get(..length).unwrap_or_default()
}

/// The Wi-Fi settings of a page.
pub fn wifi(page: &[u8]) -> Result<WifiSettings, WifiRecordError> {
    WifiSettings::parse(page.get(RECORD_LEN..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Mode;
    use crate::wifi::WifiKey;
    use crate::{Address, Ssid};
    use deaddrop_core::crypto::keys::Prs;

    #[test]
    fn a_page_without_wifi_is_a_provisioning_record_and_one_with_it_reads_as_both() {
        let record =
            ProvisioningRecord { prs: Prs::new([7; 32]), address: Address::Dhcp, mode: Mode::default() };
        let mut alone = [0; RECORD_LEN];
        record.emit(&mut alone);
        assert_eq!(emit(&record, None, &mut [0; PAGE_MAX]), alone);
        assert_eq!(wifi(&alone).unwrap_err(), WifiRecordError::Absent);

        let key = WifiKey::from_text(b"open sesame").unwrap();
        let settings = WifiSettings::from_settings(Some(Ssid::new("home").unwrap()), Some(key), false, None);
        let mut page = [0; PAGE_MAX];
        let page = emit(&record, settings.unwrap().as_ref(), &mut page);
        assert_eq!((page.len(), &page[..RECORD_LEN]), (PAGE_MAX, &alone[..]));
        assert_eq!(ProvisioningRecord::parse(page).unwrap().prs.expose(), &[7; 32]);
        assert_eq!(wifi(page).unwrap().ssid.as_str(), "home");
    }
}
