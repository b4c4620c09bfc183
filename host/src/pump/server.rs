//! A server session over a link.

use std::io;
use std::net::IpAddr;

use deaddrop_core::exchange::ServerSession;
use deaddrop_core::limits::CONTROL_RECORD;
use deaddrop_core::session::Close;

use super::sealing::Sealing;
use super::{Carried, Carrier};
use crate::net::link::{Interest, Link, close};
use crate::serve::Server;
use crate::{clock, random::system};

/// Records, or batches of them, to send in a row before others get their turn.
const MESSAGES_PER_TURN: usize = 16;

/// Serves one connection until it ends; settles its accounts whatever happens to the task.
pub(crate) async fn serve_connection<L: Link>(server: &Server, link: L, source: IpAddr) {
    let session = server.open(source);
    let mut connection = Connection {
        server,
        session,
        link,
        inward: Carrier::new(CONTROL_RECORD),
        outward: Carrier::new(CONTROL_RECORD),
        sealing: None,
        how: None,
    };
    connection.how = Some(connection.run().await.unwrap_or(Close::Reset));
}

struct Connection<'a, L: Link> {
    server: &'a Server,
    session: ServerSession,
    link: L,
    inward: Carrier,
    outward: Carrier,
    /// Where the records of a large drop come from, while it streams.
    sealing: Option<Sealing>,
    how: Option<Close>,
}

impl<L: Link> Drop for Connection<'_, L> {
    fn drop(&mut self) {
        // Without a word from the session the task was dropped: the process is about to end.
        let how = self.how.unwrap_or_else(|| {
            self.session.stop();
            self.session.closing().unwrap_or(Close::Reset)
        });
        close(self.link.stream(), how);
        self.server.closed(&mut self.session);
    }
}

impl<L: Link> Connection<'_, L> {
    async fn run(&mut self) -> io::Result<Close> {
        loop {
            if !self.session.is_member() {
                self.server.with(|serving| self.session.handle_wake(clock::now(), serving, &mut system()));
            }
            if self.server.is_stopping() {
                self.session.stop();
            }
            let late = self.server.with(|serving| {
                let now = clock::now();
                let late = self.session.poll_timeout(serving).is_some_and(|at| at <= now);
                self.session.handle_timeout(now, serving);
                late
            });
            let outward = match self.write() {
                Ok(outward) => outward,
                Err(e) => {
                    // What the peer said before it went still counts: it may have given its claim back.
                    while self.session.closing().is_none() && self.read().unwrap_or(false) {}
                    return Err(e);
                }
            };
            if let Some(how) = self.session.closing() {
                // What was said last may still be on its way to a peer that is slow to read.
                let said = outward == Outward::Idle || late || self.server.is_stopping();
                if said || how == Close::Reset {
                    return Ok(how);
                }
            }
            if outward == Outward::More {
                // Others get their turn; what the peer has said is looked at first.
                smol::future::yield_now().await;
            }
            let heard = self.read()?;
            if heard || outward == Outward::More {
                continue;
            }
            let until = self.server.with(|serving| self.session.poll_timeout(serving));
            let interest = Interest {
                // A peer that may not speak now may still hang up, but that shows when we write or time out.
                read: self.session.wants().is_some(),
                write: outward == Outward::Blocked,
                until,
            };
            self.link.wait(interest).await?;
        }
    }

    /// Takes one message from the peer, if one is whole.
    fn read(&mut self) -> io::Result<bool> {
        let Some(len) = self.session.wants() else { return Ok(false) };
        match self.inward.read(self.link.stream(), len)? {
            Carried::Partly => return Ok(false),
            Carried::Closed => self.session.handle_close(),
            Carried::Whole => {
                self.inward.at = 0;
                let message = self.inward.buffer.get_mut(..len).unwrap_or_default();
                self.server.handle_message(&mut self.session, message);
            }
        }
        Ok(true)
    }

    /// Writes what there is to say.
    fn write(&mut self) -> io::Result<Outward> {
        for _ in 0..MESSAGES_PER_TURN {
            match self.outward.write(self.link.stream())? {
                Carried::Partly => return Ok(Outward::Blocked),
                Carried::Closed => return Err(io::ErrorKind::BrokenPipe.into()),
                Carried::Whole => {}
            }
            (self.outward.at, self.outward.end) = (0, 0);
            if self.sealing.is_none() {
                self.sealing =
                    Sealing::start(self.server, &self.session, self.link.stream(), self.link.knock());
            }
            if let Some(sealing) = &mut self.sealing {
                match next_batch(sealing, self.server, &mut self.session, &mut self.outward)? {
                    Batches::Next => continue,
                    Batches::Last => {
                        self.sealing = None;
                        continue;
                    }
                    Batches::NotYet => return Ok(Outward::Sealing),
                    Batches::Over => self.sealing = None,
                }
            }
            if let Some(read) = self.session.poll_read() {
                self.outward.grow(read.len.max(self.session.record_len()));
                let Some(source) = self.server.source(&read.token) else {
                    self.server.with(|serving| self.session.handle_ended(clock::now(), serving));
                    continue;
                };
                if !read_source(&source, &read, &mut self.outward.buffer) {
                    self.server.handle_changed(&mut self.session, read.token);
                    continue;
                }
                let len = self.server.with(|serving| {
                    self.session.handle_read(clock::now(), serving, &mut self.outward.buffer)
                });
                self.outward.end = len.map_err(io::Error::other)?;
                continue;
            }
            self.outward.grow(self.session.record_len());
            let len = self
                .server
                .with(|serving| self.session.poll_transmit(clock::now(), serving, &mut self.outward.buffer));
            match len.map_err(io::Error::other)? {
                Some(len) => self.outward.end = len,
                None => return Ok(Outward::Idle),
            }
        }
        Ok(Outward::More)
    }
}

enum Batches {
    /// The next batch is in the carrier.
    Next,
    /// The next batch is in the carrier, and is the end of the stream.
    Last,
    /// It is still being sealed.
    NotYet,
    /// There are no more.
    Over,
}

/// Puts the next records that the crew has sealed into `outward`, and keeps the crew at work.
fn next_batch(
    sealing: &mut Sealing,
    server: &Server,
    session: &mut ServerSession,
    outward: &mut Carrier,
) -> io::Result<Batches> {
    sealing.feed(server, session);
    let next = sealing.next().map_err(|_| io::Error::other("a thread that seals records has panicked"))?;
    let Some(mut sealed) = next else {
        return Ok(if sealing.is_busy() { Batches::NotYet } else { Batches::Over });
    };
    std::mem::swap(&mut outward.buffer, &mut sealed.buffer);
    outward.end = sealed.len;
    sealing.recycle(sealed.buffer);
    if sealed.changed {
        server.handle_changed(session, sealing.token);
        session.handle_batch_ended();
        return Ok(Batches::Last);
    }
    Ok(Batches::Next)
}

/// Fills the front of `buffer` with what was asked for; false if the source is not what was offered.
fn read_source(
    source: &crate::files::source::Source,
    read: &deaddrop_core::exchange::server::Read,
    buffer: &mut [u8],
) -> bool {
    let Some(to) = buffer.get_mut(..read.len) else { return false };
    source.read_at(read.offset, to).is_ok() && source.unchanged().unwrap_or(false)
}

#[derive(PartialEq, Eq)]
enum Outward {
    /// All is written.
    Idle,
    /// There is more, but it is others' turn.
    More,
    /// The connection takes no more now.
    Blocked,
    /// There will be more once it is sealed; that will be told.
    Sealing,
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Duration;

    use deaddrop_core::crypto::keys::RoomSecret;
    use deaddrop_core::drops::DropSpec;
    use deaddrop_core::offer::Kind;
    use deaddrop_core::session::ClientEvent;
    use deaddrop_core::token::FetchId;
    use deaddrop_core::wire::ErrorCode;
    use smol::{Async, future};

    use super::*;
    use crate::fetch::{Wanted, claim};
    use crate::files::source::{Source, SourceFile};
    use crate::member::Member;
    use crate::net::link::SmolLink;

    #[test]
    fn a_slow_receiver_still_hears_why_its_stream_ends() {
        // Record by record, and in batches.
        for size in [1 << 20, 4 << 20] {
            hears_why(size);
        }
    }

    fn hears_why(size: usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drop.bin");
        std::fs::write(&path, vec![7; size]).unwrap();
        let file = SourceFile::open(&path).unwrap();
        let name = file.name(None).unwrap();
        let room = RoomSecret::new([1; 32]);
        let (server, member) = (Server::new(&room), Member::new(&room, None));
        let terms =
            DropSpec { kind: Kind::File, name, size: size as u64, ttl: Duration::from_secs(60), fetches: 1 };
        let token = server.put(terms, Source::File(file)).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        // The sender's socket takes less at once than one record, so that the last one, too, is written in parts.
        // The receiver's takes some, for with less than a segment TCP waits for timers and all takes seconds.
        let small = |stream: &std::net::TcpStream| {
            socket2::SockRef::from(stream).set_send_buffer_size(4_096).unwrap();
            socket2::SockRef::from(stream).set_recv_buffer_size(128 << 10).unwrap();
        };
        let serving = async {
            let (stream, from) = Async::new(listener).unwrap().accept().await.unwrap();
            small(stream.get_ref());
            let link = SmolLink::accepted(stream.into(), server.bell.clone());
            serve_connection(&server, link, from.ip()).await;
        };
        let fetching = async {
            let link = SmolLink::connect(address, None).await.unwrap();
            small(link.stream());
            let wanted = Wanted::Token(token.into());
            let id = FetchId::random(&mut system());
            let mut claim = claim(link, &member, None, &wanted, id, None).await.ok().unwrap();
            std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"more").unwrap();
            let mut stored = 0;
            loop {
                match claim.pump.next().await {
                    Ok(ClientEvent::Data { len }) => {
                        // On a busy machine this takes longer than a claim lasts without a sign of life.
                        stored += len as u64;
                        claim.pump.stored(stored);
                    }
                    end => break end,
                }
            }
        };
        let ((), end) = smol::block_on(future::zip(serving, fetching));
        assert_eq!(end.unwrap(), ClientEvent::Refused(ErrorCode::Changed));
    }
}
