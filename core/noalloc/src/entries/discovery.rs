use core::fmt::Display;

use deaddrop_core::discovery::{Advertiser, Full, Offers, Peer, Prober};

use super::Rng;

type Announcing = Advertiser<4>;
type Listening = Prober<16>;
type Known = Offers<16>;

pub(super) fn keep() {
    keep![
        Announcing::new,
        Announcing::set as fn(_, _, _, &mut Rng) -> _,
        Announcing::reannounce,
        Announcing::handle_beacon,
        Announcing::poll_transmit as fn(_, _, &mut Rng) -> _,
        Announcing::poll_timeout,
        <Full as Display>::fmt,
        Listening::new,
        Listening::handle_beacon as fn(_, _, _, _, &mut Rng) -> _,
        Listening::poll_transmit,
        Listening::resolicit,
        Listening::poll_probe as fn(_, _, &mut Rng) -> _,
        Listening::handle_probe,
        Listening::poll_event,
        Listening::poll_timeout,
        Listening::peers,
        Listening::ports_of,
        <Known as Default>::default,
        Known::new,
        Known::begin_list,
        Known::offer,
        Known::ending,
        Known::complete,
        Known::abort_list,
        Known::lost,
        Known::moved,
        Known::handle_timeout,
        Known::poll_timeout,
        Known::poll_event,
        Known::iter,
        Known::find,
        Peer::address,
        Peer::instance,
        Peer::is_member,
    ];
}
