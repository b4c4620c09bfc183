//! The cable and the address: what follows when they come and go.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use embassy_futures::select::select;
use embassy_net::{Ipv4Cidr, Stack};

use super::clock;
use super::member::{Member, Online};
use super::rounds::{Part, ROUND};
use crate::desk::News;

/// Watches for ever.
pub(super) async fn network(member: &Member) {
    loop {
        let now = clock::now();
        member.rounds.made(Part::Network, now);
        let stack = member.stack;
        let network = current(stack);
        let before = member.online.get();
        if network != before.network {
            // Connections end with the address they were made with.
            member.online.set(Online { network, era: before.era.wrapping_add(1) });
            if network.is_some() {
                member.with(|state| {
                    state.announcer.reannounce(now);
                    state.listener.resolicit(now);
                });
            }
            member.desk.tell(News::Address(network.map(|network| network.address())));
            member.bell.ring();
        }
        select(until_other(stack, network), clock::at(now + ROUND)).await;
    }
}

/// The board's address and its network, while there is a cable to use them with.
fn current(stack: Stack<'_>) -> Option<Ipv4Cidr> {
    stack.config_v4().filter(|_| stack.is_link_up()).map(|config| config.address)
}

/// Until it is another.
async fn until_other(stack: Stack<'_>, network: Option<Ipv4Cidr>) {
    poll_fn(|context| {
        // The stack has no future for just this. One of these two waits, and so is woken by whatever changes.
        let _ = (pin!(stack.wait_link_up()).poll(context), pin!(stack.wait_link_down()).poll(context));
        if current(stack) == network { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}
