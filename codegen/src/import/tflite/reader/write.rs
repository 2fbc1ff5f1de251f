//! Models written as files, for tests.

use super::model::{Code, Data, Model, Quantization, TensorDef};
use std::iter;

/// A part of a flatbuffer.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// Within its table.
    Number(Vec<u8>),
    /// Entries of one size (in bytes), one after the other.
    Vector(usize, Vec<u8>),
    Text(String),
    /// Fields by their numbers.
    Table(Vec<(usize, Part)>),
    Tables(Vec<Part>),
    /// One table, so many times.
    Same(usize, Box<Part>),
}

impl Part {
    pub(crate) fn byte(number: u8) -> Self {
        Part::Number(vec![number])
    }

    pub(crate) fn int(number: i32) -> Self {
        Part::Number(number.to_le_bytes().into())
    }

    pub(crate) fn ints(numbers: impl IntoIterator<Item = i32>) -> Self {
        Part::Vector(4, numbers.into_iter().flat_map(i32::to_le_bytes).collect())
    }

    pub(crate) fn floats(numbers: &[f32]) -> Self {
        Part::Vector(4, numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
    }

    fn longs(numbers: &[i64]) -> Self {
        Part::Vector(8, numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
    }

    fn text(text: &str) -> Self {
        Part::Text(text.into())
    }

    /// A field of a table (by its number), an entry of a vector of tables, a field of that, ….
    pub(crate) fn at(&mut self, path: &[usize]) -> &mut Part {
        let Some((first, path)) = path.split_first() else { return self };
        let part = match self {
            Part::Table(fields) => {
                fields.iter_mut().find(|(number, _)| number == first).map(|(_, part)| part).expect("a field")
            }
            Part::Tables(tables) => &mut tables[*first],
            part => panic!("{part:?} has no parts"),
        };
        part.at(path)
    }

    /// Puts a field into a table, or takes it out.
    pub(crate) fn set(&mut self, number: usize, part: Option<Part>) {
        let Part::Table(fields) = self else { panic!("no table") };
        fields.retain(|(other, _)| *other != number);
        fields.extend(part.map(|part| (number, part)));
    }

    /// The file that this is the root of.
    pub(crate) fn file(&self) -> Vec<u8> {
        let mut bytes = b"\0\0\0\0TFL3".to_vec();
        let root = self.append(&mut bytes);
        bytes[..4].copy_from_slice(&(root as u32).to_le_bytes());
        bytes
    }

    /// Writes this and what it points at behind `bytes`; where it begins.
    fn append(&self, bytes: &mut Vec<u8>) -> usize {
        let count = |bytes: &mut Vec<u8>, count: usize, alignment: usize| {
            let padding = (bytes.len() + 4).next_multiple_of(alignment) - 4;
            bytes.resize(padding, 0);
            bytes.extend((count as u32).to_le_bytes());
            padding
        };
        let mut holes: Vec<(usize, &Part)> = vec![];
        let start = match self {
            Part::Number(_) => panic!("a number stands in its table"),
            Part::Vector(size, data) => {
                let start = count(bytes, data.len() / size, 8);
                bytes.extend(data);
                start
            }
            Part::Text(text) => {
                let start = count(bytes, text.len(), 4);
                bytes.extend(text.bytes().chain([0]));
                start
            }
            Part::Tables(tables) => {
                let start = count(bytes, tables.len(), 4);
                holes.extend(tables.iter().enumerate().map(|(i, table)| (start + 4 + 4 * i, table)));
                bytes.extend(iter::repeat_n(0, 4 * tables.len()));
                start
            }
            Part::Same(times, table) => {
                let start = count(bytes, *times, 4);
                bytes.resize(bytes.len() + 4 * times, 0);
                let to = table.append(bytes);
                for hole in (start + 4..).step_by(4).take(*times) {
                    bytes[hole..hole + 4].copy_from_slice(&((to - hole) as u32).to_le_bytes());
                }
                start
            }
            Part::Table(fields) => {
                let numbers = fields.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
                let vtable = bytes.len().next_multiple_of(2);
                let start = (vtable + 4 + 2 * numbers).next_multiple_of(8);
                bytes.resize(start, 0);
                bytes.extend(((start - vtable) as i32).to_le_bytes());
                for (number, part) in fields {
                    let size = if let Part::Number(number) = part { number.len() } else { 4 };
                    let place = bytes.len().next_multiple_of(size);
                    bytes.resize(place + size, 0);
                    match part {
                        Part::Number(number) => bytes[place..].copy_from_slice(number),
                        part => holes.push((place, part)),
                    }
                    let entry = vtable + 4 + 2 * number;
                    bytes[entry..entry + 2].copy_from_slice(&((place - start) as u16).to_le_bytes());
                }
                for (place, size) in [(vtable, 4 + 2 * numbers), (vtable + 2, bytes.len() - start)] {
                    bytes[place..place + 2].copy_from_slice(&(size as u16).to_le_bytes());
                }
                start
            }
        };
        for (hole, part) in holes {
            let to = part.append(bytes);
            bytes[hole..hole + 4].copy_from_slice(&((to - hole) as u32).to_le_bytes());
        }
        start
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Data { range: 0..bytes.len(), file: bytes.into() }
    }
}

impl Model {
    /// The tables of a file that this is read from.
    pub(crate) fn tables(&self) -> Part {
        let mut buffers = vec![Part::Table(vec![])];
        let mut tensors = vec![];
        for tensor in &self.tensors {
            let data = tensor.data.as_deref().filter(|data| !data.is_empty());
            tensors.push(tensor.table(data.map_or(0, |_| buffers.len())));
            buffers.extend(data.map(|data| Part::Table(vec![(0, Part::Vector(1, data.into()))])));
        }
        let mut codes = vec![];
        let mut operators = vec![];
        for (i, operator) in self.operators.iter().enumerate() {
            let (number, name) = match &operator.code {
                Code::Builtin(name) => {
                    ((0..).find(|n| Code::new(*n) == Code::Builtin(name)).expect("a number"), None)
                }
                Code::Unknown(number) => (*number, None),
                Code::Custom(name) => (32, Some((1, Part::text(name)))),
            };
            let mut fields = vec![(2, Part::int(operator.version)), (3, Part::int(number))];
            fields.extend(name);
            codes.push(Part::Table(fields));
            let indices = |inputs: Vec<Option<usize>>| {
                Part::ints(inputs.into_iter().map(|index| index.map_or(-1, |index| index as i32)))
            };
            let mut fields = vec![
                (0, Part::int(i as i32)),
                (1, indices(operator.inputs.clone())),
                (2, indices(operator.outputs.iter().copied().map(Some).collect())),
                (5, Part::Vector(1, operator.custom_options.to_vec())),
            ];
            if let Some((tag, table)) = operator.options.table() {
                fields.extend([(3, Part::byte(tag)), (4, table)]);
            }
            operators.push(Part::Table(fields));
        }
        let ends = |ends: &[usize]| Part::ints(ends.iter().map(|index| *index as i32));
        let graph = vec![
            (0, Part::Tables(tensors)),
            (1, ends(&self.inputs)),
            (2, ends(&self.outputs)),
            (3, Part::Tables(operators)),
        ];
        let named = |ends: &[(String, usize)]| {
            Part::Tables(
                ends.iter()
                    .map(|(name, index)| {
                        Part::Table(vec![(0, Part::text(name)), (1, Part::int(*index as i32))])
                    })
                    .collect(),
            )
        };
        let signatures = self.signatures.iter().map(|signature| {
            Part::Table(vec![
                (0, named(&signature.inputs)),
                (1, named(&signature.outputs)),
                (2, Part::text(&signature.key)),
            ])
        });
        Part::Table(vec![
            (0, Part::int(3)),
            (1, Part::Tables(codes)),
            (2, Part::Tables(vec![Part::Table(graph)])),
            (3, Part::text(&self.description)),
            (4, Part::Tables(buffers)),
            (
                6,
                Part::Tables(
                    self.metadata_names.iter().map(|name| Part::Table(vec![(0, Part::text(name))])).collect(),
                ),
            ),
            (7, Part::Tables(signatures.collect())),
        ])
    }
}

impl TensorDef {
    fn table(&self, buffer: usize) -> Part {
        let mut fields = vec![
            (0, Part::ints(self.shape.iter().map(|size| *size as i32))),
            (1, Part::byte(self.element.number() as u8)),
            (2, Part::int(buffer as i32)),
            (3, Part::text(&self.name)),
        ];
        if let Some(Quantization { scale, zero_point, dimension }) = &self.quantization {
            let parts = vec![
                (2, Part::floats(scale)),
                (3, Part::longs(zero_point)),
                (6, Part::int(*dimension as i32)),
            ];
            fields.push((4, Part::Table(parts)));
        }
        Part::Table(fields)
    }
}
