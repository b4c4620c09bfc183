//! Drives one server session over TCP. Makes no protocol decisions.

use std::io;

use deaddrop_core::exchange::ServerSession;
use deaddrop_core::exchange::server::Read;
use deaddrop_core::limits::CONTROL_RECORD;
use deaddrop_core::session::Close;
use deaddrop_core::token::Token;

use super::server::Server;
use crate::bulk::encrypt::EncryptPipeline;
use crate::files::source::Source;
use crate::transport::frame::{FrameBuf, Progress};
use crate::transport::link::{Interest, Link};
use crate::{clock, random::system};

/// Records, or batches of them, sent in a row before other tasks of the thread run.
const MESSAGES_PER_TURN: usize = 16;

/// Serves one connection until it ends. The server is told of the end even if the task is dropped before.
pub(crate) async fn serve_connection(server: &Server, session: ServerSession, link: Link) {
    let mut connection = Connection {
        server,
        session,
        link,
        inbound: FrameBuf::new(CONTROL_RECORD),
        outbound: FrameBuf::new(CONTROL_RECORD),
        pipeline: None,
        close: None,
        broken: false,
    };
    let end = connection.run().await;
    connection.broken = end.is_err();
    connection.close = Some(end.unwrap_or(Close::Reset));
}

struct Connection<'a> {
    server: &'a Server,
    session: ServerSession,
    link: Link,
    inbound: FrameBuf,
    outbound: FrameBuf,
    /// Makes the data records of a large drop, while it streams.
    pipeline: Option<(Token, EncryptPipeline)>,
    /// How to close; `None` until the session has said so.
    close: Option<Close>,
    /// It failed, so the peer may not have what was said last.
    broken: bool,
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        // The task was dropped before its session ended: the sender is about to end.
        let close = self.close.unwrap_or_else(|| {
            self.session.stop();
            self.session.closing().unwrap_or(Close::Reset)
        });
        self.link.close(close);
        self.server.closed(&mut self.session, self.broken);
    }
}

impl Connection<'_> {
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
            let outbound = match self.write() {
                Ok(outbound) => outbound,
                Err(e) => {
                    // What the peer said before it went still counts: it may have released its claim.
                    while self.session.closing().is_none() && self.read().unwrap_or(false) {}
                    return Err(e);
                }
            };
            if let Some(close) = self.session.closing() {
                // A peer that is slow to read may not have the last message yet.
                let said = outbound == Outbound::Idle || late || self.server.is_stopping();
                if said || close == Close::Reset {
                    return Ok(close);
                }
            }
            if outbound == Outbound::More {
                // Other tasks run first; then what the peer has said is read before more is written.
                smol::future::yield_now().await;
            }
            let read = self.read()?;
            if read || outbound == Outbound::More {
                continue;
            }
            let until = self.server.with(|serving| self.session.poll_timeout(serving));
            let interest = Interest {
                // A hang-up of a peer that may not speak now shows when we write, or when its time is up.
                read: self.session.wants().is_some(),
                write: outbound == Outbound::Blocked,
                until,
            };
            self.link.wait(interest).await?;
        }
    }

    /// Takes one message from the peer, if one is whole.
    fn read(&mut self) -> io::Result<bool> {
        let Some(len) = self.session.wants() else { return Ok(false) };
        match self.inbound.read(self.link.stream(), len)? {
            Progress::Partial => return Ok(false),
            Progress::Closed => self.session.handle_close(),
            Progress::Whole => {
                self.inbound.position = 0;
                let message = self.inbound.buffer.get_mut(..len).unwrap_or_default();
                self.server.handle_message(&mut self.session, message);
            }
        }
        Ok(true)
    }

    /// Starts the threads for a large drop that is about to stream.
    fn start_pipeline(&self) -> Option<(Token, EncryptPipeline)> {
        let record_len = self.session.record_len();
        if !EncryptPipeline::is_worthwhile(self.session.data_records(), record_len) {
            return None;
        }
        let token = self.session.poll_read()?.token;
        let source = self.server.source(&token)?;
        let sealer = self.session.batch_sealer()?;
        let (memory, stream, notify) = (self.server.batch_memory(), self.link.stream(), self.link.notify());
        Some((token, EncryptPipeline::start(source, sealer, record_len, memory, stream, notify)?))
    }

    /// Writes what the session has to say, as far as the socket takes it.
    fn write(&mut self) -> io::Result<Outbound> {
        for _ in 0..MESSAGES_PER_TURN {
            match self.outbound.write(self.link.stream())? {
                Progress::Partial => return Ok(Outbound::Blocked),
                Progress::Closed => return Err(io::ErrorKind::BrokenPipe.into()),
                Progress::Whole => {}
            }
            (self.outbound.position, self.outbound.end) = (0, 0);
            if self.pipeline.is_none() {
                self.pipeline = self.start_pipeline();
            }
            if let Some((token, pipeline)) = &mut self.pipeline {
                match next_batch(pipeline, *token, self.server, &mut self.session, &mut self.outbound)? {
                    Batches::Next => continue,
                    Batches::Last => {
                        self.pipeline = None;
                        continue;
                    }
                    Batches::NotYet => return Ok(Outbound::Encrypting),
                    Batches::Over => self.pipeline = None,
                }
            }
            if let Some(read) = self.session.poll_read() {
                self.outbound.grow(read.len.max(self.session.record_len()));
                let Some(source) = self.server.source(&read.token) else {
                    self.server.with(|serving| self.session.handle_ended(clock::now(), serving));
                    continue;
                };
                if !read_source(&source, &read, &mut self.outbound.buffer) {
                    self.server.handle_changed(&mut self.session, read.token);
                    continue;
                }
                let len = self.server.with(|serving| {
                    self.session.handle_read(clock::now(), serving, &mut self.outbound.buffer)
                });
                self.outbound.end = len.map_err(io::Error::other)?;
                continue;
            }
            self.outbound.grow(self.session.record_len());
            let len = self.server.poll_transmit(&mut self.session, &mut self.outbound.buffer);
            match len.map_err(io::Error::other)? {
                Some(len) => self.outbound.end = len,
                None => return Ok(Outbound::Idle),
            }
        }
        Ok(Outbound::More)
    }
}

/// What the pipeline has to send.
enum Batches {
    /// The next batch is in the buffer.
    Next,
    /// The next batch is in the buffer, and ends the stream.
    Last,
    /// It is still being encrypted; a notification follows.
    NotYet,
    /// There are no more.
    Over,
}

/// Puts the next encrypted batch into `outbound`, and keeps the threads at work.
fn next_batch(
    pipeline: &mut EncryptPipeline,
    token: Token,
    server: &Server,
    session: &mut ServerSession,
    outbound: &mut FrameBuf,
) -> io::Result<Batches> {
    pipeline.feed(outbound, |most| {
        let taken = server.with(|serving| session.take_batch(clock::now(), serving, most));
        taken.map(|(batch, _)| batch)
    });
    let next = pipeline
        .next(outbound)
        .map_err(|_| io::Error::other("a thread that encrypts records has panicked"))?;
    let Some(ready) = next else {
        return Ok(if pipeline.is_busy() { Batches::NotYet } else { Batches::Over });
    };
    if ready.changed {
        server.handle_changed(session, token);
        session.handle_batch_ended();
        return Ok(Batches::Last);
    }
    Ok(Batches::Next)
}

/// Fills the front of `buffer` with the bytes that the session asks for; false if the source has changed.
fn read_source(source: &Source, read: &Read, buffer: &mut [u8]) -> bool {
    let Some(to) = buffer.get_mut(..read.len) else { return false };
    source.read_at(read.offset, to).is_ok() && source.unchanged().unwrap_or(false)
}

/// How far the outbound messages have come.
#[derive(PartialEq, Eq)]
enum Outbound {
    /// All is written.
    Idle,
    /// There is more, but other tasks run first.
    More,
    /// The socket takes no more now.
    Blocked,
    /// There will be more once it is encrypted; a notification follows.
    Encrypting,
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::Arc;
    use std::time::Duration;

    use deaddrop_core::crypto::keys::RoomSecret;
    use deaddrop_core::drops::{DropSpec, Fetches};
    use deaddrop_core::limits::{PROGRESS_EVERY, RECORD_MAX};
    use deaddrop_core::offer::Kind;
    use deaddrop_core::session::{ClientEvent, FetchPlan};
    use deaddrop_core::token::FetchId;
    use deaddrop_core::wire::ErrorCode;
    use smol::{Async, future};

    use super::*;
    use crate::fetch::connection::ClientConnection;
    use crate::fetch::credentials::Credentials;
    use crate::files::source::SourceFile;

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
        let (server, credentials) = (Server::new(&room), Arc::new(Credentials::new(&room)));
        let spec = DropSpec {
            kind: Kind::File,
            name,
            size: size as u64,
            ttl: Duration::from_secs(60),
            fetches: Fetches::Counted(1),
        };
        let token = server.put(spec, Source::File(file)).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        // The sender's socket takes less at once than one record, so that the last one, too, is written in parts.
        // The receiver's takes some: with less than a segment TCP waits for timers, and the test takes seconds.
        let small = |stream: &std::net::TcpStream| {
            socket2::SockRef::from(stream).set_send_buffer_size(4_096).unwrap();
            socket2::SockRef::from(stream).set_recv_buffer_size(128 << 10).unwrap();
        };
        let serving = async {
            let (stream, from) = Async::new(listener).unwrap().accept().await.unwrap();
            small(stream.get_ref());
            let link = Link::accepted(stream.into_inner().unwrap()).unwrap();
            let (session, _) = server.open(from.ip().into(), link.notify());
            serve_connection(&server, session, link).await;
        };
        let fetching = async {
            let link =
                Link::connect(address.into(), clock::now() + Duration::from_secs(10), None).await.unwrap();
            small(link.stream());
            let id = FetchId::random(&mut system());
            let mut connection = ClientConnection::over(link, address.into(), &credentials, None).unwrap();
            let plan = FetchPlan { token, id, record_max: RECORD_MAX, offset: 0, digest: None };
            let (mut stored, mut told) = (0, clock::now());
            loop {
                match connection.turn(None).await {
                    Ok(Some(ClientEvent::Ready)) => connection.session.fetch(clock::now(), &plan).unwrap(),
                    Ok(Some(ClientEvent::Begin(_))) => {
                        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
                        file.write_all(b"more").unwrap();
                    }
                    Ok(Some(ClientEvent::Data { len })) => {
                        stored += len as u64;
                        // On a busy machine this takes longer than a claim lasts without a sign of life. No more of
                        // them than are due: a close with unread bytes at the sender is a reset.
                        if told + PROGRESS_EVERY <= clock::now() {
                            told = clock::now();
                            connection.session.progress(stored).unwrap();
                        }
                    }
                    Ok(None) => {}
                    end => break end,
                }
            }
        };
        let ((), end) = smol::block_on(future::zip(serving, fetching));
        assert_eq!(end.unwrap(), Some(ClientEvent::Refused(ErrorCode::Changed)));
    }
}
