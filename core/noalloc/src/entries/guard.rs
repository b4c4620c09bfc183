use deaddrop_core::guard::bucket::{Bucket, Rate};
use deaddrop_core::guard::{ClientGuard, Guard};

use super::{CONNS, Rng, SOURCES};

type Server = Guard<SOURCES, CONNS>;
type Client = ClientGuard<SOURCES>;

pub(super) fn keep() {
    keep![
        Bucket::full,
        Bucket::at_hand,
        Bucket::lent,
        Bucket::lend,
        Bucket::give_back,
        Bucket::spend,
        Bucket::restore,
        Bucket::ready_at,
        Client::new,
        Client::has,
        Client::take,
        Client::confirmed,
        Rate::new,
        Server::new,
        Server::admit,
        Server::message2,
        Server::poll_granted as fn(_, _, &mut Rng) -> _,
        Server::confirmed,
        Server::failed,
        Server::closed,
        Server::poll_warning,
        Server::poll_timeout,
    ];
}
