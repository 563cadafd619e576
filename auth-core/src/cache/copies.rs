//! The credential at hand, in a copy for each thread.
//!
//! Handing out one shared credential means that all threads count references on the same cache line, which costs each of
//! them more the more there are. So a thread keeps a copy of its own for the few caches that it last used, and looks only at
//! a version number to see whether it is still the current one.
//!
//! A copy is kept until the thread ends, or uses as many other caches; a cache that is closed or dropped leaves it behind
//! until then, unused.

use std::cell::RefCell;

use crate::credential::Credential;
use crate::login_mark::LoginMark;

/// So many caches a thread remembers.
const MOST: usize = 8;

struct Place {
    /// Whose copy this is, and of which version.
    holder: Option<(LoginMark, u64)>,
    copy: Option<Credential>,
    /// Whoever looked here last and found another's copy.
    passer_by: Option<LoginMark>,
}

thread_local! {
    static PLACES: RefCell<[Place; MOST]> = const {
        RefCell::new([const { Place { holder: None, copy: None, passer_by: None } }; MOST])
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
    let Ok(mut places) = places.try_borrow_mut() else {
        return;
    };
    let place = &mut places[mark.index() % MOST];
    let taken = place.holder.is_some_and(|(other, _)| other != mark);
    if taken && place.passer_by.replace(mark) != Some(mark) {
        return;
    }
    *place = Place {
        holder: Some((mark, version)),
        copy: current().map(|credential| credential.copy()),
        passer_by: None,
    };
}
