//! Taking a drop from a sender: claim it, receive it, confirm it.

mod claim;
mod receive;

pub(crate) use claim::{Claim, Refusal, Wanted, claim};
pub(crate) use receive::{Broken, receive};
