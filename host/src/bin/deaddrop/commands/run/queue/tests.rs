use super::*;
use deaddrop::{Kind, Name, Offer};

/// The `n`th drop of the sender at `10.0.0.host`.
fn offer(host: u8, n: u8) -> Known {
    let offer = Offer {
        token: Token::from_bytes([n; 16]),
        kind: Kind::Message,
        name: Name::default(),
        size: 5,
        ttl_left: Duration::from_secs(300),
        fetches_left: 1,
    };
    let until = deaddrop_core::time::Instant::from_millis(300_000);
    Known { offer, from: ([10, 0, 0, host], 48_556).into(), instance: Instance::from_bytes([host; 8]), until }
}

fn queue(now: Instant, offers: impl IntoIterator<Item = (u8, u8)>) -> Queue {
    let mut queue = Queue::default();
    offers.into_iter().for_each(|(host, n)| queue.offered(now, offer(host, n)));
    queue
}

/// What is begun now, all of it.
fn begun(queue: &mut Queue, now: Instant) -> Vec<(u8, u8)> {
    std::iter::from_fn(|| queue.next(now))
        .map(|known| (of(&known), known.offer.token.as_bytes()[0]))
        .collect()
}

fn of(known: &Known) -> u8 {
    known.instance.as_bytes()[0]
}

fn end(queue: &mut Queue, now: Instant, (host, n): (u8, u8), outcome: Outcome) -> bool {
    queue.ended(now, key(&offer(host, n)), outcome)
}

#[test]
fn few_are_fetched_at_once_and_fewer_from_one_host() {
    let now = Instant::now();
    let mut queue = queue(now, (0..50).map(|n| (1, n)));
    assert_eq!(begun(&mut queue, now), [(1, 0), (1, 1)]);
    (2..9).for_each(|host| queue.offered(now, offer(host, 0)));
    assert_eq!(begun(&mut queue, now), [(2, 0), (3, 0)]);
}

#[test]
fn hosts_take_turns_and_new_ones_come_last() {
    let now = Instant::now();
    let mut queue = queue(now, (0..100).map(|n| (1, n)).chain([(2, 0), (2, 1), (3, 0)]));
    let mut order = Vec::new();
    for _ in 0..8 {
        let known = queue.next(now).unwrap();
        let (host, n) = (of(&known), known.offer.token.as_bytes()[0]);
        order.push(host);
        end(&mut queue, now, (host, n), Outcome::Received);
        // Each time a host is new: none that waits is passed over for it.
        queue.offered(now, offer(100 + u8::try_from(order.len()).unwrap(), 0));
    }
    assert_eq!(order, [1, 2, 3, 1, 101, 2, 102, 103]);
}

#[test]
fn a_drop_that_fails_is_tried_again_less_and_less_often_and_not_for_ever() {
    let mut now = Instant::now();
    let mut queue = queue(now, [(1, 0)]);
    let mut pauses = Vec::new();
    loop {
        assert_eq!(begun(&mut queue, now), [(1, 0)]);
        if end(&mut queue, now, (1, 0), Outcome::Failed) {
            break;
        }
        let due = queue.due(now).unwrap();
        assert_eq!(begun(&mut queue, due - Duration::from_millis(1)), []);
        pauses.push((due - now).as_secs());
        now = due;
    }
    assert_eq!(pauses, [1, 4, 16, 64, 256]);
    assert_eq!((queue.due(now), begun(&mut queue, now + Duration::from_secs(9_999))), (None, Vec::new()));
    // Its sender offers it still, or again.
    queue.offered(now, offer(1, 0));
    assert_eq!(begun(&mut queue, now), []);
    queue.gone(key(&offer(1, 0)));
    queue.offered(now, offer(1, 0));
    assert_eq!(begun(&mut queue, now), [(1, 0)]);
}

#[test]
fn a_drop_is_looked_at_as_long_as_it_is_offered_while_nothing_can_be_saved() {
    let mut now = Instant::now();
    let mut queue = queue(now, [(1, 0)]);
    let mut pauses = Vec::new();
    for _ in 0..40 {
        assert_eq!(begun(&mut queue, now), [(1, 0)]);
        assert!(!end(&mut queue, now, (1, 0), Outcome::NotSavable));
        let due = queue.due(now).unwrap();
        pauses.push((due - now).as_secs());
        now = due;
    }
    assert_eq!(pauses[..5], [1, 4, 16, 60, 60]);
    assert_eq!(pauses[39], 60);
}

#[test]
fn failing_drops_let_others_through() {
    let now = Instant::now();
    let mut queue = queue(now, [(1, 0), (1, 1), (1, 2)]);
    assert_eq!(begun(&mut queue, now), [(1, 0), (1, 1)]);
    end(&mut queue, now, (1, 0), Outcome::Failed);
    end(&mut queue, now, (1, 1), Outcome::Failed);
    let later = now + Duration::from_secs(1);
    assert_eq!(begun(&mut queue, later), [(1, 2), (1, 0)]);
}

#[test]
fn what_was_received_is_not_taken_again_until_its_time_is_over() {
    let now = Instant::now();
    let mut queue = queue(now, [(1, 0)]);
    assert_eq!(begun(&mut queue, now), [(1, 0)]);
    assert!(!end(&mut queue, now, (1, 0), Outcome::Received));
    queue.gone(key(&offer(1, 0)));
    queue.offered(now, offer(1, 0));
    assert_eq!(begun(&mut queue, now), []);
    // Another sender may have copied the token.
    queue.offered(now, offer(2, 0));
    assert_eq!(begun(&mut queue, now), [(2, 0)]);
}

#[test]
fn memory_is_bounded_whatever_is_received() {
    let now = Instant::now();
    let mut queue = Queue::default();
    for n in 0..u64::try_from(RECEIVED_MAX).unwrap() + 500 {
        let mut known = offer(1, 0);
        known.instance = Instance::from_bytes(n.to_be_bytes());
        queue.offered(now, known.clone());
        assert!(queue.next(now).is_some());
        queue.ended(now, key(&known), Outcome::Received);
        queue.gone(key(&known));
    }
    assert_eq!((queue.received.len(), queue.entries.len(), queue.turns.len()), (RECEIVED_MAX, 0, 0));
}

#[test]
fn an_offer_that_ends_is_forgotten_and_its_fetch_goes_on() {
    let now = Instant::now();
    let mut queue = queue(now, [(1, 0), (1, 1), (1, 2)]);
    assert_eq!(begun(&mut queue, now), [(1, 0), (1, 1)]);
    (0..3).for_each(|n| queue.gone(key(&offer(1, n))));
    assert_eq!(queue.entries.len(), 2);
    assert!(!end(&mut queue, now, (1, 0), Outcome::Failed));
    end(&mut queue, now, (1, 1), Outcome::Received);
    assert_eq!((queue.entries.len(), queue.turns.len()), (0, 0));
}

#[test]
fn what_is_put_off_is_told_once() {
    let mut now = Instant::now();
    let mut queue = queue(now, [(1, 0)]);
    let told: Vec<_> = (0..3)
        .map(|_| {
            assert_eq!(begun(&mut queue, now), [(1, 0)]);
            let told = end(&mut queue, now, (1, 0), Outcome::PutOff(Duration::from_secs(60)));
            now += Duration::from_secs(60);
            told
        })
        .collect();
    assert_eq!(told, [true, false, false]);
    assert_eq!(begun(&mut queue, now), [(1, 0)]);
    assert!(end(&mut queue, now, (1, 0), Outcome::Refused));
    assert_eq!(queue.due(now), None);
}

#[test]
fn a_slow_fetch_gives_way_when_others_wait_for_its_place() {
    let now = Instant::now();
    let mut queue = queue(now, [(1, 0), (1, 1), (2, 0), (2, 1)]);
    assert_eq!(begun(&mut queue, now), [(1, 0), (2, 0), (1, 1), (2, 1)]);
    let slow = now + SLICE;
    let gives_way = |queue: &Queue, received| queue.is_to_give_way(slow, key(&offer(1, 0)), now, received);
    assert!(!gives_way(&queue, 0), "nobody waits");
    queue.offered(now, offer(3, 0));
    assert!(gives_way(&queue, 0));
    assert!(!gives_way(&queue, PACE), "it has received as much in that time as is asked of it");
    assert!(queue.is_to_give_way(slow + Duration::from_secs(1), key(&offer(1, 0)), now, PACE));
    assert!(!queue.is_to_give_way(slow - Duration::from_secs(1), key(&offer(1, 0)), now, 0));
    // It goes on after those that wait.
    end(&mut queue, slow, (1, 0), Outcome::GaveWay);
    assert_eq!(begun(&mut queue, slow), [(3, 0)]);
}

#[test]
fn a_host_whose_places_are_taken_makes_only_its_own_give_way() {
    let now = Instant::now();
    let mut queue = queue(now, [(1, 0), (1, 1), (1, 2), (2, 0)]);
    assert_eq!(begun(&mut queue, now), [(1, 0), (2, 0), (1, 1)]);
    let slow = now + SLICE;
    assert!(queue.is_to_give_way(slow, key(&offer(1, 0)), now, 0));
    assert!(!queue.is_to_give_way(slow, key(&offer(2, 0)), now, 0));
}
