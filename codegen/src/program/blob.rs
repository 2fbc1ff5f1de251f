//! All constants of a program in one aligned block of bytes, with typed references into it.

use sha2::{Digest, Sha256};
use std::{collections::HashMap, fmt, marker::PhantomData};

/// Element types of constants. Stored little-endian, as every supported target is.
pub trait Pod: bytemuck::Pod + fmt::Debug + Send + Sync {
    /// The name of the runtime's accessor for slices of this type.
    const ACCESSOR: &'static str;
}
impl Pod for i8 {
    const ACCESSOR: &'static str = "i8s";
}
impl Pod for i16 {
    const ACCESSOR: &'static str = "i16s";
}
impl Pod for u16 {
    const ACCESSOR: &'static str = "u16s";
}
impl Pod for f32 {
    const ACCESSOR: &'static str = "f32s";
}
impl Pod for i32 {
    const ACCESSOR: &'static str = "i32s";
}

/// A typed slice of the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Const<T> {
    /// Byte offset, suitably aligned.
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
    kind: PhantomData<T>,
}

/// Alignment of the blob and of every constant in it: a line of AVX-512 or of a Cortex-A cache.
const ALIGNMENT: usize = 64;
/// Alignment of constants too small to be streamed.
const SMALL_ALIGNMENT: usize = 4;

/// Collects constants; equal ones are stored once.
#[derive(Debug, Default)]
pub struct BlobBuilder {
    bytes: Vec<u8>,
    seen: HashMap<[u8; 32], (usize, usize)>,
}

impl BlobBuilder {
    /// Stores a slice, or finds it.
    pub fn add<T: Pod>(&mut self, data: &[T]) -> Const<T> {
        let raw: &[u8] = bytemuck::cast_slice(data);
        let key: [u8; 32] = Sha256::digest(raw).into();
        let (offset, _) = *self.seen.entry(key).or_insert_with(|| {
            let alignment = if raw.len() >= 1024 { ALIGNMENT } else { SMALL_ALIGNMENT };
            let offset = self.bytes.len().next_multiple_of(alignment);
            self.bytes.resize(offset, 0);
            self.bytes.extend_from_slice(raw);
            (offset, raw.len())
        });
        Const { offset, len: data.len(), kind: PhantomData }
    }

    /// Whether nothing was stored.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The finished block.
    pub fn finish(mut self) -> Blob {
        let len = self.bytes.len().next_multiple_of(SMALL_ALIGNMENT);
        self.bytes.resize(len, 0);
        let mut lines = vec![Line([0; ALIGNMENT]); len.div_ceil(ALIGNMENT)];
        bytemuck::cast_slice_mut::<Line, u8>(&mut lines)[..len].copy_from_slice(&self.bytes);
        Blob { lines, len }
    }
}

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([u8; ALIGNMENT]);

/// The constants of a program.
pub struct Blob {
    lines: Vec<Line>,
    len: usize,
}

impl Blob {
    /// Size in bytes.
    #[allow(clippy::len_without_is_empty, reason = "a program has constants")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// All bytes, as they go to `weights.bin`.
    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }

    /// One constant.
    pub fn get<T: Pod>(&self, c: Const<T>) -> &[T] {
        bytemuck::cast_slice(&self.bytes()[c.offset..c.offset + c.len * size_of::<T>()])
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len)
    }
}
