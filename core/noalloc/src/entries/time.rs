use core::ops::Add;
use core::time::Duration;

use deaddrop_core::time::Instant;

pub(super) fn keep() {
    keep![
        Instant::from_millis,
        Instant::as_millis,
        Instant::since,
        Instant::until,
        Instant::earliest,
        <Instant as Add<Duration>>::add,
    ];
}
