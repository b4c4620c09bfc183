use core::fmt::Display;

use deaddrop_core::session::{
    ClientError, ClientHandshake, ClientSession, Greeted, HandshakeError, Misuse, ServerSession, Serving,
    buffer_len,
};

use super::{CONNS, DROPS, FETCHES, Rng, SOURCES};

type Server = Serving<DROPS, FETCHES, SOURCES, CONNS>;

pub(super) fn keep() {
    keep![
        buffer_len,
        ClientError::retry_after,
        <ClientError as Display>::fmt,
        <ClientError as From<HandshakeError>>::from,
        ClientHandshake::start as fn(_, _, _, _, &mut Rng) -> _,
        ClientHandshake::finish,
        ClientSession::new,
        ClientSession::with_cipher,
        ClientSession::wants,
        ClientSession::is_confirmed,
        ClientSession::needs_ready,
        ClientSession::final_len,
        ClientSession::poll_timeout,
        ClientSession::handle_timeout,
        ClientSession::handle_close,
        ClientSession::list,
        ClientSession::fetch,
        ClientSession::held,
        ClientSession::ready,
        ClientSession::commit,
        ClientSession::release,
        ClientSession::poll_transmit,
        ClientSession::handle_message::<SOURCES> as fn(_, _, _, _, &mut Rng, _) -> _,
        Greeted::new as fn(_, &mut Rng) -> _,
        Greeted::greeting,
        Greeted::answer as fn(_, _, _, &mut Rng) -> _,
        <HandshakeError as Display>::fmt,
        <Misuse as Display>::fmt,
        ServerSession::conn,
        ServerSession::source,
        ServerSession::is_member,
        ServerSession::is_parked,
        ServerSession::wants,
        ServerSession::record_len,
        ServerSession::closing,
        ServerSession::poll_timeout::<DROPS, FETCHES, SOURCES, CONNS>,
        ServerSession::handle_timeout::<DROPS, FETCHES, SOURCES, CONNS>,
        ServerSession::handle_close,
        ServerSession::stop,
        ServerSession::closed::<DROPS, FETCHES, SOURCES, CONNS>,
        ServerSession::handle_granted as fn(_, _, &mut Server, &mut Rng) -> _,
        ServerSession::handle_message as fn(_, _, &mut Server, &mut Rng, _) -> _,
        ServerSession::poll_transmit::<DROPS, FETCHES, SOURCES, CONNS>,
        ServerSession::poll_read,
        ServerSession::handle_read::<DROPS, FETCHES, SOURCES, CONNS>,
        ServerSession::handle_ended::<DROPS, FETCHES, SOURCES, CONNS>,
        ServerSession::handle_changed as fn(_, _, &mut Server, &mut Rng) -> _,
        Server::new as fn(_, _, _, &mut Rng) -> _,
        Server::with_cipher,
        Server::instance,
        Server::profile,
        Server::stop,
        Server::open as fn(_, _, _, &mut Rng) -> _,
    ];
}
