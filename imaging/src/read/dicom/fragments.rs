//! Encapsulated pixel data: which fragments are which frame (PS3.5, A.4).

const ITEM: [u8; 4] = [0xfe, 0xff, 0x00, 0xe0];
const END: [u8; 4] = [0xfe, 0xff, 0xdd, 0xe0];

/// The fragments of encapsulated pixel data.
pub(super) struct Fragments<'a> {
    /// Offsets of frames from the first fragment; empty if the table is.
    basic: Vec<u64>,
    /// Place, from the first fragment's item on, and bytes of each.
    fragments: Vec<(u64, &'a [u8])>,
}

impl<'a> Fragments<'a> {
    /// Walks over the items of `value`, up to the delimiter, which must be there.
    pub(super) fn read(value: &'a [u8]) -> Result<Self, String> {
        let mut rest = value;
        let mut items: Vec<(u64, &[u8])> = Vec::new();
        loop {
            let place = (value.len() - rest.len()) as u64;
            let Some((head, tail)) = rest.split_first_chunk::<8>() else {
                return Err("the file ends within its encapsulated pixel data".into());
            };
            let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
            if head[..4] == END {
                break;
            }
            if head[..4] != ITEM {
                let [a, b, c, d] = [head[1], head[0], head[3], head[2]];
                return Err(format!(
                    "encapsulated pixel data has an element ({a:02x}{b:02x},{c:02x}{d:02x}), expected items"
                ));
            }
            let Some((fragment, after)) =
                usize::try_from(length).ok().and_then(|length| tail.split_at_checked(length))
            else {
                return Err(format!(
                    "a fragment of encapsulated pixel data claims {length} bytes, the file has {} more",
                    tail.len()
                ));
            };
            items.push((place, fragment));
            rest = after;
        }
        let Some(((_, table), fragments)) = items.split_first() else {
            return Err("encapsulated pixel data without an offset table".into());
        };
        let (offsets, odd) = table.as_chunks::<4>();
        if !odd.is_empty() {
            return Err(format!("an offset table of {} bytes", table.len()));
        }
        let start = fragments.first().map_or(0, |(place, _)| *place);
        Ok(Self {
            basic: offsets.iter().map(|b| u32::from_le_bytes(*b).into()).collect(),
            fragments: fragments.iter().map(|(place, bytes)| (place - start, *bytes)).collect(),
        })
    }

    /// The fragments of each frame. `extended` are offsets and lengths of the extended table. `starts` tells whether a fragment is
    /// the first of a frame, which is asked only if no table and no number of fragments does.
    pub(super) fn frames(
        &self,
        count: usize,
        extended: Option<(Vec<u64>, Vec<u64>)>,
        starts: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<Vec<&'a [u8]>>, String> {
        let all = || self.fragments.iter().map(|(_, bytes)| *bytes);
        if let Some((offsets, lengths)) = extended {
            if offsets.len() != count || lengths.len() != count {
                return Err(format!(
                    "the extended offset table has {} offsets and {} lengths for {count} frames",
                    offsets.len(),
                    lengths.len()
                ));
            }
            let frame = |(offset, length): (&u64, &u64)| {
                let at = self.fragments.binary_search_by_key(offset, |(place, _)| *place);
                let bytes = at.ok().map(|at| self.fragments[at].1);
                let bytes = bytes.and_then(|b| usize::try_from(*length).ok().and_then(|n| b.get(..n)));
                bytes.map(|bytes| vec![bytes]).ok_or_else(|| {
                    format!("the extended offset table names {length} bytes at {offset}, where no such fragment begins")
                })
            };
            return offsets.iter().zip(&lengths).map(frame).collect();
        }
        if !self.basic.is_empty() {
            if self.basic.len() != count {
                return Err(format!("the offset table has {} offsets for {count} frames", self.basic.len()));
            }
            let mut frames = Vec::with_capacity(count.min(self.fragments.len()));
            let mut at = 0;
            for (i, offset) in self.basic.iter().enumerate() {
                let end = match self.basic.get(i + 1) {
                    None => Some(self.fragments.len()),
                    Some(next) => self.fragments.binary_search_by_key(next, |(place, _)| *place).ok(),
                };
                let begins = self.fragments.get(at).is_some_and(|(place, _)| place == offset);
                match end.filter(|end| begins && *end > at) {
                    Some(end) => {
                        frames.push(self.fragments[at..end].iter().map(|(_, bytes)| *bytes).collect());
                        at = end;
                    }
                    None => {
                        return Err(format!(
                            "the offset table names frame {i} at {offset}, where no fragment of it begins"
                        ));
                    }
                }
            }
            return Ok(frames);
        }
        if count == 1 && !self.fragments.is_empty() {
            return Ok(vec![all().collect()]);
        }
        if self.fragments.len() == count {
            return Ok(all().map(|bytes| vec![bytes]).collect());
        }
        let mut frames: Vec<Vec<&[u8]>> = Vec::new();
        for bytes in all() {
            match frames.last_mut().filter(|_| !starts(bytes)) {
                Some(frame) => frame.push(bytes),
                None => frames.push(vec![bytes]),
            }
        }
        match frames.len() == count {
            true => Ok(frames),
            false => Err(format!(
                "{} fragments of encapsulated pixel data for {count} frames, without an offset table",
                self.fragments.len()
            )),
        }
    }
}
