use core::fmt::Debug;

use deaddrop_core::secret::Secret;

pub(super) fn keep() {
    keep![
        Secret::<32>::new,
        Secret::<32>::fill_with as fn(fn(&mut [u8; 32])) -> Secret<32>,
        Secret::<32>::expose,
        <Secret<32> as PartialEq>::eq,
        <Secret<32> as Debug>::fmt,
    ];
}
