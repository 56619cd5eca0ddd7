//! Which connection has to go, from the side of attackers and of honest peers.

use super::*;

const LIMITS: Limits = Limits { per_address: 4, total: 10 };

fn v4(n: u32) -> IpAddr {
    IpAddr::V4(n.into())
}

fn room() -> WaitingRoom {
    WaitingRoom::new(LIMITS)
}

#[test]
fn one_address_displaces_only_its_own_connections() {
    let mut room = room();
    let (honest, _) = room.arrive(v4(2));
    let mut attackers = Vec::new();
    for n in 0..1_000 {
        let (id, evicted) = room.arrive(v4(1));
        let expected = (n >= LIMITS.per_address).then(|| attackers[n - LIMITS.per_address]);
        assert_eq!(evicted, expected, "its own oldest goes");
        attackers.push(id);
    }
    assert_eq!(room.len(), LIMITS.per_address + 1);
    assert!(room.by_id.contains_key(&honest));
}

#[test]
fn a_full_address_takes_the_newest_and_closes_the_one_that_has_come_least_far() {
    let mut room = room();
    let ids: Vec<_> = (0..4).map(|_| room.arrive(v4(1)).0).collect();
    // The two oldest have sent `connect`.
    room.advance(ids[0], Progress::Connected);
    room.advance(ids[1], Progress::Connected);
    assert_eq!(room.arrive(v4(1)).1, Some(ids[2]));
    assert_eq!(room.arrive(v4(1)).1, Some(ids[3]));
    assert!(room.by_id.contains_key(&ids[0]) && room.by_id.contains_key(&ids[1]));
}

#[test]
fn an_address_of_connected_peers_only_closes_the_one_that_has_waited_longest() {
    let mut room = room();
    let ids: Vec<_> = (0..4).map(|_| room.arrive(v4(1)).0).collect();
    for id in [2, 0, 1, 3] {
        room.advance(ids[id], Progress::Connected);
    }
    assert_eq!(room.arrive(v4(1)).1, Some(ids[2]), "it was the first to be connected");
}

#[test]
fn a_full_room_closes_a_connection_of_the_address_that_holds_most() {
    let mut room = room();
    let honest: Vec<_> = (10..14).map(|n| room.arrive(v4(n)).0).collect();
    let crowd: Vec<_> = (0..6).map(|n| room.arrive(v4(1 + n / 3)).0).collect();
    assert_eq!(room.len(), LIMITS.total);
    // Two addresses hold three places each: the oldest connection of theirs goes, although others are older.
    assert_eq!(room.arrive(v4(20)).1, Some(crowd[0]));
    assert_eq!(room.arrive(v4(21)).1, Some(crowd[3]));
    assert!(honest.iter().all(|id| room.by_id.contains_key(id)));
    assert_eq!(room.len(), LIMITS.total);
}

#[test]
fn where_all_addresses_hold_one_place_the_silent_and_the_oldest_go_first() {
    let mut room = room();
    let ids: Vec<_> = (0..10).map(|n| room.arrive(v4(n)).0).collect();
    room.advance(ids[0], Progress::Connected);
    assert_eq!(room.arrive(v4(100)).1, Some(ids[1]));
    assert_eq!(room.arrive(v4(101)).1, Some(ids[2]));
}

#[test]
fn a_subscriber_of_ipv6_is_one_address_and_ipv4_is_the_same_in_both_forms() {
    let address = |text: &str| -> IpAddr { text.parse().unwrap() };
    assert_eq!(subscriber(address("2001:db8::1")), subscriber(address("2001:db8::ffff")));
    assert_ne!(subscriber(address("2001:db8::1")), subscriber(address("2001:db8:0:1::1")));
    assert_eq!(subscriber(address("::ffff:192.0.2.1")), address("192.0.2.1"));
}

#[test]
fn leaving_frees_the_place_and_may_happen_twice() {
    let mut room = room();
    let (id, _) = room.arrive(v4(1));
    room.leave(id);
    room.leave(id);
    room.advance(id, Progress::Connected);
    assert!(room.is_empty() && room.by_address.is_empty() && room.shares.is_empty());
}

#[test]
fn a_slot_tells_its_connection_to_close_and_is_freed_when_dropped() {
    let pending = PendingConnections::new(LIMITS);
    let mut slots: Vec<_> = (0..5).map(|_| pending.enter(v4(1))).collect();
    let evicted: Vec<_> = slots.iter().map(|slot| slot.evicted().is_cancelled()).collect();
    assert_eq!(evicted, [true, false, false, false, false]);
    assert_eq!(pending.len(), 4);
    slots.truncate(2);
    assert_eq!(pending.len(), 1);
    slots[1].advance(Progress::Connected);
    drop(slots);
    assert!(pending.is_empty());
}
