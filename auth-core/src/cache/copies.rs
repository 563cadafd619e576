//! The credential at hand, in a copy for each thread.
//!
//! Handing out one shared credential means that all threads count references on the same cache line, which costs each of
//! them more the more there are. So a thread keeps a copy of its own for the few caches that it last used, and looks only at
//! a version number to see whether it is still the current one.
//!
//! A copy is kept until the thread ends, or uses as many other caches; a cache that is closed or dropped leaves it behind
//! until then, unused.

use std::cell::RefCell;
use std::sync::Arc;

use crate::credential::Issued;
use crate::login_mark::LoginMark;

/// So many caches a thread remembers.
const MOST: usize = 8;

struct Copy {
    mark: LoginMark,
    version: u64,
    served: Option<Arc<Issued>>,
}

thread_local! {
    static COPIES: RefCell<[Option<Copy>; MOST]> = const { RefCell::new([const { None }; MOST]) };
}

/// Looks at this thread's copy of what the cache of this mark serves in this version; `current` is asked for another.
#[inline]
pub(super) fn look<T>(
    mark: LoginMark,
    version: u64,
    current: impl Fn() -> Option<Arc<Issued>>,
    look: impl Fn(Option<&Arc<Issued>>) -> T,
) -> T {
    // The model runs all its threads on one, so what is local to a thread is local to nobody.
    if cfg!(feature = "shuttle") {
        return look(current().as_ref());
    }
    let looked = COPIES.try_with(|copies| {
        let mut copies = copies.borrow_mut();
        let place = &mut copies[mark.index() % MOST];
        match place {
            Some(copy) if copy.mark == mark && copy.version == version => {
                look(copy.served.as_ref())
            }
            _ => look(renewed(place, mark, version, current()).served.as_ref()),
        }
    });
    // The thread is ending, and has given its copies up.
    looked.unwrap_or_else(|_| look(current().as_ref()))
}

#[cold]
fn renewed(
    place: &mut Option<Copy>,
    mark: LoginMark,
    version: u64,
    current: Option<Arc<Issued>>,
) -> &mut Copy {
    place.insert(Copy {
        mark,
        version,
        served: current.map(|issued| Arc::new(issued.copy())),
    })
}
