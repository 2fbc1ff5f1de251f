//! Results as a safetensors file: its header first, then each case as soon as it has been computed.

use super::codes::{Order, decode, dtype};
use niello_codegen::{
    Error, Result, ValueId,
    execute::View,
    import::End,
    pipeline::Build,
    program::{Program, TensorInfo},
};
use safetensors::tensor::{Metadata, TensorInfo as Entry};
use std::{
    collections::BTreeSet,
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Where a tensor of each case comes from.
#[derive(Clone, Copy)]
enum Source {
    Input(usize),
    Output(usize),
    /// A value that is complete after this step.
    Layer(usize, ValueId),
}

/// A tensor of each case.
struct Slot<'a> {
    name: String,
    from: Source,
    info: &'a TensorInfo,
    order: Order,
    /// Where it begins in the file, case by case.
    offsets: Vec<u64>,
}

/// A file that is being written.
pub(super) struct Results<'a> {
    path: PathBuf,
    file: NamedTempFile,
    slots: Vec<Slot<'a>>,
    failed: Option<io::Error>,
}

impl<'a> Results<'a> {
    /// Writes the header: names, types and places of all results.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn create(path: &Path, build: &'a Build, cases: &[&str], layers: bool) -> Result<Self> {
        let mut slots = slots(build, layers);
        let mut order: Vec<usize> = (0..slots.len()).collect();
        // Large elements first: then each lies at a multiple of its size.
        order.sort_by_key(|i| {
            std::cmp::Reverse(slots[*i].order.end.element_of(slots[*i].info.format).bytes())
        });
        let (mut entries, mut end) = (vec![], 0);
        for i in order {
            let slot = &mut slots[i];
            let of = slot.order.end.element_of(slot.info.format);
            let bytes = of.bytes() * slot.order.end.elements();
            for case in cases {
                let name = if case.is_empty() { slot.name.clone() } else { format!("{case}/{}", slot.name) };
                let shape = slot.order.end.shape.clone();
                entries.push((name, Entry { dtype: dtype(of), shape, data_offsets: (end, end + bytes) }));
                slot.offsets.push(end as u64);
                end += bytes;
            }
        }
        let names: BTreeSet<&String> = entries.iter().map(|(name, _)| name).collect();
        if names.len() != entries.len() {
            return Err(Error::file(
                path,
                "results of two cases have the same name; choose other names of cases",
            ));
        }
        let header = Metadata::new(None, entries).map_err(|e| Error::file(path, e.to_string()))?;
        let mut header = serde_json::to_vec(&header).map_err(|e| Error::file(path, e.to_string()))?;
        header.resize(header.len().next_multiple_of(8), b' ');
        let start = 8 + header.len() as u64;
        slots.iter_mut().flat_map(|slot| &mut slot.offsets).for_each(|offset| *offset += start);
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let create = || -> io::Result<NamedTempFile> {
            let mut file = NamedTempFile::new_in(folder)?;
            file.write_all(&(header.len() as u64).to_le_bytes())?;
            file.write_all(&header)?;
            file.as_file().set_len(start + end as u64)?;
            Ok(file)
        };
        let file = create().map_err(Error::io("cannot write", path))?;
        Ok(Self { path: path.into(), file, slots, failed: None })
    }

    /// Writes the values that are complete after a step.
    pub(super) fn layers(&mut self, case: usize, step: usize, view: &View<'_>) {
        for slot in 0..self.slots.len() {
            if let Source::Layer(at, id) = self.slots[slot].from
                && at == step
            {
                self.write(case, slot, &view.tensor(id));
            }
        }
    }

    /// Writes outputs, and layers that are inputs.
    ///
    /// # Errors
    /// If this or something before could not be written.
    pub(super) fn ends(&mut self, case: usize, inputs: &[Vec<i8>], outputs: &[Vec<i8>]) -> Result<()> {
        for slot in 0..self.slots.len() {
            match self.slots[slot].from {
                Source::Input(i) => self.write(case, slot, &inputs[i]),
                Source::Output(i) => self.write(case, slot, &outputs[i]),
                Source::Layer(..) => {}
            }
        }
        self.failed.take().map_or(Ok(()), |error| Err(Error::io("cannot write", &self.path)(error)))
    }

    fn write(&mut self, case: usize, slot: usize, bytes: &[i8]) {
        let Slot { info, order, offsets, .. } = &self.slots[slot];
        let bytes = decode(bytes, order, info.format);
        let to = SeekFrom::Start(offsets[case]);
        let written = self.file.seek(to).and_then(|_| self.file.write_all(&bytes));
        self.failed = self.failed.take().or(written.err());
    }

    /// Gives the file its name; how many layers each case has.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn finish(self) -> Result<usize> {
        let Self { path, file, slots, .. } = self;
        file.persist(&path).map_err(|e| Error::io("cannot write", &path)(e.error))?;
        Ok(slots.iter().filter(|slot| !matches!(slot.from, Source::Output(_))).count())
    }
}

/// What is written of each case, each name once.
fn slots(build: &Build, layers: bool) -> Vec<Slot<'_>> {
    let program = &build.program;
    let mut names = BTreeSet::new();
    let mut slots = vec![];
    let mut add = |from, id: ValueId, name: String, end: End| {
        if names.insert(name.clone()) {
            let info = program.tensor(id);
            slots.push(Slot { name, from, info, order: Order::new(end), offsets: vec![] });
        }
    };
    for ((i, id), end) in program.outputs.iter().enumerate().zip(build.outputs()) {
        add(Source::Output(i), *id, end.name.clone(), end);
    }
    if layers {
        for (from, id) in complete(build, program) {
            for end in build.layers_of(id) {
                add(from, id, format!("layer/{}", end.name), end);
            }
        }
    }
    slots
}

/// Values in the order in which they are complete: layers of the file that are inputs, then what steps make. The result of an operator whose operands
/// are written in their places is complete when the last of them is.
fn complete(build: &Build, program: &Program) -> Vec<(Source, ValueId)> {
    let graph = &build.quantized.graph;
    let inputs = program.inputs.iter().enumerate().filter(|(_, id)| build.is_layer(**id));
    let mut all: Vec<(Source, ValueId)> = inputs.map(|(i, id)| (Source::Input(i), *id)).collect();
    let mut last = vec![None; program.tensors.len()];
    for (at, step) in program.steps.iter().enumerate() {
        last[step.writes().0] = Some(at);
    }
    for node in &graph.nodes {
        let made = node.output();
        if last[made.0].is_none() && node.op.places_inputs() {
            last[made.0] = node.inputs.iter().filter_map(|id| last[id.0]).max();
        }
        all.extend(last[made.0].map(|at| (Source::Layer(at, made), made)));
    }
    all
}
