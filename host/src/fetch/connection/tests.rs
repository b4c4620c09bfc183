use std::pin::pin;
use std::task::{Context, Poll, Waker};

use deaddrop_core::session::FetchPlan;
use deaddrop_core::token::FetchId;
use smol::future;

use super::*;
use crate::fetch::scene::scene;

#[test]
fn a_sender_that_is_never_waited_for_leaves_others_their_turn() {
    let scene = scene(64 * 1024);
    let fetching = async {
        let address = scene.listener.local_addr().unwrap();
        let mut connection =
            ClientConnection::open(&[address.into()], &scene.credentials, None, None).await.unwrap();
        while connection.turn(None).await.unwrap() != Some(ClientEvent::Ready) {}
        // In records so small that all of them fit the buffers of the connection.
        let id = FetchId::random(&mut system());
        let plan = FetchPlan { token: scene.token, id, record_max: 512, offset: 0, digest: None };
        connection.session.fetch(clock::now(), &plan).unwrap();
        while !matches!(connection.turn(None).await.unwrap(), Some(ClientEvent::Begin(_))) {}
        let records = 64 * 1024 / 512 - 1;
        let bytes = records * 532;
        while connection.stream().peek(&mut vec![0; bytes]).map_or(true, |there| there < bytes) {
            future::yield_now().await;
        }
        let taken = async {
            for _ in 0..records {
                assert_eq!(connection.turn(None).await.unwrap(), Some(ClientEvent::Data { len: 512 }));
            }
        };
        let mut taken = pin!(taken);
        let (mut turns, mut context) = (0, Context::from_waker(Waker::noop()));
        while taken.as_mut().poll(&mut context) == Poll::Pending {
            turns += 1;
        }
        assert!(turns >= records / MESSAGES_PER_TURN as usize, "{turns}");
    };
    scene.run(fetching);
}
