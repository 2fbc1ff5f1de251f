//! All cases on all cores.

use super::{
    against::{Against, check_names},
    data::{Data, Item, Source, Truth},
    journal::Journal,
    kind, scans,
};
use crate::{inputs::input_use, progress::Step};
use niello_codegen::{
    Result, Tensor,
    execute::Executor,
    pipeline::{Build, Task},
};
use niello_evaluation::{LeftOut, Line, MaskCase, MaskOutcome, ScoreCase, Scores};
use niello_imaging::load;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

/// The results of the cases of a shard; those of `done` are not run again, unless they had none.
pub(super) fn all(
    build: &Build,
    data: &Data,
    against: Option<&Against>,
    shard: Option<[usize; 2]>,
    mut journal: Option<&mut Journal>,
    done: Vec<Line>,
) -> Result<Vec<Line>> {
    check_names(against, data.items.iter().map(|item| &*item.id), data.are_rows)?;
    let [k, n] = shard.unwrap_or([1, 1]);
    let mine: Vec<(usize, &Item)> = data.items.iter().enumerate().filter(|(i, _)| i % n == k - 1).collect();
    let names: BTreeSet<&str> = mine.iter().map(|(_, item)| &*item.id).collect();
    let mut lines: BTreeMap<String, Line> =
        done.into_iter().map(|line| (line.id().to_string(), line)).collect();
    lines.retain(|id, line| !matches!(line, Line::LeftOut(_)) && names.contains(id.as_str()));
    let pending: Vec<(usize, &Item)> =
        mine.iter().copied().filter(|(_, item)| !lines.contains_key(&item.id)).collect();
    let step = Step::new("evaluating", mine.len() as u64);
    step.resume(lines.len() as u64);
    let cores = thread::available_parallelism().map_or(1, |n| n.get());
    // A scan has its slices on all cores.
    let are_scans = pending.iter().any(|(_, item)| matches!(item.source, Source::Scan(_)));
    let threads = if are_scans { 1 } else { cores.min(pending.len()) };
    let next = AtomicUsize::new(0);
    thread::scope(|scope| -> Result<()> {
        let (sender, results) = mpsc::channel();
        for _ in 0..threads {
            let (sender, pending, next) = (sender.clone(), &pending, &next);
            scope.spawn(move || {
                let mut worker = Worker { build, data, against, executor: Executor::new(&build.program) };
                while let Some((row, item)) = pending.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // Nobody listens any more after an error.
                    if sender.send(worker.line(*row, item)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for line in results {
            let line = line?;
            if let Some(journal) = &mut journal {
                journal.add(&line)?;
            }
            lines.insert(line.id().to_string(), line);
            step.advance();
        }
        Ok(())
    })?;
    Ok(lines.into_values().collect())
}

struct Worker<'a> {
    build: &'a Build,
    data: &'a Data,
    against: Option<&'a Against>,
    executor: Executor<'a>,
}

impl Worker<'_> {
    /// The result of a case. What is wrong with the case leaves it out; what is wrong with the program ends everything.
    fn line(&mut self, row: usize, item: &Item) -> Result<Line> {
        if let Source::Scan(path) = &item.source {
            return Ok(scans::line(self.build, &self.data.labels, self.against, item, path));
        }
        let left_out = |why| Line::LeftOut(LeftOut { id: item.id.clone(), why });
        let (input, size) = match self.input(&item.source) {
            Ok(input) => input,
            Err(why) => return Ok(left_out(why)),
        };
        let codes = self.build.codes(std::slice::from_ref(&input));
        let outputs = self.executor.run(&[&codes[0]])?;
        let program = &self.build.program;
        let own = program.tensor(program.outputs[0]).dequantize(&outputs[0]);
        let row = self.data.are_rows.then_some((row, self.data.items.len()));
        let other = self.against.map(|against| against.output(self.build, &item.id, row, &input)).transpose();
        let made = other.and_then(|other| match self.build.task {
            Task::Segmentation => self.masks(item, size, &own, other.as_ref(), &input),
            _ => self.scores(item, own, other, &input),
        });
        Ok(made.unwrap_or_else(left_out))
    }

    /// The input, and the size of its image.
    fn input(&self, source: &Source) -> Result<(Tensor<f32>, Option<[usize; 2]>), String> {
        match source {
            Source::Problem(why) => Err(why.clone()),
            Source::Scan(path) => Err(format!("{} is a scan", path.display())),
            Source::Input(input) => Ok((input.clone(), None)),
            Source::Image(path) => {
                let image = load(path).map_err(|e| e.to_string())?;
                let input = self.build.input(&image).map_err(|e| e.to_string())?;
                Ok((input, Some([image.height(), image.width()])))
            }
        }
    }

    fn scores(
        &self,
        item: &Item,
        own: Tensor<f32>,
        other: Option<Tensor<f32>>,
        input: &Tensor<f32>,
    ) -> Result<Line, String> {
        let classes = self.data.labels.count();
        let scores = |tensor: Tensor<f32>, whose: &str| {
            let scores = Scores(tensor.data);
            match &scores.0[..] {
                all if !all.iter().all(|s| s.is_finite()) => Err(format!("{whose} scores are not finite")),
                _ if scores.decision(kind(self.build)) >= classes => {
                    Err(format!("{whose} label is none of the {classes} classes"))
                }
                _ => Ok(scores),
            }
        };
        Ok(Line::Scores(ScoreCase {
            id: item.id.clone(),
            label: if let Truth::Class(class) = item.truth { Some(class) } else { None },
            scores: scores(own, "the program's")?,
            against: other.map(|other| scores(other, "the other's")).transpose()?,
            input: input_use(self.build, input),
        }))
    }

    fn masks(
        &self,
        item: &Item,
        size: Option<[usize; 2]>,
        own: &Tensor<f32>,
        other: Option<&Tensor<f32>>,
        input: &Tensor<f32>,
    ) -> Result<Line, String> {
        let map = [own.shape.h, own.shape.w];
        let truth = match &item.truth {
            Truth::Mask(path) => Some(self.mask(path, size, map)?),
            Truth::Map(labels) => Some(labels.clone()),
            _ => None,
        };
        let classes = self.data.labels.count();
        if [Some(own), other].into_iter().flatten().any(|scores| !scores.data.iter().all(|s| s.is_finite())) {
            return Err("scores are not finite".into());
        }
        let own = self.build.labels(own);
        let other = other.map(|other| self.build.labels(other));
        let outcome = |right: Option<&Vec<u8>>, found: &[u8]| {
            right.map(|right| MaskOutcome::new(right, found, map, classes))
        };
        Ok(Line::Mask(MaskCase {
            id: item.id.clone(),
            found: niello_imaging::metrics::class_counts(&own, classes),
            outcome: outcome(truth.as_ref(), &own),
            against: other.as_ref().and_then(|other| outcome(truth.as_ref(), other)),
            agreement: outcome(other.as_ref(), &own),
            input: input_use(self.build, input),
        }))
    }

    /// A mask as labels of the network's map: of that size already, or of the image's and brought to it as the image is.
    fn mask(&self, path: &Path, image: Option<[usize; 2]>, map: [usize; 2]) -> Result<Vec<u8>, String> {
        let mask = load(path).map_err(|e| e.to_string())?;
        let size = [mask.height(), mask.width()];
        let fail = |what: String| format!("mask {}: {what}", path.display());
        let labels = self.data.labels.of_mask(&mask).map_err(fail)?;
        if Some(size) == image {
            let input = self.build.input_shape();
            if [input.h, input.w] == map {
                return self.build.preprocess.labels(&labels, size, map).map_err(|e| fail(e.to_string()));
            }
        }
        if size == map {
            return Ok(labels);
        }
        let of_image = image.map_or(String::new(), |[h, w]| format!(" or {h}x{w} as the image"));
        Err(fail(format!(
            "expected {}x{} as the network's map{of_image}, found {}x{}",
            map[0], map[1], size[0], size[1]
        )))
    }
}
