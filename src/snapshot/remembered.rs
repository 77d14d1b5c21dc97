//! A bounded cache of everything that requests have had made from snapshots: parts, pages in any dialect, and
//! lists of past revisions. What is used least is dropped first.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use quick_cache::{Weighter, sync::Cache};

use super::{Snapshot, body::Body};

/// The approximate memory of all snapshots, in bytes.
const SNAPSHOT_BYTES: u64 = 48 << 20;
/// The approximate memory of all bodies, in bytes.
const BODY_BYTES: u64 = 16 << 20;
/// The number of things of each kind that are expected.
const EXPECTED: usize = 256;
/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 1024;
/// The family of the lists of past revisions, which belong to no snapshot.
const PAST: u64 = 0;

/// The cache. Takes no memory until it is used.
#[derive(Default)]
pub struct Remembered {
    snapshots: OnceLock<Cache<Key, Arc<Snapshot>, BySize>>,
    bodies: OnceLock<Cache<Key, Body, BySize>>,
}

/// The snapshot or part that something was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The whole snapshot: the same for all its parts.
    family: u64,
    /// The snapshot or part.
    serial: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    origin: Origin,
    name: String,
}

impl Key {
    fn new(origin: Origin, name: &str) -> Self {
        let name = name.to_owned();
        Self { origin, name }
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.name.len()
    }
}

impl Origin {
    /// A new whole snapshot's.
    pub fn new() -> Self {
        let serial = Self::next();
        Self {
            family: serial,
            serial,
        }
    }

    /// A new part's of the same whole.
    pub fn of_part(self) -> Self {
        Self {
            serial: Self::next(),
            ..self
        }
    }

    fn next() -> u64 {
        static LAST: AtomicU64 = AtomicU64::new(PAST);
        LAST.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn past() -> Self {
        Self {
            family: PAST,
            serial: PAST,
        }
    }
}

impl Remembered {
    fn snapshots(&self) -> &Cache<Key, Arc<Snapshot>, BySize> {
        self.snapshots
            .get_or_init(|| Cache::with_weighter(EXPECTED, SNAPSHOT_BYTES, BySize))
    }

    fn bodies(&self) -> &Cache<Key, Body, BySize> {
        self.bodies
            .get_or_init(|| Cache::with_weighter(EXPECTED, BODY_BYTES, BySize))
    }

    /// The part called `name` of what has this `origin`.
    pub fn part(&self, origin: Origin, name: &str) -> Option<Arc<Snapshot>> {
        self.snapshots.get()?.get(&Key::new(origin, name))
    }

    /// The same, made with `make` if nobody has, by one at a time.
    pub fn part_or_make<E>(
        &self,
        origin: Origin,
        name: &str,
        make: impl FnOnce() -> Result<Snapshot, E>,
    ) -> Result<Arc<Snapshot>, E> {
        let make = || make().map(Arc::new);
        if name.len() > MAX_NAME_BYTES {
            return make();
        }
        self.snapshots()
            .get_or_insert_with(&Key::new(origin, name), make)
    }

    /// The body called `name` that was made of what has this `origin`.
    pub fn body(&self, origin: Origin, name: &str) -> Option<Body> {
        self.bodies.get()?.get(&Key::new(origin, name))
    }

    /// Remembers `body`, called `name`, that was made of what has this `origin`.
    pub fn keep_body(&self, origin: Origin, name: &str, body: Body) {
        if name.len() <= MAX_NAME_BYTES {
            self.bodies().insert(Key::new(origin, name), body);
        }
    }

    /// The list as it was at `revision`.
    pub fn past(&self, revision: i64) -> Option<Arc<Snapshot>> {
        self.part(Origin::past(), &revision.to_string())
    }

    /// Remembers the list as it was at `revision`.
    pub fn keep_past(&self, revision: i64, snapshot: Arc<Snapshot>) {
        let key = Key::new(Origin::past(), &revision.to_string());
        self.snapshots().insert(key, snapshot);
    }

    /// Forgets what was made of `snapshot`, which is no longer served.
    pub fn forget(&self, snapshot: &Snapshot) {
        self.forget_family(snapshot.origin.family);
    }

    /// Forgets the lists of past revisions: some may have been pruned.
    pub fn forget_past(&self) {
        self.forget_family(PAST);
    }

    fn forget_family(&self, family: u64) {
        if let Some(snapshots) = self.snapshots.get() {
            snapshots.retain(|key, _| key.origin.family != family);
        }
        if let Some(bodies) = self.bodies.get() {
            bodies.retain(|key, _| key.origin.family != family);
        }
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered").finish_non_exhaustive()
    }
}

/// Weighs by approximate memory, in bytes.
#[derive(Clone, Copy, Debug)]
struct BySize;

impl Weighter<Key, Arc<Snapshot>> for BySize {
    fn weight(&self, key: &Key, snapshot: &Arc<Snapshot>) -> u64 {
        (key.weight() + snapshot.weight() + size_of::<Snapshot>()) as u64
    }
}

impl Weighter<Key, Body> for BySize {
    fn weight(&self, key: &Key, body: &Body) -> u64 {
        (key.weight() + body.weight() + size_of::<Body>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::{
        model::scope::Scope,
        snapshot::tests::{content, model},
    };

    fn snapshot() -> Snapshot {
        Snapshot::build(content(vec![model("openai", "o", 1)])).expect("a snapshot")
    }

    fn body() -> Body {
        Body::once(vec![b'x'; 1 << 20])
    }

    #[test]
    fn a_part_is_made_once() {
        let (remembered, origin, made) = (Remembered::default(), Origin::new(), Cell::new(0));
        let get = |name: &str| {
            let make = || {
                made.set(made.get() + 1);
                Ok::<_, ()>(snapshot())
            };
            remembered.part_or_make(origin, name, make).expect("made");
            made.get()
        };
        assert_eq!([get("a"), get("a"), get("b"), get("a")], [1, 1, 2, 2]);
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        assert_eq!([get(&long), get(&long)], [3, 4], "too long to be kept");
    }

    #[test]
    fn the_memory_is_bounded() {
        let (remembered, origin) = (Remembered::default(), Origin::new());
        for number in 0..200 {
            remembered.keep_body(origin, &number.to_string(), body());
            let large = (0..2000).map(|id| model("openai", &format!("{number} {id}"), 1));
            let large = Snapshot::build(content(large.collect())).expect("a snapshot");
            remembered.keep_past(number, Arc::new(large));
        }
        let kept = remembered.bodies().weight();
        assert!((BODY_BYTES / 2..=BODY_BYTES).contains(&kept), "{kept}");
        let kept = remembered.snapshots().weight();
        assert!(
            (SNAPSHOT_BYTES / 2..=SNAPSHOT_BYTES).contains(&kept),
            "{kept}"
        );
    }

    #[test]
    fn what_is_no_longer_served_is_forgotten_with_its_parts() {
        let remembered = Arc::new(Remembered::default());
        let build = || snapshot().remembered_in(&remembered);
        let (one, two) = (build(), build());
        let part = one.part("p", || one.restrict(&Scope::default()));
        let part = part.expect("made");
        for of in [&one, &part, &two] {
            remembered.keep_body(of.origin, "b", body());
        }
        remembered.keep_past(1, Arc::new(build()));
        remembered.forget(&one);
        assert!(one.cached_part("p").is_none());
        for (of, is_kept) in [(&one, false), (&part, false), (&two, true)] {
            assert_eq!(remembered.body(of.origin, "b").is_some(), is_kept);
        }
        assert!(remembered.past(1).is_some());
        remembered.forget_past();
        assert!(remembered.past(1).is_none());
        assert!(remembered.body(two.origin, "b").is_some());
    }
}
