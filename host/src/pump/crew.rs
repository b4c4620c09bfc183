//! Threads that work on the batches of one stream, several at a time, and give them back in the order in which
//! they were handed out.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use async_channel::{Receiver, Sender, unbounded};
use event_listener::Event;
use zeroize::Zeroizing;

/// Most threads on one stream: four seal more than any one socket takes.
const THREADS: usize = 4;
/// Batches under way beside those that threads work on: one that waits for a thread, one that is done and waits for
/// its turn, one that is being read from or written to the socket.
const QUEUED: usize = 3;
/// Bytes of a drop in one batch, about: what a core's cache holds, and so many that threads seldom wake each
/// other, which costs more than all else but the cipher; see decision 0015.
const BATCH: usize = 1024 * 1024;
/// Less than this is not worth starting threads for.
const WORTHWHILE: u64 = 2 * 1024 * 1024;

/// What of the machine's cores is there for one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// All of them: the peer has a machine of its own.
    All,
    /// Half of them: the peer is a process of this machine, and has a crew too. With twice the threads, some wait for a
    /// core behind another thread while a second core idles; see decision 0015.
    Half,
}

impl Share {
    /// What there is for a stream over this connection.
    pub(super) fn over(stream: &TcpStream) -> Self {
        let near = |peer: SocketAddr| stream.local_addr().is_ok_and(|own| own.ip() == peer.ip());
        if stream.peer_addr().is_ok_and(near) { Self::Half } else { Self::All }
    }

    /// How many threads that makes, of so many cores.
    fn threads(self, cores: usize) -> usize {
        let cores = if self == Self::Half { cores / 2 } else { cores };
        cores.clamp(1, THREADS)
    }
}

/// Room for the records of one batch as they are on the wire.
pub(super) type Buffer = Zeroizing<Vec<u8>>;

/// A thread of the crew panicked: the stream cannot go on.
#[derive(Debug)]
pub(super) struct Broken;

/// The threads, and what they have been handed. Dropping it waits for what they are at.
pub(super) struct Crew<J, D> {
    jobs: Sender<(u64, J)>,
    done: Receiver<(u64, D)>,
    /// What is done before its turn.
    early: BTreeMap<u64, D>,
    handed: u64,
    given: u64,
    /// Somebody waits for the next to be done.
    wanted: Arc<AtomicBool>,
    broken: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl<J: Send + 'static, D: Send + 'static> Crew<J, D> {
    /// As many threads as `share` says, to do `work` and to ring `bell` when some of it is done that is waited for. `None`
    /// if the system has none to give: then the stream goes on without.
    pub(super) fn start(
        bell: &Arc<Event>,
        share: Share,
        work: impl Fn(J) -> D + Send + Sync + 'static,
    ) -> Option<Self> {
        let (jobs, queue) = unbounded::<(u64, J)>();
        let (finished, done) = unbounded();
        let (wanted, broken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let work = Arc::new(work);
        let mut threads = Vec::new();
        for _ in 0..share.threads(std::thread::available_parallelism().map_or(1, NonZero::get)) {
            let (queue, finished, work, wanted) =
                (queue.clone(), finished.clone(), work.clone(), wanted.clone());
            let alarm = Alarm { bell: bell.clone(), broken: broken.clone() };
            let body = move || {
                while let Ok((place, job)) = queue.recv_blocking() {
                    // The channel holds whatever is under way, so it is never full.
                    if finished.try_send((place, work(job))).is_err() {
                        break;
                    }
                    if wanted.swap(false, Ordering::SeqCst) {
                        alarm.bell.notify(usize::MAX);
                    }
                }
            };
            match Builder::new().name("deaddrop bulk".into()).spawn(body) {
                Ok(thread) => threads.push(thread),
                Err(_) => break,
            }
        }
        let early = BTreeMap::new();
        (!threads.is_empty()).then_some(Self {
            jobs,
            done,
            early,
            handed: 0,
            given: 0,
            wanted,
            broken,
            threads,
        })
    }

    /// Whether another batch may be handed out. There are never more under way than there is memory set aside for.
    pub(super) fn has_room(&self) -> bool {
        self.handed - self.given < (self.threads.len() + QUEUED) as u64
    }

    /// Whether anything was handed out that has not been given back.
    pub(super) fn is_busy(&self) -> bool {
        self.handed != self.given
    }

    /// Hands a batch to whichever thread is free first.
    pub(super) fn hand_out(&mut self, job: J) {
        // The queue is open for as long as we are, and is never full.
        if self.jobs.try_send((self.handed, job)).is_ok() {
            self.handed += 1;
        }
    }

    /// The next batch in order, if it is done.
    pub(super) fn next(&mut self) -> Result<Option<D>, Broken> {
        while let Ok((place, done)) = self.done.try_recv() {
            self.early.insert(place, done);
        }
        let next = self.early.remove(&self.given);
        if next.is_some() {
            self.given += 1;
        } else if self.broken.load(Ordering::Acquire) {
            return Err(Broken);
        }
        Ok(next)
    }

    /// The same, and if it is not done yet the bell rings when it may be.
    pub(super) fn next_or_ring(&mut self) -> Result<Option<D>, Broken> {
        match self.next()? {
            None if self.is_busy() => {
                self.wanted.store(true, Ordering::SeqCst);
                // It may have been done before we said so.
                self.next()
            }
            next => Ok(next),
        }
    }
}

impl<J, D> Drop for Crew<J, D> {
    fn drop(&mut self) {
        // What waits is dropped with its keys and buffers; what a thread is at takes it less than a millisecond,
        // or as long as the disk takes.
        self.jobs.close();
        while self.done.try_recv().is_ok() {}
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Says so when its thread panics, or nobody would wait for anything but that thread.
struct Alarm {
    bell: Arc<Event>,
    broken: Arc<AtomicBool>,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.broken.store(true, Ordering::Release);
            self.bell.notify(usize::MAX);
        }
    }
}

/// How many records of `record` bytes make a batch.
pub(super) fn records_in_batch(record_len: usize) -> u64 {
    (BATCH / record_len.max(1)).max(1) as u64
}

/// Whether so many records are worth a crew.
pub(super) fn is_worthwhile(records: u64, record_len: usize) -> bool {
    records.saturating_mul(record_len as u64) >= WORTHWHILE
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use event_listener::Listener;
    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn what_was_handed_out_comes_back_in_order_and_never_too_much_is_under_way() {
        let bell = Arc::new(Event::new());
        // The first are the slowest, so that later ones are done before them.
        let mut crew = Crew::start(&bell, Share::All, |n: u64| {
            std::hint::black_box((0..(1_000 - n) * 100).fold(0_u64, u64::wrapping_add));
            n
        })
        .unwrap();
        let (mut next, mut expected) = (0, 0);
        while expected < 1_000 {
            let rung = bell.listen();
            while next < 1_000 && crew.has_room() {
                crew.hand_out(next);
                next += 1;
            }
            assert!(next - expected <= (THREADS + QUEUED) as u64);
            match crew.next_or_ring().unwrap() {
                Some(n) => {
                    assert_eq!(n, expected);
                    expected += 1;
                }
                None => rung.wait(),
            }
        }
        assert!(!crew.is_busy());
    }

    #[test]
    fn a_panic_is_told() {
        let bell = Arc::new(Event::new());
        let mut crew =
            Crew::start(&bell, Share::All, |(): ()| std::panic::resume_unwind(Box::new("on purpose")))
                .unwrap();
        let rung = bell.listen();
        crew.hand_out(());
        rung.wait();
        assert!(matches!(crew.next(), Err(Broken)));
    }

    #[test]
    fn dropping_it_ends_its_threads() {
        let alive = Arc::new(());
        let held = alive.clone();
        let mut crew =
            Crew::start(&Arc::new(Event::new()), Share::Half, move |(): ()| drop(held.clone())).unwrap();
        for _ in 0..3 {
            crew.hand_out(());
        }
        drop(crew);
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn two_processes_of_one_machine_share_its_cores() {
        let counts = |share: Share| [1, 2, 3, 4, 8, 64].map(|cores| share.threads(cores));
        assert_eq!(counts(Share::All), [1, 2, 3, 4, 4, 4]);
        assert_eq!(counts(Share::Half), [1, 1, 1, 2, 4, 4]);
    }

    #[test]
    fn a_peer_at_our_own_address_is_on_our_machine() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(Share::over(&near), Share::Half);
        // All of 127/8 is this machine, but nobody is asked at another address than the one it is known by.
        let from = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        from.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
        from.connect(&listener.local_addr().unwrap().into()).unwrap();
        assert_eq!(Share::over(&from.into()), Share::All);
    }

    #[test]
    fn batches_are_about_as_large_whatever_the_record() {
        for (record, records) in [(512 + 20, 1_971), (1_044, 1_004), (65_556, 15), (usize::MAX, 1)] {
            assert_eq!(records_in_batch(record), records);
        }
        assert!(!is_worthwhile(1, 65_556) && is_worthwhile(32, 65_556) && is_worthwhile(u64::MAX, 2));
    }
}
