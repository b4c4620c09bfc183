extern crate std;
use std::vec::Vec;

use super::*;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets `count` attempts fail in a row, and gives the waits after each and what was told.
fn waits(
    joining: &mut Joining,
    now: &mut Duration,
    failure: Failure,
    count: usize,
) -> (Vec<u64>, Vec<&'static str>) {
    let (mut waits, mut told) = (Vec::new(), Vec::new());
    for _ in 0..count {
        assert_eq!(joining.action(*now), Action::Join);
        *now += s(3);
        told.extend(joining.handle(Input::Failed(failure), *now));
        let Action::WaitUntil(due) = joining.action(*now) else { panic!("a wait after a failure") };
        waits.push((due - *now).as_secs());
        assert_eq!(joining.action(due - Duration::from_millis(1)), Action::WaitUntil(due), "not before");
        *now = due;
    }
    (waits, told)
}

#[test]
fn a_network_that_is_not_there_is_looked_for_less_and_less_often_and_for_ever() {
    let (mut joining, mut now) = (Joining::new(), s(2));
    let (waits, told) = waits(&mut joining, &mut now, Failure::NotFound, 200);
    assert_eq!(waits[..7], [1, 2, 4, 8, 16, 30, 30]);
    assert!(waits[7..].iter().all(|wait| *wait == 30));
    // The first, and every twentieth.
    assert_eq!(told.len(), 10);
    assert!(told[0].contains("No such Wi-Fi network"));
}

#[test]
fn a_refused_key_is_told_apart_and_tried_seldom() {
    let (mut joining, mut now) = (Joining::new(), s(2));
    let (refused, told) = waits(&mut joining, &mut now, Failure::KeyRefused, 9);
    assert_eq!(refused, [4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("refused the key"));
    // Another failure is news, and no reason to hurry.
    let (other, told) = waits(&mut joining, &mut now, Failure::NoAnswer, 2);
    assert_eq!((other, told.len()), ([30, 30].into(), 1));
    let (_, told) = waits(&mut joining, &mut now, Failure::KeyRefused, 1);
    assert_eq!(told.len(), 1, "news again after another");
}

#[test]
fn a_key_that_is_refused_after_other_failures_is_tried_again_soon() {
    let (mut joining, mut now) = (Joining::new(), s(2));
    waits(&mut joining, &mut now, Failure::NotFound, 50);
    let (refused, _) = waits(&mut joining, &mut now, Failure::KeyRefused, 2);
    assert_eq!(refused, [4, 8]);
}

#[test]
fn a_network_that_was_good_is_joined_again_at_once() {
    let (mut joining, mut now) = (Joining::new(), s(2));
    waits(&mut joining, &mut now, Failure::NotFound, 5);
    assert!(joining.handle(Input::Joined, now).unwrap().starts_with("In "));
    assert_eq!(joining.action(now), Action::Watch);
    now += GOOD_AFTER;
    assert!(joining.handle(Input::Lost, now).unwrap().contains("joining it again"));
    assert_eq!(joining.action(now), Action::Join);
    let (again, _) = waits(&mut joining, &mut now, Failure::NotFound, 2);
    assert_eq!(again, [1, 2], "the row began anew");
}

#[test]
fn a_network_that_throws_the_board_out_at_once_is_not_stormed() {
    let (mut joining, mut now, mut joins) = (Joining::new(), s(0), 0);
    while now < s(3_600) {
        match joining.action(now) {
            Action::Join => {
                joins += 1;
                joining.handle(Input::Joined, now);
            }
            Action::Watch => {
                now += s(1);
                joining.handle(Input::Lost, now);
            }
            Action::WaitUntil(due) => now = due,
        }
    }
    assert!((100..130).contains(&joins), "{joins} in an hour");
}

#[test]
fn a_loss_that_is_no_news_changes_nothing() {
    let (mut joining, now) = (Joining::new(), s(2));
    joining.handle(Input::Failed(Failure::NotFound), now);
    let before = joining.action(now);
    assert_eq!(joining.handle(Input::Lost, now), None);
    assert_eq!(joining.action(now), before);
}

#[test]
fn no_order_of_events_makes_it_panic_or_hurry() {
    let inputs = [
        Input::Joined,
        Input::Lost,
        Input::Failed(Failure::NotFound),
        Input::Failed(Failure::KeyRefused),
        Input::Failed(Failure::Refused),
        Input::Failed(Failure::NoAnswer),
    ];
    // A fixed walk over all orders of four of them.
    for walk in 0..inputs.len().pow(4) {
        let (mut joining, mut now, mut walk) = (Joining::new(), s(0), walk);
        for _ in 0..4 {
            let input = inputs[walk % inputs.len()];
            walk /= inputs.len();
            joining.handle(input, now);
            match (input, joining.action(now)) {
                (Input::Joined, action) => assert_eq!(action, Action::Watch),
                (Input::Failed(_), Action::WaitUntil(due)) => assert!(due >= now + WAIT_FIRST),
                (Input::Failed(_), action) => panic!("{action:?} after a failure"),
                (Input::Lost, action) => assert_ne!(action, Action::Watch),
            }
            now += s(1);
        }
    }
    // Times beyond all reason.
    let mut joining = Joining::new();
    for _ in 0..100 {
        joining.handle(Input::Failed(Failure::KeyRefused), Duration::MAX);
    }
    assert_eq!(joining.action(Duration::MAX), Action::Join);
}
