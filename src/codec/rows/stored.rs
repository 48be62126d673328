//! How values are stored that rows are put together from: numbers, texts and lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::event::Channel;
use crate::domain::units::EventTime;

/// Entries that one list may claim to have before any is read.
const ENTRIES_MAX: u64 = 1 << 20;

/// A value that can be part of a row.
pub(crate) trait Stored: Sized {
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes the value from the front; `None` when the bytes are no such value.
    fn get(input: &mut &[u8]) -> Option<Self>;
}

pub(crate) fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*bytes)
}

/// How many entries there are, then each as `entry` reads it.
pub(crate) fn list<T, C: FromIterator<T>>(
    input: &mut &[u8],
    entry: impl Fn(&mut &[u8]) -> Option<T>,
) -> Option<C> {
    let length = u64::get(input).filter(|length| *length <= ENTRIES_MAX)?;
    (0..length).map(|_| entry(input)).collect()
}

/// LEB128 of the unsigned one, and of the signed one in zigzag.
macro_rules! varint {
    ($unsigned:ty, $signed:ty) => {
        impl Stored for $unsigned {
            fn put(&self, out: &mut Vec<u8>) {
                let mut rest = *self;
                while rest >= 0x80 {
                    out.push((rest & 0x7f) as u8 | 0x80);
                    rest >>= 7;
                }
                out.push(rest as u8);
            }

            fn get(input: &mut &[u8]) -> Option<Self> {
                let mut value: Self = 0;
                for shift in (0..Self::BITS).step_by(7) {
                    let [byte] = take::<1>(input)?;
                    value |= Self::from(byte & 0x7f).checked_shl(shift)?;
                    if byte < 0x80 {
                        return Some(value);
                    }
                }
                None
            }
        }

        impl Stored for $signed {
            fn put(&self, out: &mut Vec<u8>) {
                (((*self << 1) ^ (*self >> (Self::BITS - 1))) as $unsigned).put(out);
            }

            fn get(input: &mut &[u8]) -> Option<Self> {
                let zigzag = <$unsigned>::get(input)?;
                Some((zigzag >> 1) as Self ^ -((zigzag & 1) as Self))
            }
        }
    };
}

varint!(u64, i64);
varint!(u128, i128);

impl Stored for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        u64::from(*self).put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        u64::get(input)?.try_into().ok()
    }
}

impl Stored for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        take::<1>(input).map(|[byte]| byte)
    }
}

impl Stored for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        match take::<1>(input)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

impl Stored for f32 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        take(input).map(Self::from_le_bytes)
    }
}

impl Stored for f64 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        take(input).map(Self::from_le_bytes)
    }
}

impl Stored for EventTime {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        i64::get(input).map(Self)
    }
}

impl Stored for String {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        let length = usize::try_from(u64::get(input)?).ok()?;
        let (text, rest) = input.split_at_checked(length)?;
        *input = rest;
        std::str::from_utf8(text).ok().map(str::to_owned)
    }
}

impl Stored for Channel {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_str().to_owned().put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        String::get(input).map(|word| Self::parse(&word))
    }
}

impl<T: Stored> Stored for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_ref().put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        T::get(input).map(Self::new)
    }
}

impl<T: Stored> Stored for Arc<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_ref().put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        T::get(input).map(Self::new)
    }
}

impl<T: Stored> Stored for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        if bool::get(input)? { T::get(input).map(Some) } else { Some(None) }
    }
}

impl<T: Stored> Stored for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        self.iter().for_each(|entry| entry.put(out));
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        list(input, T::get)
    }
}

impl<T: Stored + Ord> Stored for BTreeSet<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        self.iter().for_each(|entry| entry.put(out));
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        list(input, T::get)
    }
}

impl<A: Stored, B: Stored> Stored for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        Some((A::get(input)?, B::get(input)?))
    }
}

impl<K: Stored + Ord, V: Stored> Stored for BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        list(input, <(K, V)>::get)
    }
}

/// A bit per number that is not 0, then those numbers: most intensities and counts of a lead are 0.
impl<const N: usize> Stored for [f32; N] {
    fn put(&self, out: &mut Vec<u8>) {
        let present = self.iter().enumerate().filter(|(_, value)| value.to_bits() != 0);
        present.clone().fold(0_u64, |bits, (place, _)| bits | 1 << place).put(out);
        present.for_each(|(_, value)| value.put(out));
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        let bits = u64::get(input).filter(|bits| N >= 64 || *bits < 1 << N)?;
        let mut values = [0.0; N];
        for (place, value) in values.iter_mut().enumerate() {
            if bits & (1 << place) != 0 {
                *value = f32::get(input)?;
            }
        }
        Some(values)
    }
}

impl<const N: usize> Stored for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn get(input: &mut &[u8]) -> Option<Self> {
        take(input)
    }
}
