//! Three answers instead of two: content inspection asks before all bytes are there.

/// What is known of something that comes with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// This is it.
    Is(T),
    /// It is not there, whatever else comes.
    Never,
    /// The bytes so far do not tell.
    NotYet,
}

impl<T> Known<T> {
    /// The same of what `make` makes of it.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Known::Is(value) => Known::Is(make(value)),
            Known::Never => Known::Never,
            Known::NotYet => Known::NotYet,
        }
    }

    /// What `make` finds in it.
    pub fn and_then<U>(self, make: impl FnOnce(T) -> Known<U>) -> Known<U> {
        match self {
            Known::Is(value) => make(value),
            Known::Never => Known::Never,
            Known::NotYet => Known::NotYet,
        }
    }
}

impl<T> From<Option<T>> for Known<T> {
    fn from(option: Option<T>) -> Known<T> {
        option.map_or(Known::Never, Known::Is)
    }
}
