//! Taking a drop from a sender: claim it, receive it, confirm it.

mod claim;
mod receive;
mod tally;
mod words;

pub(crate) use claim::{Claim, Refusal, Wanted, claim, pick};
pub(crate) use receive::{Broken, make_room, receive};
pub(crate) use tally::{Tally, jittered};
