//! A hash map by identity, no operation of which takes longer the more entries there are.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::identity::Identity;

/// A hash map moves all its entries at once when it grows. This one consists of many small ones,
/// and each of them moves its own.
pub(super) struct Buckets<V> {
    buckets: Box<[HashMap<Identity, V, BuildHasherDefault<Hashed>>]>,
    len: usize,
}

/// The hash of an identity, as it is: it is keyed for this process, so it need not be hashed again.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, _: &[u8]) {
        unreachable!("an identity writes its hash and nothing else");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// How many entries a bucket holds when the pool is full, on average. A hash map of this many is
/// about as dense as one becomes.
const PER_BUCKET: usize = 96;

/// A pool whose capacity is meant to be unlimited pays for this many, less than a megabyte. Beyond
/// 1.5 million entries they hold more than [`PER_BUCKET`].
const MOST_BUCKETS: usize = 16 * 1024;

impl<V> Buckets<V> {
    /// A map with room for `most` entries.
    pub(super) fn for_at_most(most: usize) -> Self {
        let buckets = most.div_ceil(PER_BUCKET).clamp(1, MOST_BUCKETS);
        Self {
            buckets: (0..buckets).map(|_| HashMap::default()).collect(),
            len: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The number of buckets, which never changes.
    pub(super) const fn buckets(&self) -> usize {
        self.buckets.len()
    }

    fn index(&self, identity: &Identity) -> usize {
        // The hash is keyed for this process, so it spreads evenly, whatever the accounts are. The
        // map in the bucket places its entries by the lowest bits and the highest, so these are of
        // those between.
        let buckets = self.buckets.len() as u64;
        usize::try_from((identity.keyed_hash() >> 32) % buckets).unwrap_or_default()
    }

    pub(super) fn get(&self, identity: &Identity) -> Option<&V> {
        self.buckets[self.index(identity)].get(identity)
    }

    pub(super) fn get_mut(&mut self, identity: &Identity) -> Option<&mut V> {
        self.buckets[self.index(identity)].get_mut(identity)
    }

    pub(super) fn insert(&mut self, identity: Identity, value: V) {
        let replaced = self.buckets[self.index(&identity)].insert(identity, value);
        self.len += usize::from(replaced.is_none());
    }

    pub(super) fn remove(&mut self, identity: &Identity) -> Option<V> {
        let removed = self.buckets[self.index(identity)].remove(identity)?;
        self.len -= 1;
        Some(removed)
    }

    /// The identities in one bucket, counted from zero. `None` after the last one.
    pub(super) fn bucket(&self, index: usize) -> Option<impl Iterator<Item = &Identity>> {
        Some(self.buckets.get(index)?.keys())
    }

    /// Keeps those entries of one bucket that `keep` returns true for.
    pub(super) fn retain_in(&mut self, bucket: usize, mut keep: impl FnMut(&V) -> bool) {
        let bucket = &mut self.buckets[bucket];
        let before = bucket.len();
        bucket.retain(|_, value| keep(value));
        self.len -= before - bucket.len();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;
    use crate::origin::Origin;

    #[test]
    fn rule_4_no_entry_moves_for_more_than_a_buckets_others() {
        let origin = Origin::parse("https://buckets.example.com").unwrap();
        let identity = |number: usize| Identity::new("test", origin.clone(), number.to_string());
        let mut map = Buckets::for_at_most(20_000);
        for number in 0..20_000 {
            map.insert(identity(number), number);
        }
        map.insert(identity(7), 8);
        assert_eq!(map.len(), 20_000);
        assert_eq!(map.get(&identity(7)), Some(&8));
        let sizes: Vec<_> = (0..)
            .map_while(|index| map.bucket(index).map(Iterator::count))
            .collect();
        assert_eq!(sizes.len(), map.buckets());
        assert_eq!(sizes.iter().sum::<usize>(), 20_000);
        // Six standard deviations of what is spread at random.
        let most = PER_BUCKET + 60;
        assert!(sizes.iter().all(|size| *size <= most), "{sizes:?}");

        assert_eq!(map.remove(&identity(7)), Some(8));
        assert_eq!((map.remove(&identity(7)), map.len()), (None, 19_999));
        map.insert(identity(7), 7);
        map.retain_in(0, |number| number % 2 == 0);
        let kept = map.bucket(0).unwrap().count();
        assert_eq!(map.len(), 20_000 - sizes[0] + kept);
        assert!(kept < sizes[0]);
    }

    #[test]
    fn rule_4_the_bits_that_choose_a_bucket_do_not_place_entries_in_it() {
        let origin = Origin::parse("https://buckets.example.com").unwrap();
        // A power of two: the remainder is then the lowest of the bits that choose.
        let most = 128 * PER_BUCKET;
        let mut map = Buckets::for_at_most(most);
        for number in 0..most {
            let identity = Identity::new("test", origin.clone(), number.to_string());
            map.insert(identity, ());
        }
        let hashes: Vec<_> = (map.bucket(0).unwrap())
            .map(|identity| BuildHasherDefault::<Hashed>::default().hash_one(identity))
            .collect();
        assert!(hashes.len() <= PER_BUCKET + 60, "{}", hashes.len());
        // A map finds its place by the lowest bits, and tells entries apart by the highest seven.
        for shift in [0, 57] {
            let places: HashSet<_> = hashes.iter().map(|hash| (hash >> shift) & 127).collect();
            assert!(places.len() > PER_BUCKET / 3, "{}", places.len());
        }
    }

    #[test]
    fn a_map_without_a_bound_begins_small() {
        assert_eq!(
            Buckets::<()>::for_at_most(usize::MAX).buckets(),
            MOST_BUCKETS
        );
        assert_eq!(Buckets::<()>::for_at_most(1).buckets(), 1);
    }
}
