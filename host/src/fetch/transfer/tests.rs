use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread::JoinHandle;

mod attributes;

use super::*;
use crate::fetch::scene::{Scene, folder_scene, scene};
use crate::lock::lock;

/// What a relay does to one connection, counted in bytes from the sender.
#[derive(Clone, Copy)]
enum Fault {
    /// Nothing.
    None,
    /// Closes it after so many.
    Cut(usize),
    /// Alters the one at this place.
    Alter(usize),
}

/// Passes bytes between receivers and the sender, one connection after the other.
struct Relay {
    address: SocketAddr,
    /// Bytes passed from the sender, of each connection.
    passed: Arc<Mutex<Vec<usize>>>,
    thread: JoinHandle<()>,
}

impl Relay {
    fn start(scene: &Scene, faults: &'static [Fault]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let behind = scene.listener.local_addr().unwrap();
        let passed = Arc::new(Mutex::new(Vec::new()));
        let counts = passed.clone();
        let thread = std::thread::spawn(move || {
            for fault in faults {
                let (near, _) = listener.accept().unwrap();
                let far = TcpStream::connect(behind).unwrap();
                let count = relay(near, far, *fault);
                lock(&counts).push(count);
            }
        });
        Self { address, passed, thread }
    }

    /// The bytes that each connection brought, once all have ended.
    fn end(self) -> Vec<usize> {
        self.thread.join().unwrap();
        lock(&self.passed).clone()
    }
}

fn relay(near: TcpStream, far: TcpStream, fault: Fault) -> usize {
    let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    let back = std::thread::spawn(move || {
        // Ends with either connection.
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (far, near);
    let (mut buffer, mut passed) = (vec![0; 65_536], 0);
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        let mut bytes = &mut buffer[..len];
        match fault {
            Fault::Cut(at) if passed + len >= at => bytes = &mut bytes[..at - passed],
            Fault::Alter(at) if (passed..passed + len).contains(&at) => bytes[at - passed] ^= 1,
            _ => {}
        }
        let whole = bytes.len() == len;
        passed += bytes.len();
        if to.write_all(bytes).is_err() || !whole {
            break;
        }
    }
    // A writer that goes on finds both ends closed.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    back.join().unwrap();
    passed
}

#[test]
fn a_large_drop_comes_in_by_batches_from_the_first_byte_to_the_last_before_the_final_record() {
    let scene = scene((8 << 20) + 77);
    scene.run(async {
        let (mut transfer, mut incoming) = scene.claim_at(scene.listener.local_addr().unwrap()).await;
        let Transfer { fetch, connection, stopper, pace, counters, leads, .. } = &mut transfer;
        receive_bulk(fetch, connection.as_mut().unwrap(), &mut incoming, pace, counters, leads, stopper)
            .await
            .unwrap();
        assert_eq!(transfer.progress(0).stored(), 8 << 20);
        assert_eq!((incoming.stored(), transfer.fetch.stored()), (8 << 20, 8 << 20));
        let tail = Step::Reserve { tail: 77 };
        assert_eq!(transfer.fetch.poll_step(transfer.session()), tail, "all but the final record");
        assert!(matches!(transfer.receive(incoming).await.unwrap(), (Finished::Saved(_), _)));
        assert!(transfer.confirm().await);
        assert!(scene.received() == scene.bytes);
    });
}

#[test]
fn a_byte_altered_under_way_ends_it_and_what_came_before_is_no_file() {
    let scene = scene(8 << 20);
    let relay = Relay::start(&scene, &[Fault::Alter(5 << 20)]);
    scene.run(async {
        let (mut transfer, mut incoming) = scene.claim_at(relay.address).await;
        let Transfer { fetch, connection, stopper, pace, counters, leads, .. } = &mut transfer;
        let end =
            receive_bulk(fetch, connection.as_mut().unwrap(), &mut incoming, pace, counters, leads, stopper)
                .await;
        assert!(matches!(end, Err(ConnectionError::Session(ClientError::Protocol))), "{end:?}");
        assert!(incoming.stored() < 5 << 20, "nothing counts that comes after it");
        drop((transfer, incoming));
        assert_eq!(scene.parts(), 0);
    });
    relay.end();
}

#[test]
fn a_transfer_that_is_cut_goes_on_where_it_was() {
    // By several threads and by one.
    for (size, cut) in [((12 << 20) + 5, 5 << 20), (700_000, 300_000)] {
        let scene = scene(size);
        let faults: &'static [Fault] =
            Box::leak(Box::new([Fault::Cut(cut), Fault::Cut(cut / 2), Fault::None]));
        let relay = Relay::start(&scene, faults);
        scene.run(async {
            let (mut transfer, incoming) = scene.claim_at(relay.address).await;
            let losses = transfer.losses();
            transfer.receive(incoming).await.unwrap();
            assert!(transfer.confirm().await, "and the sender knows");
            assert_eq!(losses.len(), 2, "each loss is told once");
        });
        assert!(scene.received() == scene.bytes, "{size}");
        let passed: usize = relay.end().iter().sum();
        // What was on its way when a connection was cut comes again: batches in flight, and one record.
        assert!(passed * 10 < size * 12, "{passed} bytes for {size}");
    }
}

/// Every file of a folder scene, as it was sent.
fn folder_is_whole(scene: &Scene) {
    let (from, to) = (scene.folder.path().join("drop.bin"), scene.folder.path().join("out"));
    assert!(std::fs::read(to.join("large")).unwrap() == scene.bytes);
    for n in 0..3_000 {
        let name = format!("sub/{n}");
        assert!(std::fs::read(to.join(&name)).unwrap() == std::fs::read(from.join(&name)).unwrap(), "{name}");
    }
}

#[test]
fn a_folder_that_is_cut_goes_on_where_it_was() {
    let scene = folder_scene();
    let faults: &'static [Fault] =
        Box::leak(Box::new([Fault::Cut(5 << 20), Fault::Cut(3 << 20), Fault::Cut(700_000), Fault::None]));
    let relay = Relay::start(&scene, faults);
    let mut size = 0;
    scene.run(async {
        let (mut transfer, incoming) = scene.claim_at(relay.address).await;
        size = usize::try_from(incoming.size()).unwrap();
        assert!(matches!(transfer.receive(incoming).await.unwrap().0, Finished::Bundle(_)));
        assert!(transfer.confirm().await, "and the sender knows");
    });
    folder_is_whole(&scene);
    let passed: usize = relay.end().iter().sum();
    assert!(passed < size + (4 << 20), "{passed} bytes for {size}");
}

#[test]
fn a_folder_with_a_byte_altered_under_way_leaves_nothing() {
    let scene = folder_scene();
    let relay = Relay::start(&scene, &[Fault::Alter(8 << 20)]);
    scene.run(async {
        let (mut transfer, incoming) = scene.claim_at(relay.address).await;
        assert!(scene.parts() > 0, "there is a hidden folder");
        let end = transfer.receive(incoming).await;
        assert!(matches!(&end, Err(Unreceived { error: ReceiveError::Fetch(_), .. })), "{end:?}");
        assert_eq!(scene.parts(), 0);
    });
    relay.end();
}

#[test]
fn a_cut_between_ready_and_the_final_record_loses_nothing() {
    let scene = scene(5);
    // Greeting, message 3, a list of eight records, `begin`, and all but the last byte of the one data record.
    let faults: &'static [Fault] = Box::leak(Box::new([Fault::Cut(34 + 32 + 9 * 512 + 531), Fault::None]));
    let relay = Relay::start(&scene, faults);
    scene.run(async {
        let (mut transfer, incoming) = scene.claim_at(relay.address).await;
        transfer.receive(incoming).await.unwrap();
        assert!(transfer.confirm().await);
    });
    assert!(scene.received() == scene.bytes);
    assert_eq!(relay.end().len(), 2, "it took two connections");
}

#[test]
fn a_stop_gives_the_claim_back_and_leaves_no_file() {
    let scene = scene(9 << 20);
    scene.run(async {
        let (mut transfer, incoming) = scene.claim_at(scene.listener.local_addr().unwrap()).await;
        transfer.stopper.stop();
        let end = transfer.receive(incoming).await;
        assert!(matches!(
            end,
            Err(Unreceived { error: ReceiveError::Fetch(FetchError::Stopped), kept: None })
        ));
        assert_eq!(scene.parts(), 0);
        // At once, and not after the lease.
        let (other, _) = scene.claim_at(scene.listener.local_addr().unwrap()).await;
        assert!(other.fetch.is_claimed());
    });
}

#[test]
fn a_close_in_the_midst_of_the_first_answer_is_no_refusal() {
    let scene = scene(5);
    // Greeting, message 3, and a part of the first record.
    let relay = Relay::start(&scene, &[Fault::Cut(34 + 32 + 100)]);
    scene.run(async {
        let end = scene.transfer(relay.address).claim().await;
        assert!(matches!(end, Err(FetchError::Unreachable(_))), "{end:?}");
    });
    relay.end();
}

#[test]
fn a_claim_whose_future_is_dropped_at_any_point_leaves_the_drop_free() {
    let scene = scene(9 << 20);
    scene.run(async {
        let address = scene.listener.local_addr().unwrap();
        for polls in 1.. {
            let mut transfer = scene.transfer(address);
            let claimed = {
                let mut claiming = Box::pin(transfer.claim());
                let mut left = polls;
                future::poll_fn(|context| {
                    left -= 1;
                    match claiming.as_mut().poll(context) {
                        std::task::Poll::Pending if left > 0 => std::task::Poll::Pending,
                        state => std::task::Poll::Ready(state.is_ready()),
                    }
                })
                .await
            };
            drop(transfer);
            let mut other = scene.transfer(address);
            let begun = clock::now();
            while let Err(error) = other.claim().await {
                assert!(matches!(error, FetchError::Busy(_)), "{polls}: {error:?}");
                assert!(clock::now() < begun + Duration::from_secs(3), "{polls}: still held");
                other = scene.transfer(address);
            }
            other.release().await;
            if claimed {
                assert!(polls > 3, "{polls}");
                break;
            }
        }
    });
}
