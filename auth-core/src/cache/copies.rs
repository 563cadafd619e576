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

#[derive(Default)]
struct Place {
    copy: Option<Copy>,
    /// Whoever looked here last and found another's copy.
    passer_by: Option<LoginMark>,
}

struct Copy {
    mark: LoginMark,
    version: u64,
    served: Option<Credential>,
}

thread_local! {
    static PLACES: RefCell<[Place; MOST]> = const {
        RefCell::new([const { Place { copy: None, passer_by: None } }; MOST])
    };
}

/// Looks at this thread's copy of what the cache of this mark serves in this version; `current` is asked for another.
#[inline]
pub(super) fn look<T>(
    mark: LoginMark,
    version: u64,
    current: impl Fn() -> Option<Credential>,
    mut look: impl FnMut(Option<&Credential>) -> T,
) -> T {
    // The model runs all its threads on one, so what is local to a thread is local to nobody.
    if cfg!(feature = "shuttle") {
        return look(current().as_ref());
    }
    let looked = PLACES.try_with(|places| {
        // They are lent out already to somebody who looks from within a look.
        let mut places = places.try_borrow_mut().ok()?;
        let place = &mut places[mark.index() % MOST];
        let copy = match &place.copy {
            Some(copy) if copy.mark == mark && copy.version == version => copy,
            _ => place.renew(mark, version, &current)?,
        };
        Some(look(copy.served.as_ref()))
    });
    // Or the thread is ending, and has given its copies up.
    match looked {
        Ok(Some(looked)) => looked,
        _ => look(current().as_ref()),
    }
}

impl Place {
    /// A new copy, unless that would cost another cache its own: it gives way only to one that comes twice in a row, so
    /// that going through a thousand identities copies none of them.
    #[cold]
    fn renew(
        &mut self,
        mark: LoginMark,
        version: u64,
        current: impl Fn() -> Option<Credential>,
    ) -> Option<&Copy> {
        let taken = self.copy.as_ref().is_some_and(|copy| copy.mark != mark);
        if taken && self.passer_by.replace(mark) != Some(mark) {
            return None;
        }
        self.passer_by = None;
        Some(self.copy.insert(Copy {
            mark,
            version,
            served: current().map(|credential| credential.copy()),
        }))
    }
}
