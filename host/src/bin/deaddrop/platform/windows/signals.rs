//! What the console asks of the process.

use std::io;
use std::sync::OnceLock;

use async_channel::{Receiver, Sender};
use deaddrop_windows::console;

use crate::platform::Request;

/// Where requests go that come with what is typed: the console tells of its size there.
static REQUESTS: OnceLock<Sender<Request>> = OnceLock::new();

/// What the system asks of this process, for as long as this is there.
pub(crate) struct Requests(Receiver<Request>);

impl Requests {
    pub(crate) fn new() -> io::Result<Self> {
        let (send, requests) = async_channel::unbounded();
        // Set once at most: only the first handler is called too.
        let _ = REQUESTS.set(send.clone());
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

/// The console has another size, as the keyboard says.
pub(super) fn resized() {
    // Fails when nobody waits any more, because the process ends.
    let _ = REQUESTS.get().map(|requests| requests.try_send(Request::Resize));
}

/// Stops this process until it is told to go on: the system has no such thing, and never asks for it.
pub(crate) fn suspend() {}
