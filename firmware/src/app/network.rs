//! The network task: follows link and address, and tells the others when they change.

use core::future::poll_fn;
use core::net::Ipv4Addr;
use core::pin::pin;
use core::task::Poll;

use deaddrop_core::time::Instant;
use embassy_futures::select::select;
use embassy_net::{Ipv4Cidr, Stack};

use super::clock;
use super::context::Online;
use super::liveness::{CHECK_IN_EVERY, Task};
use super::silence::{Silence, Verdict};
use super::state::AppState;
use crate::board::Wire;
use crate::mailbox::Event;

/// Runs for ever.
pub(super) async fn network_task(app: &AppState) {
    let mut silence = Silence::new(clock::now());
    let mut taken = Ipv4Addr::UNSPECIFIED;
    loop {
        let now = clock::now();
        app.context.liveness.check_in(Task::Network, now);
        let stack = app.stack;
        listen(app, &mut silence, now);
        let before_taken = taken;
        taken = app.wire.map_or(taken, Wire::taken);
        if taken != before_taken && !taken.is_unspecified() {
            app.mailbox.post(Event::AddressTaken(taken));
        }
        let network = current(stack);
        let before = app.context.online.get();
        if network != before.network {
            // Open connections end: they belong to the old address.
            app.context.online.set(Online { network, generation: before.generation.wrapping_add(1) });
            if network.is_some() {
                app.with(|tables| {
                    tables.advertiser.reannounce(now);
                    tables.browser.resolicit(now);
                });
            }
            app.mailbox.post(Event::Address(network.map(|network| network.address())));
            app.context.notify.notify();
        }
        select(until_other(stack, network), clock::at(now + CHECK_IN_EVERY)).await;
    }
}

/// Judges the silence on the wire. While it is suspicious, `Wire` does not check in.
fn listen(app: &AppState, silence: &mut Silence, now: Instant) {
    // Where addresses are link-local, there may be nobody who has anything to say, and no gateway to ask.
    let expected = |wire: &Wire| app.stack.is_link_up() && wire.chosen().is_unspecified();
    let verdict = app.wire.map_or(Verdict::Fine, |wire| silence.judge(now, wire.received(), expected(wire)));
    // A restart would lose what is kept in RAM.
    if verdict != Verdict::Deaf || app.store.borrow().iter().next().is_some() {
        app.context.liveness.check_in(Task::Wire, now);
    }
    if verdict == Verdict::Ask {
        app.context.ask_gateway.set(true);
    }
}

/// The board's address and its network; `None` while the link is down.
fn current(stack: Stack<'_>) -> Option<Ipv4Cidr> {
    stack.config_v4().filter(|_| stack.is_link_up()).map(|config| config.address)
}

/// Waits until [`current`] is not `network` any more.
async fn until_other(stack: Stack<'_>, network: Option<Ipv4Cidr>) {
    poll_fn(|context| {
        // The stack has no future for this alone. One of these two is pending, and registers the waker that the stack
        // wakes at every change of its state.
        let _ = (pin!(stack.wait_link_up()).poll(context), pin!(stack.wait_link_down()).poll(context));
        if current(stack) == network { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}
