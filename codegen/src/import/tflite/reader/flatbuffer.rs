//! Tables of a flatbuffer (<https://flatbuffers.dev/internals/>), read field by field; nothing outside the file is ever read.
//!
//! A reader of our own: niello reads 39 small tables of one fixed schema, and asks each for its fields by number. The code that `planus` makes for
//! these tables and their union alone has 21,000 lines, 200 of them with `unsafe`; what `flatbuffers` uses for the whole schema has 22,000, 661 with
//! `unsafe`. Neither would bound by the size of the file what a file may unfold to, if its vectors lie one over the other.

use std::cell::Cell;

/// What is wrong with the file's structure, in words.
pub(super) type Fault = String;

/// The bytes of a file.
pub(super) struct File<'a> {
    bytes: &'a [u8],
    /// Bytes that may still be asked for: parts that many tables share count each time.
    left: Cell<usize>,
}

impl<'a> File<'a> {
    /// Of bytes that may be asked for a few times over.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, left: Cell::new(bytes.len().saturating_mul(8).saturating_add(1 << 16)) }
    }

    /// The table that the file begins with.
    pub(super) fn root(&'a self) -> Result<Table<'a>, Fault> {
        let offset = self.number::<u32>(0).ok_or("no room for the first offset")?;
        Table::new(self, offset as usize, "the root table")
    }

    /// Bytes of the file.
    pub(super) fn slice(&self, at: usize, length: usize) -> Option<&'a [u8]> {
        self.bytes.get(at..at.checked_add(length)?)
    }

    fn number<T: Number>(&self, at: usize) -> Option<T> {
        self.slice(at, T::SIZE).map(T::decode)
    }

    /// Counts bytes that are kept or looked at.
    pub(super) fn charge(&self, bytes: usize) -> Result<(), Fault> {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(
            left.ok_or("tables or vectors lie one over the other: it would unfold to many times its size")?,
        );
        Ok(())
    }

    /// Where what an offset points at lies, if it is in the file.
    fn follow(&self, at: usize) -> Option<usize> {
        let to = at.checked_add(self.number::<u32>(at)? as usize)?;
        (to < self.bytes.len()).then_some(to)
    }
}

/// A number of fixed size, little-endian.
pub(super) trait Number: Sized {
    /// Bytes.
    const SIZE: usize;

    /// From that many bytes.
    fn decode(bytes: &[u8]) -> Self;
}

macro_rules! numbers {
    ($($type:ty)*) => { $(
        impl Number for $type {
            const SIZE: usize = size_of::<$type>();

            fn decode(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().expect("as long as the number"))
            }
        }
    )* };
}

numbers!(i8 u8 u16 i32 u32 i64 u64 f32);

impl Number for bool {
    const SIZE: usize = 1;

    fn decode(bytes: &[u8]) -> Self {
        bytes[0] != 0
    }
}

/// A table: its fields have numbers, and any may be left out.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub(super) file: &'a File<'a>,
    at: usize,
    /// Bytes, all within the file.
    length: usize,
    /// For each field its distance from `at`, 16 bits; 0 if it is left out.
    places: &'a [u8],
}

impl<'a> Table<'a> {
    fn new(file: &'a File<'a>, at: usize, name: &str) -> Result<Self, Fault> {
        file.charge(128)?;
        let outside = || format!("{name} lies at offset {at}, not within the {} bytes", file.bytes.len());
        let back = file.number::<i32>(at).ok_or_else(outside)?;
        let vtable = usize::try_from(at as i64 - i64::from(back)).ok();
        let number = |add| file.number::<u16>(vtable?.checked_add(add)?);
        let (Some(vtable), Some(size), Some(length)) = (vtable, number(0), number(2)) else {
            return Err(format!("the vtable of {name} lies outside"));
        };
        let places = file.slice(vtable, size.into()).filter(|bytes| bytes.len() >= 4 && bytes.len() % 2 == 0);
        let places = places.ok_or_else(|| format!("the vtable of {name} has {size} bytes"))?;
        file.slice(at, length.into()).filter(|table| table.len() >= 4).ok_or_else(outside)?;
        Ok(Self { file, at, length: length.into(), places: &places[4..] })
    }

    /// The place of a field of `size` bytes.
    fn place(&self, (id, name): Field, size: usize) -> Result<Option<usize>, Fault> {
        let Some(place) = self.places.get(2 * id..2 * id + 2) else { return Ok(None) };
        match usize::from(u16::decode(place)) {
            0 => Ok(None),
            place if place >= 4 && place + size <= self.length => Ok(Some(self.at + place)),
            place => {
                Err(format!("field {name} lies at {place}, outside of its table of {} bytes", self.length))
            }
        }
    }

    /// A number; `None` if the field is left out, which then has its default.
    pub(super) fn number<T: Number>(&self, field: Field) -> Result<Option<T>, Fault> {
        Ok(self.place(field, T::SIZE)?.and_then(|at| self.file.number(at)))
    }

    /// Another table.
    pub(super) fn table(&self, field: Field) -> Result<Option<Table<'a>>, Fault> {
        let Some(at) = self.place(field, 4)? else { return Ok(None) };
        let at = self.file.follow(at).ok_or_else(|| format!("the offset of {} leaves the file", field.1))?;
        Table::new(self.file, at, field.1).map(Some)
    }

    /// Where a vector of entries of `size` bytes begins, and how many there are.
    fn vector(&self, field: Field, size: usize) -> Result<Option<(usize, usize)>, Fault> {
        let Some(at) = self.place(field, 4)? else { return Ok(None) };
        let leaves = || format!("the offset of vector {} leaves the file", field.1);
        let at = self.file.follow(at).ok_or_else(leaves)?;
        let count = self.file.number::<u32>(at).ok_or_else(leaves)? as usize;
        let bytes = count.checked_mul(size).and_then(|bytes| self.file.slice(at + 4, bytes));
        bytes.ok_or_else(|| format!("vector {} of {count} entries leaves the file", field.1))?;
        Ok(Some((at + 4, count)))
    }

    /// Where bytes lie in the file; empty if the field is left out.
    pub(super) fn range(&self, field: Field) -> Result<std::ops::Range<usize>, Fault> {
        Ok(self.vector(field, 1)?.map_or(0..0, |(at, count)| at..at + count))
    }

    /// Numbers; none if the field is left out.
    pub(super) fn numbers<T: Number>(&self, field: Field) -> Result<Vec<T>, Fault> {
        let Some((at, count)) = self.vector(field, T::SIZE)? else { return Ok(vec![]) };
        self.file.charge(count * T::SIZE)?;
        let bytes = self.file.slice(at, count * T::SIZE).unwrap_or_default();
        Ok(bytes.chunks_exact(T::SIZE).map(T::decode).collect())
    }

    /// A text; `None` if the field is left out. Bytes that are no UTF-8 are replaced.
    pub(super) fn text(&self, field: Field) -> Result<Option<String>, Fault> {
        let Some((at, count)) = self.vector(field, 1)? else { return Ok(None) };
        self.file.charge(count)?;
        match self.file.slice(at, count + 1).and_then(<[u8]>::split_last) {
            Some((0, text)) => Ok(Some(String::from_utf8_lossy(text).into_owned())),
            _ => Err(format!("text {} does not end within the file", field.1)),
        }
    }

    /// Tables, each with its own fault if it has one; none if the field is left out.
    pub(super) fn tables(
        &self,
        field: Field,
    ) -> Result<impl Iterator<Item = Result<Table<'a>, Fault>> + use<'a>, Fault> {
        let (at, count) = self.vector(field, 4)?.unwrap_or_default();
        let file = self.file;
        Ok((0..count).map(move |i| {
            let to = file
                .follow(at + 4 * i)
                .ok_or_else(|| format!("the offset of {}[{i}] leaves the file", field.1))?;
            Table::new(file, to, &format!("{}[{i}]", field.1))
        }))
    }
}

/// A field of a table: its number in the schema, and its name.
pub(super) type Field = (usize, &'static str);
