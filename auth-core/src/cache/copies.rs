//! The credential at hand, in a copy for each thread.
//!
//! Handing out one shared credential means that all threads count references on the same cache line, which costs each of
//! them more the more there are. So a thread keeps a copy of its own for a few caches that it uses, and looks only at a
//! version number to see whether it is still the current one. A copy and its values count their references on lines of
//! their own: a line that is shared with a neighbour in memory costs as much as one that is shared on purpose.
//!
//! A copy is kept until the thread ends, or until another cache with the same one of eight places is looked at twice in a
//! row; a cache that is closed or dropped leaves it behind until then, unused.

use std::cell::{Cell, RefCell};
use std::mem;

use crate::credential::Credential;
use crate::login_mark::LoginMark;

/// So many caches at most a thread has a copy of.
const MOST: usize = 8;

struct Place {
    /// Whose copy this is, and of which version.
    holder: Option<(LoginMark, u64)>,
    copy: Option<Credential>,
    /// Whoever looked here last, if that one found another's copy.
    passer_by: Cell<Option<LoginMark>>,
}

thread_local! {
    static PLACES: RefCell<[Place; MOST]> = const {
        RefCell::new([const { Place { holder: None, copy: None, passer_by: Cell::new(None) } }; MOST])
    };
}

/// Looks at what the cache of this mark serves in this version: at the thread's copy, or at what `current` gives where the
/// thread keeps none. A thread that is ending sees nothing any more.
#[inline]
pub(super) fn look<T>(
    mark: LoginMark,
    version: u64,
    current: impl Fn() -> Option<Credential>,
    look: impl FnOnce(&Credential) -> Option<T>,
) -> Option<T> {
    // The model runs all its threads on one, so what is local to a thread is local to nobody.
    if cfg!(feature = "shuttle") {
        return look(&current()?);
    }
    let looked = PLACES.try_with(|places| {
        let index = mark.index() % MOST;
        let mut kept = places.borrow();
        if kept[index].holder != Some((mark, version)) {
            drop(kept);
            renew(places, mark, version, &current);
            kept = places.borrow();
        }
        let place = &kept[index];
        let passing;
        let credential = if place.holder == Some((mark, version)) {
            if place.passer_by.get().is_some() {
                place.passer_by.set(None);
            }
            place.copy.as_ref()
        } else {
            passing = current();
            passing.as_ref()
        };
        look(credential?)
    });
    looked.ok().flatten()
}

/// A new copy, unless that would cost another cache its own: it gives way only to one that comes twice in a row, so that
/// going through a thousand identities copies none of them.
#[cold]
fn renew(
    places: &RefCell<[Place; MOST]>,
    mark: LoginMark,
    version: u64,
    current: impl Fn() -> Option<Credential>,
) {
    // Somebody may be looking at another's copy, and ask from within.
    let Ok(looked) = places.try_borrow_mut() else {
        return;
    };
    {
        let place = &looked[mark.index() % MOST];
        let taken = place.holder.is_some_and(|(other, _)| other != mark);
        if taken && place.passer_by.replace(Some(mark)) != Some(mark) {
            return;
        }
    }
    drop(looked);
    // What is copied and what is dropped may be others' code, which may look as well.
    let renewed = Place {
        holder: Some((mark, version)),
        copy: current().map(|credential| credential.copy()),
        passer_by: Cell::new(None),
    };
    let replaced = places
        .try_borrow_mut()
        .map(|mut places| mem::replace(&mut places[mark.index() % MOST], renewed));
    drop(replaced);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Moment;
    use crate::credential::{Session, Stamp};
    use crate::lifetime::{Life, Lifetime, RefreshWindow};

    fn credential() -> Credential {
        let born = Moment { steady: 1, wall: 1 };
        let life = Life::begin(Lifetime::unknown(), born, RefreshWindow::DEFAULT, 0.0);
        let stamp = Stamp {
            generation: 1,
            revision: 0,
        };
        let session = Session::new().with_bearer("token").unwrap();
        Credential::new(stamp, session, life)
    }

    /// Whether a copy was looked at, and not what all threads share.
    fn sees_a_copy(mark: LoginMark, version: u64, shared: &Credential) -> bool {
        let looked = look(
            mark,
            version,
            || Some(shared.clone()),
            |seen| Some(!Arc::ptr_eq(seen.issued(), shared.issued())),
        );
        looked.unwrap()
    }

    #[test]
    fn a_thread_keeps_a_copy_of_each_version_and_gives_it_up_to_who_comes_twice_in_a_row() {
        let mine = LoginMark::next();
        // One that would have its copy in the same place.
        let other = std::iter::repeat_with(LoginMark::next)
            .find(|other| other.index() % MOST == mine.index() % MOST)
            .unwrap();
        let shared = credential();
        assert!(sees_a_copy(mine, 1, &shared));
        let again = look(mine, 1, || panic!("it has a copy"), |_| Some(()));
        assert!(again.is_some());
        assert!(
            look(mine, 2, || None, |_| Some(())).is_none(),
            "a new version"
        );
        assert!(sees_a_copy(mine, 3, &shared));
        for _ in 0..3 {
            assert!(!sees_a_copy(other, 1, &shared), "it passes by");
            assert!(sees_a_copy(mine, 3, &shared));
        }
        assert!(!sees_a_copy(other, 1, &shared));
        assert!(sees_a_copy(other, 1, &shared), "twice in a row");
        assert!(!sees_a_copy(mine, 3, &shared));
    }

    #[test]
    fn who_looks_from_within_a_look_sees_what_is_shared() {
        let (mine, other) = (LoginMark::next(), LoginMark::next());
        let shared = credential();
        let seen = look(
            mine,
            1,
            || Some(shared.clone()),
            |_| Some(sees_a_copy(other, 1, &shared)),
        );
        assert_eq!(seen, Some(false));
    }
}
