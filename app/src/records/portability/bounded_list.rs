//! How is a list read that anybody may have made?
//!
//! The caller takes each element before the next is read; and the list has a greatest length, since the shortest element takes
//! more memory than its letters.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, SeqAccess, Visitor},
};

/// Elements of a list within an element.
const MOST_WITHIN: usize = 1000;

/// A list whose elements are taken one by one.
pub(super) struct Each<T, F> {
    most: usize,
    take: F,
    element: PhantomData<T>,
}

impl<T, F: FnMut(T)> Each<T, F> {
    /// Returns a list of so many elements at most.
    pub(super) fn new(most: usize, take: F) -> Self {
        Self { most, take, element: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> DeserializeSeed<'de> for Each<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<T, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        for _ in 0..self.most {
            match list.next_element()? {
                Some(element) => (self.take)(element),
                None => return Ok(()),
            }
        }
        match list.next_element::<IgnoredAny>()? {
            Some(_) => Err(A::Error::custom(format!("a list has more than {} entries, which is the most", self.most))),
            None => Ok(()),
        }
    }
}

/// Reads a list within an element.
pub(super) fn bounded<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let mut all = Vec::new();
    Each::new(MOST_WITHIN, |element| all.push(element)).deserialize(from)?;
    Ok(all)
}
