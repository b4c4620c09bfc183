//! From a sender that was named: all ports it may serve on, until one has the drop.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use async_channel::unbounded;
use deaddrop_core::token::TokenPrefix;
use smol::{Timer, future};

use super::Seeking;
use crate::clock;
use crate::exit::Failure;
use crate::fetch::{Claim, Refusal, Tally, Wanted, claim, jittered};
use crate::member::Member;
use crate::net::link::SmolLink;
use crate::net::listen::ports;

/// Claims the drop from whichever process at `ip` has it.
pub(super) async fn claim_from<'a>(
    seeking: &Seeking<'a>,
    member: &'a Rc<Member>,
    ip: Ipv4Addr,
    port: Option<u16>,
    token: &TokenPrefix,
) -> Result<Claim<'a, SmolLink>, Failure> {
    let wanted = Wanted::Token(*token);
    let mut ports = ports(port);
    let mut tally = Tally::default();
    loop {
        tally.begin_round();
        let (sender, verdicts) = unbounded();
        let attempts = ports.iter().map(|&port| {
            let (sender, wanted) = (sender.clone(), &wanted);
            async move {
                let address = SocketAddr::new(IpAddr::V4(ip), port);
                let verdict = async {
                    let link = SmolLink::connect(address, Some(seeking.stop))
                        .await
                        .map_err(|e| Refusal::Nobody(e.to_string()))?;
                    claim(link, member, None, wanted, seeking.id, Some(seeking.stop)).await
                };
                let _ = sender.try_send((port, verdict.await));
            }
        });
        let round = all(attempts);
        let mut asked = ports.len();
        let judge = async {
            while asked > 0 {
                let Ok((port, verdict)) = verdicts.recv().await else { break };
                asked -= 1;
                match verdict {
                    Ok(claim) => return Some(Ok(claim)),
                    Err(Refusal::Stopped(failure)) => return Some(Err(failure)),
                    Err(refusal) => tally.note(port, refusal),
                }
            }
            None
        };
        let finished = future::or(judge, async {
            round.await;
            std::future::pending().await
        });
        let late = async {
            // One whole round is always made, each of its connections within its own deadline.
            Timer::after(clock::now().until(seeking.until).max(FIRST_ROUND)).await;
            None
        };
        if let Some(end) = future::or(finished, late).await {
            return end;
        }
        if let Some(failure) = seeking.stop.asked() {
            return Err(failure);
        }
        if let Some(refusal) = tally.verdict() {
            return Err(refusal.failure());
        }
        if clock::now() >= seeking.until && !tally.must_go_on() {
            return Err(tally.likeliest().failure());
        }
        ports.retain(|port| tally.is_worth_asking(*port));
        pause(seeking, tally.retry_after()).await?;
    }
}

/// Long enough for a connection and a handshake.
pub(super) const FIRST_ROUND: Duration = Duration::from_secs(3);

pub(super) async fn pause(seeking: &Seeking<'_>, retry_after: Option<Duration>) -> Result<(), Failure> {
    let waited = async {
        Timer::after(jittered(retry_after)).await;
        Ok(())
    };
    future::or(async { Err(seeking.stop.wait().await) }, waited).await
}

/// Drives all futures until each has ended.
async fn all(attempts: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut attempts: Vec<_> = attempts.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        attempts.retain_mut(|attempt| attempt.as_mut().poll(context).is_pending());
        if attempts.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
