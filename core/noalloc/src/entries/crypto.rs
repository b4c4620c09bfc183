use core::fmt::{Debug, Display};

use deaddrop_core::crypto::cipher::{Cipher, Refused, RustCrypto};
use deaddrop_core::crypto::counter::{Counter, CounterRange, Counters, Exhausted};
use deaddrop_core::crypto::cpace::{Exchange, InvalidPeer, Isk};
use deaddrop_core::crypto::digest::PrefixDigest;
use deaddrop_core::crypto::keys::{self, Prs, RoomSecret, SessionKeys};
use deaddrop_core::crypto::record::{OpenError, Opener, RecordKey, RecordKind, SealError, Sealer};

use super::Rng;

pub(super) fn keep() {
    keep![
        <RustCrypto as Cipher>::seal,
        <RustCrypto as Cipher>::open,
        <Refused as Display>::fmt,
        Counter::index,
        Counters::issue,
        Counters::take,
        CounterRange::left,
        <CounterRange as Iterator>::next,
        <CounterRange as Iterator>::size_hint,
        <Exhausted as Display>::fmt,
        Exchange::start as fn(&Prs, &[u8], &[u8; 32], &mut Rng) -> Exchange,
        Exchange::share,
        Exchange::finish_initiator,
        Exchange::finish_responder,
        <Exchange as Debug>::fmt,
        <InvalidPeer as Display>::fmt,
        <Isk as Debug>::fmt,
        PrefixDigest::new,
        PrefixDigest::range,
        PrefixDigest::update,
        PrefixDigest::finish,
        PrefixDigest::matches,
        keys::transcript,
        Prs::new,
        Prs::expose,
        <Prs as Debug>::fmt,
        RoomSecret::new,
        RoomSecret::fill_with as fn(fn(&mut [u8; 32])) -> RoomSecret,
        RoomSecret::expose,
        RoomSecret::prs,
        <RoomSecret as Debug>::fmt,
        SessionKeys::derive,
        <OpenError as Display>::fmt,
        <OpenError as From<Exhausted>>::from,
        Opener::new,
        Opener::open,
        Opener::key,
        Opener::counters,
        RecordKey::new,
        RecordKey::seal_at,
        RecordKey::open_at,
        <RecordKey as Debug>::fmt,
        <RecordKind as TryFrom<u8>>::try_from,
        <SealError as Display>::fmt,
        <SealError as From<Exhausted>>::from,
        Sealer::new,
        Sealer::seal,
        Sealer::key,
        Sealer::counters,
    ];
}
