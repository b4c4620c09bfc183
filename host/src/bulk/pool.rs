//! A pool of threads for the batches of one stream. It returns them in the order in which they were submitted.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use async_channel::{Receiver, Sender, unbounded};
use event_listener::Event;
use zeroize::Zeroizing;

/// Most threads on one stream: four encrypt more than any one socket takes.
const THREADS: usize = 4;
/// Batches in flight beside those that threads work on: one queued for a thread, one done and waiting for its turn,
/// one being read from or written to the socket.
const QUEUED: usize = 3;
/// About how many bytes of a drop are in one batch: it fits in L2 and amortises thread wake-ups (decision 0015).
const BATCH: usize = 1024 * 1024;
/// Streams of fewer bytes than this are not worth starting threads for.
const WORTHWHILE: u64 = 2 * 1024 * 1024;

/// How many of the machine's cores one stream may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CpuBudget {
    /// All of them: the peer is another machine.
    All,
    /// Half of them: the peer is a process of this machine and has a pool too. With twice the threads, some queue for a
    /// core while another core idles (decision 0015).
    Half,
}

impl CpuBudget {
    /// The budget of a stream over this connection.
    pub(super) fn of(stream: &TcpStream) -> Self {
        let same_machine = |peer: SocketAddr| stream.local_addr().is_ok_and(|own| own.ip() == peer.ip());
        if stream.peer_addr().is_ok_and(same_machine) { Self::Half } else { Self::All }
    }

    /// How many threads to start on a machine with this many cores, of which as many `streams` have an equal part.
    fn threads(self, cores: usize, streams: usize) -> usize {
        let cores = if self == Self::Half { cores / 2 } else { cores };
        (cores / streams.max(1)).clamp(1, THREADS)
    }
}

/// Memory for the records of one batch as they are on the wire.
pub(super) type Buffer = Zeroizing<Vec<u8>>;

/// A thread of the pool panicked, so that its batch never comes back. This is a bug.
#[derive(Debug)]
pub(crate) struct WorkerPanicked;

/// The threads and the batches in flight. Dropping it waits for the batches that threads work on.
pub(super) struct WorkerPool<J, D> {
    jobs: Sender<(u64, J)>,
    done: Receiver<(u64, D)>,
    /// Batches that were done before their turn.
    early: BTreeMap<u64, D>,
    submitted: u64,
    returned: u64,
    /// The owner waits for the next batch.
    wanted: Arc<AtomicBool>,
    panicked: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl<J: Send + 'static, D: Send + 'static> WorkerPool<J, D> {
    /// Starts as many threads as the budget allows one of `streams`, each of which does `work` and notifies when a batch is done that the
    /// owner waits for. `None` if the system starts no thread: the stream then goes on without a pool.
    pub(super) fn start(
        notify: &Arc<Event>,
        budget: CpuBudget,
        streams: usize,
        work: impl Fn(J) -> D + Send + Sync + 'static,
    ) -> Option<Self> {
        let (jobs, queue) = unbounded::<(u64, J)>();
        let (finished, done) = unbounded();
        let (wanted, panicked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let work = Arc::new(work);
        let mut threads = Vec::new();
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        for _ in 0..budget.threads(cores, streams) {
            let (queue, finished, work, wanted) =
                (queue.clone(), finished.clone(), work.clone(), wanted.clone());
            let alarm = PanicAlarm { notify: notify.clone(), panicked: panicked.clone() };
            let body = move || {
                while let Ok((number, job)) = queue.recv_blocking() {
                    // The channel is unbounded, so it is never full.
                    if finished.try_send((number, work(job))).is_err() {
                        break;
                    }
                    if wanted.swap(false, Ordering::SeqCst) {
                        alarm.notify.notify(usize::MAX);
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
            submitted: 0,
            returned: 0,
            wanted,
            panicked,
            threads,
        })
    }

    /// How many batches are in flight at most: as many as threads and queues hold.
    pub(super) fn places(&self) -> usize {
        self.threads.len() + QUEUED
    }

    /// Whether another batch may be submitted.
    pub(super) fn has_room(&self) -> bool {
        self.submitted - self.returned < self.places() as u64
    }

    /// Whether batches are in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.submitted != self.returned
    }

    /// Gives a batch to the first free thread.
    pub(super) fn submit(&mut self, job: J) {
        // The queue is unbounded, and open until the pool is dropped.
        if self.jobs.try_send((self.submitted, job)).is_ok() {
            self.submitted += 1;
        }
    }

    /// The next batch in order, if it is done.
    pub(super) fn next(&mut self) -> Result<Option<D>, WorkerPanicked> {
        while let Ok((number, done)) = self.done.try_recv() {
            self.early.insert(number, done);
        }
        let next = self.early.remove(&self.returned);
        if next.is_some() {
            self.returned += 1;
        } else if self.panicked.load(Ordering::Acquire) {
            return Err(WorkerPanicked);
        }
        Ok(next)
    }

    /// The next batch in order, if it is done; if not, its thread notifies once it is.
    pub(super) fn next_or_notify(&mut self) -> Result<Option<D>, WorkerPanicked> {
        match self.next()? {
            None if self.is_busy() => {
                self.wanted.store(true, Ordering::SeqCst);
                // It may have been done before the flag was set.
                self.next()
            }
            next => Ok(next),
        }
    }
}

impl<J, D> Drop for WorkerPool<J, D> {
    fn drop(&mut self) {
        // Queued batches are dropped with their keys and buffers. A batch that a thread works on takes less than a
        // millisecond, or as long as the disk does.
        self.jobs.close();
        while self.done.try_recv().is_ok() {}
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Tells the owner when its thread panics: the owner would otherwise wait for that batch for ever.
struct PanicAlarm {
    notify: Arc<Event>,
    panicked: Arc<AtomicBool>,
}

impl Drop for PanicAlarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.panicked.store(true, Ordering::Release);
            self.notify.notify(usize::MAX);
        }
    }
}

/// How many records of `record` bytes make a batch of at most `most` bytes, if that is less than usual.
pub(super) fn records_in_batch(record_len: usize, most: usize) -> u64 {
    (BATCH.min(most) / record_len.max(1)).max(1) as u64
}

/// Whether a stream of this many records is worth a pool.
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
    fn batches_come_back_in_order_and_never_too_many_are_in_flight() {
        let notify = Arc::new(Event::new());
        // The first are the slowest, so that later ones are done before them.
        let mut pool = WorkerPool::start(&notify, CpuBudget::All, 1, |n: u64| {
            std::hint::black_box((0..(1_000 - n) * 100).fold(0_u64, u64::wrapping_add));
            n
        })
        .unwrap();
        let (mut next, mut expected) = (0, 0);
        while expected < 1_000 {
            let notified = notify.listen();
            while next < 1_000 && pool.has_room() {
                pool.submit(next);
                next += 1;
            }
            assert!(next - expected <= (THREADS + QUEUED) as u64);
            match pool.next_or_notify().unwrap() {
                Some(n) => {
                    assert_eq!(n, expected);
                    expected += 1;
                }
                None => notified.wait(),
            }
        }
        assert!(!pool.is_busy());
    }

    #[test]
    fn a_panic_is_told() {
        let notify = Arc::new(Event::new());
        let mut pool = WorkerPool::start(&notify, CpuBudget::All, 1, |(): ()| {
            std::panic::resume_unwind(Box::new("on purpose"))
        })
        .unwrap();
        let notified = notify.listen();
        pool.submit(());
        notified.wait();
        assert!(matches!(pool.next(), Err(WorkerPanicked)));
    }

    #[test]
    fn dropping_it_ends_its_threads() {
        let alive = Arc::new(());
        let held = alive.clone();
        let mut pool =
            WorkerPool::start(&Arc::new(Event::new()), CpuBudget::Half, 1, move |(): ()| drop(held.clone()))
                .unwrap();
        for _ in 0..3 {
            pool.submit(());
        }
        drop(pool);
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn two_processes_of_one_machine_share_its_cores() {
        let counts = |budget: CpuBudget| [1, 2, 3, 4, 8, 64].map(|cores| budget.threads(cores, 1));
        assert_eq!(counts(CpuBudget::All), [1, 2, 3, 4, 4, 4]);
        assert_eq!(counts(CpuBudget::Half), [1, 1, 1, 2, 4, 4]);
        assert_eq!([1, 2, 3, 8, 64].map(|streams| CpuBudget::All.threads(8, streams)), [4, 4, 2, 1, 1]);
    }

    #[test]
    fn a_peer_at_our_own_address_is_on_our_machine() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(CpuBudget::of(&near), CpuBudget::Half);
        // All of 127/8 is this machine, but a peer at another address of it counts as another machine.
        let from = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        from.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
        from.connect(&listener.local_addr().unwrap().into()).unwrap();
        assert_eq!(CpuBudget::of(&from.into()), CpuBudget::All);
    }

    #[test]
    fn batches_are_about_as_large_whatever_the_record() {
        for (record, records) in [(512 + 20, 1_971), (1_044, 1_004), (65_556, 15), (usize::MAX, 1)] {
            assert_eq!(records_in_batch(record, usize::MAX), records);
        }
        assert_eq!((records_in_batch(65_556, 200_000), records_in_batch(65_556, 0)), (3, 1));
        assert!(!is_worthwhile(1, 65_556) && is_worthwhile(32, 65_556) && is_worthwhile(u64::MAX, 2));
    }
}
