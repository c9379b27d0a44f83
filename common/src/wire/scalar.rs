//! Numbers, flags, byte arrays, ids and options.

use super::{Fault, Input, Wire, WireError};
use crate::id::{BlobId, EpochId, ModelHash, NodeId, RoundId, RunId, TenantId, TokenId};
use crate::units::{ByteCount, Millis, Timestamp};

macro_rules! number {
    ($($type:ty),*) => { $(
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
                <[u8; size_of::<$type>()]>::take(input).map(<$type>::from_le_bytes)
            }
        }
    )* };
}

macro_rules! newtype {
    ($($type:ident),*) => { $(
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
                Wire::take(input).map(Self)
            }
        }
    )* };
}

number!(u8, u16, u32, u64, i64, f32, f64);
newtype!(NodeId, RunId, TenantId, BlobId, ModelHash, TokenId, RoundId, EpochId, Timestamp, Millis, ByteCount);

impl<const N: usize> Wire for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let mut array = [0; N];
        array.copy_from_slice(input.slice(N)?);
        Ok(array)
    }
}

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        match u8::take(input)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(input.error(Fault::Unknown(u64::from(other)))),
        }
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        bool::take(input)?.then(|| T::take(input)).transpose()
    }
}
