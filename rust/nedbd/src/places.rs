//! The places of connections: who has one, and who gives up theirs when another one comes.
//!
//! In: the addresses of clients, and what their connections do. Out: places, or none.
//!
//! Invariants:
//! * A connection that owes an answer keeps its place. One that is silent, since no request of it is whole yet or
//!   since it was answered all, is closed where somebody else needs its place: first those that never asked, and of
//!   each kind the one that is silent for longest.
//! * One address has no more places than it may have; then it gives up its own.
//! * A few places are for `/health` alone, so that who watches the server hears from it when all others are taken.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How many places there are beside the others in which nothing but the server's health is asked for.
const HEALTH_COUNT: usize = 8;
/// What a connection does: it owes an answer, its place was given to another, or, for every other number, it is
/// silent, and the smaller the number the sooner it goes.
const ANSWERS: u64 = 0;
const GIVEN_UP: u64 = 1;
const FIRST_SILENT: u64 = 2;
/// What is added to the number of one that was answered before.
const HAS_ASKED: u64 = 1 << 63;

/// The places of a server.
pub struct Places {
    count_max: usize,
    /// Most of one address; None for as many as there are.
    peer_count_max: Option<usize>,
    /// Whether those on this machine count as one address: all who come through a proxy on it share that.
    counts_loopback: bool,
    taken: Mutex<Taken>,
}

struct Taken {
    next_id: u64,
    ticks: Arc<AtomicU64>,
    connections: HashMap<u64, Arc<Connection>>,
    by_peer: HashMap<Peer, usize>,
    /// How many of them are for health alone.
    health_count: usize,
}

/// Whom an address belongs to: of IPv6 a whole network of 64 bits is one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Peer(u128);

struct Connection {
    peer: Peer,
    is_for_health: bool,
    activity: Activity,
}

/// What a connection does, as it says itself.
#[derive(Clone, Debug)]
pub struct Activity(Arc<Doing>);

#[derive(Debug)]
struct Doing {
    /// Counts the times at which one falls silent, of all connections.
    ticks: Arc<AtomicU64>,
    phase: AtomicU64,
    /// Whether something of an answer waits to be taken by the client, and how often that began.
    is_sending: AtomicBool,
    waits_count: AtomicU64,
    is_given_up: Notify,
}

/// A place among the connections, until it is dropped.
pub struct Place {
    places: Arc<Places>,
    id: u64,
    is_for_health: bool,
    activity: Activity,
}

impl Places {
    /// Makes so many places. Of one address there are at most as many as said, and with 0 as many as there are; where
    /// nothing is said half, but for those on this machine.
    pub fn new(count_max: usize, peer_count_max: Option<usize>) -> Arc<Places> {
        let half = count_max.div_ceil(2);
        Arc::new(Places {
            count_max,
            peer_count_max: Some(peer_count_max.unwrap_or(half)).filter(|count| *count > 0),
            counts_loopback: peer_count_max.is_some(),
            taken: Mutex::new(Taken {
                next_id: 0,
                ticks: Arc::new(AtomicU64::new(FIRST_SILENT)),
                connections: HashMap::new(),
                by_peer: HashMap::new(),
                health_count: 0,
            }),
        })
    }

    /// Gives a place to a client, if need be one that another connection gives up; None where there is none.
    ///
    /// Cost: where all are taken a look at each.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let (peer, bound) = (Peer::of(address), self.bound_of(address));
        let mut taken = self.lock();
        let of_peer = taken.by_peer.get(&peer).copied().unwrap_or(0);
        let is_free = if bound.is_some_and(|most| of_peer >= most) {
            taken.give_up(|it| !it.is_for_health && it.peer == peer)
        } else if taken.connections.len() - taken.health_count >= self.count_max {
            taken.give_up(|it| !it.is_for_health)
        } else {
            true
        };
        let is_full = !is_free && taken.health_count >= HEALTH_COUNT;
        if is_full && !taken.give_up(|it| it.is_for_health) {
            return None;
        }
        let (id, activity) = taken.take(peer, !is_free);
        Some(Place { places: Arc::clone(self), id, is_for_health: !is_free, activity })
    }

    fn bound_of(&self, address: IpAddr) -> Option<usize> {
        let is_bounded = self.counts_loopback || !address.to_canonical().is_loopback();
        self.peer_count_max.filter(|_| is_bounded)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn take(&mut self, peer: Peer, is_for_health: bool) -> (u64, Activity) {
        let id = self.next_id;
        self.next_id += 1;
        let activity = Activity::silent(&self.ticks);
        let connection = Connection { peer, is_for_health, activity: activity.clone() };
        self.connections.insert(id, Arc::new(connection));
        match is_for_health {
            true => self.health_count += 1,
            false => *self.by_peer.entry(peer).or_default() += 1,
        }
        (id, activity)
    }

    /// Frees a place.
    fn leave(&mut self, id: u64) {
        let Some(connection) = self.connections.remove(&id) else { return };
        if connection.is_for_health {
            self.health_count -= 1;
        } else if let Some(count) = self.by_peer.get_mut(&connection.peer) {
            *count -= 1;
            if *count == 0 {
                self.by_peer.remove(&connection.peer);
            }
        }
    }

    /// Has one of some connections give up its place; false where none of them is silent.
    fn give_up(&mut self, is_one: impl Fn(&Connection) -> bool) -> bool {
        loop {
            let silent = self.connections.iter().filter(|(_, it)| is_one(it));
            let silent = silent.filter_map(|(id, it)| Some((it.activity.silent_since()?, *id)));
            let Some((since, id)) = silent.min() else { return false };
            // It may have asked for something meanwhile.
            if self.connections.get(&id).is_some_and(|it| it.activity.give_up(since)) {
                self.leave(id);
                return true;
            }
        }
    }
}

impl Peer {
    fn of(address: IpAddr) -> Peer {
        match address.to_canonical() {
            IpAddr::V4(address) => Peer(u128::from(u32::from(address))),
            IpAddr::V6(address) => Peer(u128::from(address) >> 64 << 64),
        }
    }
}

#[cfg(test)]
impl Default for Activity {
    fn default() -> Self {
        Activity::silent(&Arc::new(AtomicU64::new(FIRST_SILENT)))
    }
}

impl Activity {
    /// Makes that of a connection on which nothing was asked yet.
    fn silent(ticks: &Arc<AtomicU64>) -> Activity {
        Activity(Arc::new(Doing {
            phase: AtomicU64::new(ticks.fetch_add(1, Ordering::Relaxed)),
            ticks: Arc::clone(ticks),
            is_sending: AtomicBool::new(false),
            waits_count: AtomicU64::new(0),
            is_given_up: Notify::new(),
        }))
    }

    /// Notes that a request is whole; false where the connection has given up its place: it is answered no more.
    pub fn begin(&self) -> bool {
        self.0.phase.swap(ANSWERS, Ordering::AcqRel) != GIVEN_UP
    }

    /// Notes that nothing is owed any more.
    pub fn end(&self) {
        let silent = HAS_ASKED | self.0.ticks.fetch_add(1, Ordering::Relaxed);
        let _given_up_or_silent_already =
            self.0.phase.compare_exchange(ANSWERS, silent, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Notes whether something of an answer waits for the client to take it.
    pub fn note_sending(&self, is_sending: bool) {
        self.0.waits_count.fetch_add(u64::from(is_sending), Ordering::Relaxed);
        self.0.is_sending.store(is_sending, Ordering::Release);
    }

    /// Returns when a client has taken nothing of what waits for it, for some time.
    pub async fn stands_still(&self, time: Duration) {
        loop {
            let before = self.0.waits_count.load(Ordering::Relaxed);
            tokio::time::sleep(time).await;
            let is_same = self.0.waits_count.load(Ordering::Relaxed) == before;
            if is_same && self.0.is_sending.load(Ordering::Acquire) {
                return;
            }
        }
    }

    /// Waits until the place is given to another.
    pub async fn given_up(&self) {
        self.0.is_given_up.notified().await;
    }

    fn silent_since(&self) -> Option<u64> {
        let phase = self.0.phase.load(Ordering::Acquire);
        (phase >= FIRST_SILENT && !self.0.is_sending.load(Ordering::Acquire)).then_some(phase)
    }

    fn give_up(&self, since: u64) -> bool {
        let given_up =
            self.0.phase.compare_exchange(since, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire);
        if given_up.is_ok() {
            self.0.is_given_up.notify_one();
        }
        given_up.is_ok()
    }
}

impl Place {
    /// Tells whether nothing but the server's health may be asked for in it.
    pub fn is_for_health(&self) -> bool {
        self.is_for_health
    }

    /// Returns what says what the connection does.
    pub fn activity(&self) -> Activity {
        self.activity.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().leave(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn is_given_up(place: &Place) -> bool {
        place.activity.0.phase.load(Ordering::Acquire) == GIVEN_UP
    }

    /// One that was answered and is silent again.
    fn answered(places: &Arc<Places>) -> Place {
        let place = places.admit(address("127.0.0.1")).unwrap();
        assert!(place.activity().begin());
        place.activity().end();
        place
    }

    #[test]
    fn silent_ones_are_the_first_to_go_and_of_them_those_that_never_asked() {
        let places = Places::new(4, Some(0));
        let busy = places.admit(address("127.0.0.1")).unwrap();
        assert!(busy.activity().begin());
        let (sooner, later) = (answered(&places), answered(&places));
        let never = places.admit(address("127.0.0.1")).unwrap();
        let gone = |all: &[&Place]| all.iter().filter(|it| is_given_up(it)).count();
        for (count, expected) in [(1, &never), (2, &sooner), (3, &later)] {
            let place = places.admit(address("127.0.0.1")).unwrap();
            assert!(place.activity().begin() && !place.is_for_health());
            assert!(is_given_up(expected) && gone(&[&busy, &later, &sooner, &never]) == count);
            std::mem::forget(place);
        }
        assert!(!never.activity().begin(), "what it asks now is not answered");
    }

    #[test]
    fn when_all_answer_health_has_places_of_its_own() {
        let places = Places::new(2, Some(0));
        let mut busy: Vec<Place> = (0..2).map(|_| answered(&places)).collect();
        assert!(busy.iter().all(|it| it.activity().begin()));
        let mut spare: Vec<Place> = Vec::new();
        for _ in 0..HEALTH_COUNT {
            spare.push(places.admit(address("::1")).unwrap());
            assert!(spare.last().unwrap().is_for_health());
        }
        // The first of them gives way as well.
        let next = places.admit(address("::1")).unwrap();
        assert!(next.is_for_health() && is_given_up(&spare[0]));
        for place in spare.iter().skip(1).chain([&next]) {
            assert!(place.activity().begin());
        }
        assert!(places.admit(address("::1")).is_none());
        busy.pop();
        assert!(!places.admit(address("::1")).unwrap().is_for_health());
    }

    #[test]
    fn one_that_sends_keeps_its_place() {
        let places = Places::new(1, Some(0));
        let sending = answered(&places);
        sending.activity().note_sending(true);
        assert!(places.admit(address("127.0.0.1")).unwrap().is_for_health());
        sending.activity().note_sending(false);
        assert!(!places.admit(address("127.0.0.1")).unwrap().is_for_health());
        assert!(is_given_up(&sending));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_nothing_stands_still() {
        let (activity, begun) = (Activity::default(), tokio::time::Instant::now());
        let stands_still = activity.stands_still(Duration::from_secs(5));
        let takes = async {
            for _ in 0..10 {
                activity.note_sending(true);
                tokio::time::sleep(Duration::from_secs(2)).await;
                activity.note_sending(false);
            }
            activity.note_sending(true);
            std::future::pending::<()>().await
        };
        tokio::select! {
            () = stands_still => {}
            () = takes => {}
        }
        assert!((25..=30).contains(&begun.elapsed().as_secs()));
    }

    #[test]
    fn one_address_has_half_unless_it_is_this_machine_or_that_is_said() {
        for (said, peer, other, most) in [
            (None, "192.0.2.1", "192.0.2.2", 2),
            (None, "2001:db8::1", "2001:db8:0:1::1", 2),
            (None, "::ffff:192.0.2.1", "192.0.2.2", 2),
            (None, "127.0.0.1", "192.0.2.2", 4),
            (None, "::1", "192.0.2.2", 4),
            (Some(0), "192.0.2.1", "192.0.2.2", 4),
            (Some(3), "127.0.0.1", "127.0.0.2", 3),
        ] {
            let places = Places::new(4, said);
            let mut held = Vec::new();
            let mut busy = |from: &str| {
                let place = places.admit(address(from)).unwrap();
                assert!(place.activity().begin());
                let is_full = !place.is_for_health();
                held.push(place);
                is_full
            };
            let of_peer = (0..6).filter(|_| busy(peer)).count();
            assert_eq!(of_peer, most, "{said:?} {peer}");
            assert_eq!(busy(other), most < 4, "{said:?} {peer}");
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        assert_eq!(Peer::of(address("2001:db8::1")), Peer::of(address("2001:db8::2:0:0:1")));
        assert_ne!(Peer::of(address("2001:db8::1")), Peer::of(address("2001:db8:0:1::1")));
        assert_ne!(Peer::of(address("192.0.2.1")), Peer::of(address("192.0.2.2")));
    }

    #[test]
    fn a_place_that_is_left_is_free_once() {
        let places = Places::new(1, Some(1));
        let first = places.admit(address("127.0.0.1")).unwrap();
        let second = places.admit(address("127.0.0.1")).unwrap();
        assert!(is_given_up(&first) && second.activity().begin());
        drop(first);
        assert!(places.admit(address("127.0.0.1")).unwrap().is_for_health());
        drop(second);
        assert!(!places.admit(address("127.0.0.1")).unwrap().is_for_health());
        assert!(places.lock().connections.is_empty() && places.lock().by_peer.is_empty());
    }
}
