//! A server session over a link.

use std::io;
use std::net::IpAddr;

use deaddrop_core::limits::CONTROL_RECORD;
use deaddrop_core::session::{Close, ServerSession};

use super::{Carried, Carrier};
use crate::net::link::{Interest, Link, close};
use crate::serve::Server;
use crate::{clock, random::system};

/// Records to send in a row before others get their turn.
const RECORDS_PER_TURN: usize = 16;

/// Serves one connection until it ends; settles its accounts whatever happens to the task.
pub(crate) async fn serve_connection<L: Link>(server: &Server, link: L, source: IpAddr) {
    let session = server.open(source);
    let mut connection = Connection {
        server,
        session,
        link,
        inward: Carrier::new(CONTROL_RECORD),
        outward: Carrier::new(CONTROL_RECORD),
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
            if self.server.is_evicted(self.session.conn()) {
                return Ok(Close::Reset);
            }
            if self.session.is_parked() && self.server.is_granted(self.session.conn()) {
                self.server.with(|serving| self.session.handle_granted(clock::now(), serving, &mut system()));
            }
            if self.server.is_stopping() {
                self.session.stop();
            }
            self.server.with(|serving| self.session.handle_timeout(clock::now(), serving));
            let outward = match self.write() {
                Ok(outward) => outward,
                Err(e) => {
                    // What the peer said before it went still counts: it may have given its claim back.
                    while self.session.closing().is_none() && self.read().unwrap_or(false) {}
                    return Err(e);
                }
            };
            if let Some(how) = self.session.closing() {
                return Ok(how);
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
        for _ in 0..RECORDS_PER_TURN {
            match self.outward.write(self.link.stream())? {
                Carried::Partly => return Ok(Outward::Blocked),
                Carried::Closed => return Err(io::ErrorKind::BrokenPipe.into()),
                Carried::Whole => {}
            }
            (self.outward.at, self.outward.end) = (0, 0);
            if let Some(read) = self.session.poll_read() {
                self.outward.grow(read.len.max(self.session.record_len()));
                let Some(source) = self.server.source(&read.token) else {
                    self.server.with(|serving| self.session.handle_ended(clock::now(), serving));
                    continue;
                };
                if !read_source(&source, &read, &mut self.outward.buffer) {
                    self.server.handle_changed(&mut self.session);
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

/// Fills the front of `buffer` with what was asked for; false if the source is not what was offered.
fn read_source(
    source: &crate::files::source::Source,
    read: &deaddrop_core::session::Read,
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
}
