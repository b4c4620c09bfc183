//! The product: what it does with the room, and with its key.

use deaddrop_firmware::app::Room;
use deaddrop_firmware::deaddrop_core::offer::{Kind, Offer};
use deaddrop_firmware::values::{KeepFile, Values};
use zeroize::Zeroizing;

/// The name of the file that holds the key.
pub(crate) const KEY: &str = "api-key";
/// Bytes of the longest key.
const KEY_MAX: usize = 64;

/// What a person at the console is told at the start.
pub(crate) fn greeting(kept: &KeepFile<impl Values>) -> &'static str {
    match key(kept) {
        Some(_) => "api-key is here",
        None => "waiting for api-key: offer it to this board's room, as a file of this name",
    }
}

/// Gets the key, from flash or else from the room, and goes to work.
pub(crate) async fn work(room: Room<'_>, kept: &KeepFile<impl Values>) {
    let key = loop {
        if let Some(key) = key(kept) {
            break key;
        }
        // In flash before its sender hears that it was received. The copy in RAM is wiped.
        let _ = room.next(is_key).await.forget();
    };
    work_with(&key);
}

fn is_key(offer: &Offer) -> bool {
    offer.kind == Kind::File && offer.name.as_str() == KEY && (1..=KEY_MAX as u64).contains(&offer.size)
}

fn key(kept: &KeepFile<impl Values>) -> Option<Zeroizing<[u8; KEY_MAX]>> {
    let mut key = Zeroizing::new([0; KEY_MAX]);
    kept.values().get(KEY, &mut *key).ok()?.map(|_| key)
}

/// What the product is for begins here.
fn work_with(_key: &[u8; KEY_MAX]) {}
