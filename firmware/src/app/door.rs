//! The door: whoever comes while all places are taken is told to come again.
//!
//! Without it the network stack would refuse the connection, as that of a host that serves nothing: three of those in a
//! row, and listeners take what a board offers for lost.

use deaddrop_core::guard::server::RETRY_AFTER;
use deaddrop_core::session::Close;
use embassy_net::tcp::TcpSocket;

use super::connection::Connection;
use super::member::Member;
use super::rounds::Part;
use super::serve::accept;

/// Turns people away for ever. Its socket comes after those of the places in the stack's table, so that it gets what
/// they leave.
pub(super) async fn door(member: &Member, socket: &mut TcpSocket<'static>) {
    loop {
        accept(member, Part::Door, socket).await;
        let greeting = member.with(|state| state.serving.turn_away(RETRY_AFTER, &mut state.rng));
        let mut connection = Connection::new(member, Part::Door, socket);
        let how = if connection.send(&greeting) { Close::Clean } else { Close::Reset };
        connection.close(how).await;
    }
}
