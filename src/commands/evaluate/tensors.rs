//! Cases that are rows of tensors.

use super::{
    data::{Item, Source, Truth},
    labels::{Labels, Meaning},
};
use crate::inputs::is_tensors;
use niello_codegen::{
    Error, Result, Tensor, ValueId,
    import::End,
    pipeline::{Build, Task},
    tensor::Shape,
    weights::read_tensors,
};
use niello_imaging::Array;
use std::{collections::BTreeMap, path::Path};

/// Names of the tensor of all inputs, and of all labels.
const INPUTS: [&str; 4] = ["inputs", "images", "input", "x"];
const LABELS: [&str; 4] = ["labels", "targets", "masks", "y"];

/// Tensors of a safetensors file by name, or the array of an NPY file under no name.
fn read(path: &Path) -> Result<BTreeMap<String, Array>> {
    if !is_tensors(path) {
        return Ok([(String::new(), Array::load(path)?)].into());
    }
    let tensors = read_tensors(path)?;
    Ok(tensors.into_iter().map(|(name, t)| (name, Array { shape: t.shape, data: t.data })).collect())
}

/// A tensor in the order of a file as the program has it.
///
/// # Errors
/// Another shape, in words.
pub(super) fn in_order(
    end: &End,
    shape: Shape,
    found: &[usize],
    data: &[f32],
) -> Result<Tensor<f32>, String> {
    let expected = || format!("expected the shape {:?}, found {found:?}", end.shape);
    if !end.takes(found) {
        return Err(expected());
    }
    let data = match end.places() {
        Some(places) => places.iter().map(|at| data.get(*at).copied()).collect::<Option<Vec<_>>>(),
        None => Some(data.to_vec()),
    };
    data.and_then(|data| Tensor::new(shape, data)).ok_or_else(expected)
}

/// The rows of a tensor: their shape, and the elements of each.
pub(super) fn rows(array: &Array) -> (Vec<usize>, Vec<&[f32]>) {
    let count = array.shape.first().copied().unwrap_or(0);
    let row = array.data.len().checked_div(count).unwrap_or(0);
    let rows = if row > 0 { array.data.chunks(row).collect() } else { vec![] };
    (array.shape.get(1..).unwrap_or_default().to_vec(), rows)
}

/// The cases of a file: rows of `inputs` and `labels`, or tensors `CASE` and `CASE/label`.
pub(super) fn cases(
    build: &Build,
    labels: &Labels,
    path: &Path,
    of_labels: Option<&Path>,
    is_unlabelled: bool,
) -> Result<Vec<Item>> {
    let fail = |message: String| Error::file(path, message);
    let inputs = build.inputs();
    let ([end], [id]) = (&inputs[..], &build.program.inputs[..]) else {
        let names: Vec<&str> = inputs.iter().map(|end| &*end.name).collect();
        return Err(fail(format!("cases have one input, the network has {}", names.join(", "))));
    };
    let mut tensors = read(path)?;
    let takes = |names: &[&str], tensors: &mut BTreeMap<String, Array>| {
        names.iter().find_map(|name| tensors.remove(*name))
    };
    let batch = takes(&INPUTS, &mut tensors).or_else(|| tensors.remove(""));
    let found = takes(&LABELS, &mut tensors);
    let given = of_labels.map(|path| {
        let mut of_file = read(path)?;
        let found = takes(&LABELS, &mut of_file).or_else(|| of_file.pop_first().map(|(_, array)| array));
        found.ok_or_else(|| Error::file(path, "holds no tensor of labels"))
    });
    let found = given.transpose()?.or(found);
    let read = Rows { build, labels, end, id: *id };
    if let Some(batch) = batch {
        if let Some(name) = tensors.keys().next() {
            return Err(fail(format!(
                "tensor `{name}` beside those of all inputs and labels: not known what it is"
            )));
        }
        let (shape, inputs) = rows(&batch);
        let width = inputs.len().to_string().len();
        let of_case = match &found {
            Some(found) if found.shape.first() == Some(&inputs.len()) => rows(found).1,
            Some(found) => {
                let message = format!(
                    "expected {} labels, one for each input, found the shape {:?}",
                    inputs.len(),
                    found.shape
                );
                return Err(Error::file(of_labels.unwrap_or(path), message));
            }
            None if is_unlabelled => vec![&[][..]; inputs.len()],
            None => return Err(fail("has no tensor `labels`; `--labels` names another file of them".into())),
        };
        let cases = inputs.iter().zip(of_case).enumerate();
        return cases
            .map(|(i, (input, label))| read.item(format!("{i:0width$}"), &shape, input, label).map_err(fail))
            .collect();
    }
    if found.is_some() {
        return Err(fail(format!("has labels, and none of the tensors {}", INPUTS.join(", "))));
    }
    let ends =
        |name: &str| ["/label", "/mask"].iter().find_map(|end| name.strip_suffix(end)).map(str::to_string);
    let of_case: BTreeMap<String, Array> =
        tensors.iter().filter_map(|(name, t)| Some((ends(name)?, t.clone()))).collect();
    tensors.retain(|name, _| ends(name).is_none());
    if let Some(lost) = of_case.keys().find(|name| !tensors.contains_key(*name)) {
        return Err(fail(format!("a label for `{lost}`, and no tensor of that name")));
    }
    let case = |(name, tensor): (String, Array)| match of_case.get(&name) {
        Some(label) => read.item(name, &tensor.shape, &tensor.data, &label.data),
        None if is_unlabelled => read.item(name, &tensor.shape, &tensor.data, &[]),
        None => Ok(Item { id: name, source: Source::Problem("no label".into()), truth: Truth::Unknown }),
    };
    tensors.into_iter().map(|tensor| case(tensor).map_err(fail)).collect()
}

/// What makes cases of rows.
struct Rows<'a> {
    build: &'a Build,
    labels: &'a Labels,
    end: &'a End,
    id: ValueId,
}

impl Rows<'_> {
    /// A case from its input and its label: none, a class, or the map of a mask. A bad label is a problem of its case only.
    fn item(&self, id: String, shape: &[usize], input: &[f32], label: &[f32]) -> Result<Item, String> {
        let input = in_order(self.end, self.build.program.tensor(self.id).shape, shape, input);
        let input = input.map_err(|e| format!("case `{id}`: {e}"))?;
        let output = self.build.program.tensor(self.build.program.outputs[0]).shape;
        let truth = match label {
            [] => Ok(Truth::Unknown),
            map if self.build.task == Task::Segmentation => {
                let pixels = output.area();
                let fits = map.len() == pixels;
                let map = fits.then(|| self.labels.of_values(map).map(Truth::Map));
                map.unwrap_or_else(|| {
                    Err(format!("expected a mask of {pixels} pixels, found {}", label.len()))
                })
            }
            [class] => match self.labels.of_label(&class.to_string()) {
                Some(Meaning::Class(class)) => Ok(Truth::Class(class)),
                _ => Err(format!("label {class}: expected 0 to {}", self.labels.count() - 1)),
            },
            many => return Err(format!("case `{id}`: expected one label, found {}", many.len())),
        };
        Ok(match truth {
            Ok(truth) => Item { id, source: Source::Input(input), truth },
            Err(why) => Item { id, source: Source::Problem(why), truth: Truth::Unknown },
        })
    }
}
