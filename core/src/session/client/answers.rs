//! What each record of a server means to the request that the client has made.

use super::{Awaits, ClientEvent, Dialogue};
use crate::session::RecordLayout;
use crate::wire::Answer;

impl Dialogue {
    // `None` breaks the protocol; `Some(None)` says nothing.

    #[inline(never)]
    pub(super) fn handle_control(&mut self, payload: &[u8]) -> Option<Option<ClientEvent>> {
        self.handle_answer(Answer::parse(payload).ok()?)
    }

    pub(super) fn handle_answer(&mut self, answer: Answer) -> Option<Option<ClientEvent>> {
        if let Answer::Error(code) = answer {
            // The exchange is over; drop unsent messages about it.
            self.awaits = Awaits::Nothing;
            self.request = None;
            self.progress = None;
            return Some(Some(ClientEvent::Refused(code)));
        }
        match (&mut self.awaits, answer) {
            (Awaits::List { left, filled }, answer) => {
                *left = left.checked_sub(1)?;
                let last = *left == 0;
                // Fillers stand for lines that are not there, so no line comes after one.
                match answer {
                    Answer::End { revision, more } if last && !(more && *filled) => {
                        self.awaits = Awaits::Nothing;
                        Some(Some(ClientEvent::ListEnd { revision, more }))
                    }
                    Answer::Filler if !last => {
                        *filled = true;
                        Some(None)
                    }
                    _ if last || *filled => None,
                    Answer::Offer(offer) => Some(Some(ClientEvent::Offer(offer))),
                    Answer::Ending(ending) => Some(Some(ClientEvent::Ending(ending))),
                    _ => None,
                }
            }
            (Awaits::Begin { offset }, Answer::Begin(begin)) => {
                let asked = *offset == begin.offset && begin.record <= self.record_max;
                if !asked {
                    return None;
                }
                let cut = RecordLayout::new(begin.offset, begin.size, begin.record);
                self.awaits = Awaits::Stream { record: begin.record, cut, at: begin.offset, ready: false };
                Some(Some(ClientEvent::Begin(begin)))
            }
            (Awaits::Burned, Answer::Burned) => {
                self.awaits = Awaits::Nothing;
                Some(Some(ClientEvent::Burned))
            }
            _ => None,
        }
    }

    pub(super) fn handle_data(&mut self, len: usize) -> Option<Option<ClientEvent>> {
        let Awaits::Stream { record, cut, at, .. } = &mut self.awaits else { return None };
        if *at >= cut.last_at || len != *record as usize {
            return None;
        }
        *at = at.checked_add(u64::from(*record))?;
        Some(Some(ClientEvent::Data { len }))
    }

    pub(super) fn handle_final(&mut self, len: usize) -> Option<Option<ClientEvent>> {
        let Awaits::Stream { cut, at, ready, .. } = &self.awaits else { return None };
        if *at != cut.last_at || !*ready || len != cut.last_len as usize {
            return None;
        }
        self.awaits = Awaits::Whole;
        Some(Some(ClientEvent::Final { len }))
    }
}
