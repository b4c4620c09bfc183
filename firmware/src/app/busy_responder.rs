//! Answers `busy` when all server slots are in use.
//!
//! Without it the network stack would refuse the connection with RST, as it does for a port that nothing listens on.
//! After three of those in a row, a prober takes the board's offers for lost.

use deaddrop_core::limits::BUSY_RETRY_AFTER;
use deaddrop_core::session::Close;
use embassy_net::tcp::TcpSocket;

use super::connection::Connection;
use super::liveness::Task;
use super::server::accept;
use super::state::AppState;

/// Runs for ever. Its socket comes after those of the server slots in the stack's table, and smoltcp gives a SYN to the
/// first socket that listens: so it gets a connection only when no slot is free.
pub(super) async fn busy_responder(app: &AppState, socket: &mut TcpSocket<'static>) {
    loop {
        accept(&app.context, Task::BusyResponder, socket).await;
        let greeting = app.with(|tables| tables.server.turn_away(BUSY_RETRY_AFTER, &mut tables.rng));
        let mut connection = Connection::new(&app.context, Task::BusyResponder, socket);
        let how = if connection.send(&greeting) { Close::Clean } else { Close::Reset };
        connection.close(how).await;
    }
}
