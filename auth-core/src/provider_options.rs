//! The options of a provider, in a form that can be compared.

use std::any::Any;
use std::fmt;

/// The options of a [`Provider`](crate::Provider), to be compared with those of another one.
///
/// They are equal if the values that they were made of have the same type and are equal. Their
/// `Debug` form omits the values.
///
/// ```
/// use std::time::Duration;
/// use auth_core::ProviderOptions;
///
/// let minute = || ProviderOptions::of(Some(Duration::from_secs(60)));
/// assert_eq!(minute(), minute());
/// assert_ne!(minute(), ProviderOptions::of(None::<Duration>));
/// assert_ne!(minute(), ProviderOptions::none());
/// ```
pub struct ProviderOptions(Box<dyn Comparable>);

trait Comparable: Any + Send + Sync {
    fn equals(&self, other: &dyn Any) -> bool;
}

impl<T: PartialEq + Send + Sync + 'static> Comparable for T {
    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<T>().is_some_and(|other| self == other)
    }
}

impl ProviderOptions {
    /// No options. All providers without options are equal in them.
    pub fn none() -> Self {
        Self::of(())
    }

    /// Options that are equal if these values are: a tuple of all that can be set, for instance. No
    /// secret belongs here: the [source](crate::SecretSource) of the secret is compared by itself.
    pub fn of(values: impl PartialEq + Send + Sync + 'static) -> Self {
        Self(Box::new(values))
    }
}

impl PartialEq for ProviderOptions {
    fn eq(&self, other: &Self) -> bool {
        let other: &dyn Any = &*other.0;
        self.0.equals(other)
    }
}

impl fmt::Debug for ProviderOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderOptions").finish_non_exhaustive()
    }
}
