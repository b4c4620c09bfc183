//! What the console asks of the process.

use std::io;

use async_channel::Receiver;
use deaddrop_windows::console;

use crate::platform::Request;

/// What the system asks of this process, for as long as this is there.
pub(crate) struct Requests(Receiver<Request>);

impl Requests {
    pub(crate) fn new() -> io::Result<Self> {
        let (send, requests) = async_channel::unbounded();
        console::on_request(move |request| {
            let request = match request {
                console::Request::Interrupt => Request::Interrupt,
                console::Request::Break | console::Request::Close => Request::Terminate,
            };
            // Fails when nobody waits any more, because the process ends.
            let _ = send.try_send(request);
        })?;
        Ok(Self(requests))
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) -> io::Result<Request> {
        self.0.recv().await.map_err(|_| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Stops this process until it is told to go on: the system has no such thing, and never asks for it.
pub(crate) fn suspend() {}
