use core::fmt::Display;

use deaddrop_core::drops::{Drops, Lapse, Listed, PutError, Refusal};

use super::{DROPS, FETCHES, Rng};

type Table = Drops<DROPS, FETCHES>;

pub(super) fn keep() {
    keep![
        Table::new as fn(&mut Rng) -> _,
        Table::put as fn(_, _, _, &mut Rng) -> _,
        Table::withdraw as fn(_, _, _, &mut Rng) -> _,
        Table::changed as fn(_, _, _, &mut Rng) -> _,
        Table::revision,
        Table::live,
        Table::tally,
        Table::listed_after,
        Table::claim,
        Table::progress,
        Table::all_sent,
        Table::holds,
        Table::finalise,
        Table::commit as fn(_, _, _, _, &mut Rng) -> _,
        Table::release,
        Table::handle_timeout as fn(_, _, &mut Rng) -> _,
        Table::poll_timeout,
        Table::poll_event,
        Lapse::words,
        <Lapse as Display>::fmt,
        Listed::token,
        <PutError as Display>::fmt,
        <Refusal as Display>::fmt,
    ];
}
