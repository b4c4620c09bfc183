//! Receives the data records of a large drop with several threads.

use std::time::Duration;

use deaddrop_core::exchange::fetch::Pace;
use deaddrop_core::exchange::{Fetch, Step};
use deaddrop_core::session::ClientError;
use deaddrop_core::time::Instant;

use super::connection::ClientConnection;
use super::error::ConnectionError;
use super::leads::Leads;
use super::progress::Counters;
use crate::bulk::decrypt::{DecryptPipeline, Intake, StreamEnd};
use crate::files::target::Target;
use crate::stop::Stopper;
use crate::transport::link::Interest;
use crate::{clock, random::system};

/// How long whole records wait for others to make a batch with.
const BATCH_WAIT: Duration = Duration::from_millis(50);

/// Receives and stores all data records of a large drop but its final one, in order and without a gap. Returns early if
/// the server ends the stream, the fetch asks for something else, a lead is given, or `stop` is used; at once for a drop
/// that is not large.
///
/// When the connection breaks, the batches in flight are still stored: the next connection resumes after them.
pub(super) async fn receive_bulk(
    fetch: &mut Fetch,
    connection: &mut ClientConnection,
    incoming: &mut Target,
    pace: &mut Pace,
    counters: &Counters,
    leads: &Leads,
    stop: &Stopper,
) -> Result<(), ConnectionError> {
    let Some(writer) = incoming.writer() else { return Ok(()) };
    let pipeline =
        DecryptPipeline::start(&connection.session, writer, connection.stream(), connection.notify());
    let Some(mut pipeline) = pipeline else { return Ok(()) };
    let mut broken: Option<ConnectionError> = None;
    loop {
        let now = clock::now();
        if fetch.poll_timeout().is_some_and(|at| at <= now) {
            fetch.handle_timeout(now, Some(&mut connection.session), &mut system());
        }
        fetch.judge_pace(now, pace, &mut connection.session, &mut system());
        if stop.is_stopped() || !matches!(fetch.poll_step(None), Step::Drive) {
            return Ok(());
        }
        if broken.is_none() && leads.any() {
            broken = Some(ClientError::Reset.into());
        }
        let (stored, end) = pipeline.stored(&connection.session, broken.is_some())?;
        if stored > 0 {
            incoming.advance(stored);
            counters.count(incoming);
            fetch.handle_stored(now, incoming.stored());
            incoming.checkpoint().map_err(ConnectionError::Save)?;
        }
        match end {
            Some(StreamEnd::Refused(code)) => {
                let event = connection.session.handle_refused(code)?;
                fetch.handle_event(now, &mut connection.session, event, &mut system());
                return Ok(());
            }
            Some(StreamEnd::Forged) => return Err(ClientError::Protocol.into()),
            Some(StreamEnd::Save(error)) => return Err(ConnectionError::Save(error)),
            None => {}
        }
        let interest = match &broken {
            Some(_) => Interest::default(),
            None => match read(connection, &mut pipeline) {
                Ok(Some(interest)) => interest,
                Ok(None) => {
                    // With a sender that always has more, this task would otherwise never wait.
                    smol::future::yield_now().await;
                    continue;
                }
                Err(error) => {
                    broken = Some(error);
                    continue;
                }
            },
        };
        if !pipeline.is_busy() {
            match broken {
                Some(error) => return Err(error),
                None if connection.session.data_records() == 0 => return Ok(()),
                None => {}
            }
        }
        let batch = pipeline.has_whole().then(|| clock::now() + BATCH_WAIT);
        let until = [connection.session.poll_timeout(), fetch.poll_timeout(), batch];
        let until = until.into_iter().fold(None, Instant::earliest);
        connection.wait(Interest { until, ..interest }).await?;
    }
}

/// Writes and reads what the socket takes and has; says what to wait for, or `None` if there is more to read.
fn read(
    connection: &mut ClientConnection,
    pipeline: &mut DecryptPipeline,
) -> Result<Option<Interest>, ConnectionError> {
    let written = connection.write()?;
    let intake = connection.read_into(pipeline)?;
    match intake {
        Intake::More => return Ok(None),
        Intake::Closed => return Err(connection.session.handle_close(true).into()),
        Intake::Blocked => connection.session.handle_timeout(clock::now())?,
        // We keep the server waiting, not it us.
        Intake::Full => connection.session.handle_pause(clock::now()),
    }
    Ok(Some(Interest { read: intake == Intake::Blocked, write: !written, until: None }))
}
