//! The cable and the address: what follows when they come and go.

use embassy_futures::select::{select, select3};

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
        let network = stack.config_v4().filter(|_| stack.is_link_up()).map(|config| config.address);
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
        let round = clock::at(now + ROUND);
        if network.is_some() {
            select3(stack.wait_link_down(), stack.wait_config_down(), round).await;
        } else if stack.is_link_up() {
            select3(stack.wait_link_down(), stack.wait_config_up(), round).await;
        } else {
            select(stack.wait_link_up(), round).await;
        }
    }
}
