//! The cases: what is run, and what is right.

use super::{
    Evaluate,
    labels::{Labels, Meaning},
    table::{self, is_table},
    tensors,
};
use crate::{inputs::is_tensors, progress};
use niello_codegen::{
    Error, Result, Tensor,
    pipeline::{Build, Task},
    weights::sha256_of,
};
use niello_imaging::list_folder;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Where the input of a case is.
pub(super) enum Source {
    /// An image.
    Image(PathBuf),
    /// A scan.
    Scan(PathBuf),
    /// The network's input.
    Input(Tensor<f32>),
    /// There is none, or no label for it.
    Problem(String),
}

/// What is right.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Truth {
    /// Nobody knows.
    Unknown,
    /// The class of the image.
    Class(usize),
    /// The image of a mask.
    Mask(PathBuf),
    /// The class of each pixel.
    Map(Vec<u8>),
}

/// A case.
pub(super) struct Item {
    pub(super) id: String,
    pub(super) source: Source,
    pub(super) truth: Truth,
}

/// All cases, by name.
pub(super) struct Data {
    pub(super) items: Vec<Item>,
    pub(super) labels: Labels,
    /// Whether the cases are rows of tensors, so that outputs may be too.
    pub(super) are_rows: bool,
}

impl Data {
    /// Finds the cases that the arguments name.
    ///
    /// # Errors
    /// Data in another form, names of classes that the network lacks.
    pub(super) fn gather(args: &Evaluate, build: &Build) -> Result<Self> {
        let labels = Labels::new(build.label_names(), &args.map)?;
        let Some(data) = &args.data else { return Err(Error::Invalid("give `--data`".into())) };
        let is_scan = args.scans;
        let is_npy = data.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"));
        let are_rows = !is_scan && data.is_file() && (is_tensors(data) || is_npy);
        let finder = Finder { build, labels: &labels, root: data };
        let mut items = match (&args.labels, &args.masks) {
            _ if are_rows => tensors::cases(build, &labels, data, args.labels.as_deref(), args.unlabelled)?,
            (_, Some(masks)) if is_scan => finder.scans(masks)?,
            (None, None) if data.is_file() && is_table(data) => finder.by_table(data, None)?,
            _ if !data.is_dir() => {
                let message = "expected a folder of images, a table (CSV, TSV, TXT), safetensors or NPY";
                let found = if data.exists() { "another file" } else { "nothing there" };
                return Err(Error::file(data, format!("{message}, found {found}")));
            }
            _ if args.unlabelled => finder.unlabelled()?,
            (Some(table), _) => finder.by_table(table, Some(data))?,
            (None, Some(masks)) => finder.by_masks(masks)?,
            (None, None) => finder.by_folders()?,
        };
        items.sort_by(|a, b| a.id.cmp(&b.id));
        if !args.split.is_empty() {
            items = split(items, &args.split)?;
        }
        if let Some(twice) = items.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(Error::file(data, format!("two cases are called `{}`", twice[0].id)));
        }
        if items.is_empty() {
            return Err(Error::file(data, "expected cases to evaluate, found none"));
        }
        Ok(Self { items, labels, are_rows })
    }

    /// Names and labels of all cases, in one hash.
    pub(super) fn sha256(&self) -> String {
        let mut text = String::new();
        for item in &self.items {
            let truth = match &item.truth {
                Truth::Unknown => String::new(),
                Truth::Class(class) => class.to_string(),
                Truth::Mask(path) => path.file_name().unwrap_or_default().to_string_lossy().into(),
                Truth::Map(map) => sha256_of(map),
            };
            text += &format!("{}\t{truth}\n", item.id);
        }
        sha256_of(text.as_bytes())
    }
}

/// What finds cases below a folder.
pub(super) struct Finder<'a> {
    pub(super) build: &'a Build,
    labels: &'a Labels,
    pub(super) root: &'a Path,
}

/// The name of a file below a folder, with `/` everywhere.
pub(super) fn name(path: &Path, root: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    below.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// A name without the ending of its file.
fn stem(name: &str) -> &str {
    let file = name.rfind('/').map_or(0, |at| at + 1);
    name[file..].rfind('.').filter(|at| *at > 0).map_or(name, |at| &name[..file + at])
}

/// All images of a folder.
fn images(folder: &Path) -> Result<Vec<PathBuf>> {
    let found = list_folder(folder, true)?;
    for (path, what) in &found.skipped {
        progress::note(&format!("{}: skipped: {what}", path.display()));
    }
    Ok(found.images)
}

/// Up to five of a list, in words.
pub(super) fn some(names: &[String]) -> String {
    let shown = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 5 { format!("{shown} and {} more", names.len() - 5) } else { shown }
}

impl Finder<'_> {
    pub(super) fn is_segmentation(&self) -> bool {
        self.build.task == Task::Segmentation
    }

    fn unlabelled(&self) -> Result<Vec<Item>> {
        let one = |path: PathBuf| Item {
            id: name(&path, self.root),
            source: Source::Image(path),
            truth: Truth::Unknown,
        };
        Ok(images(self.root)?.into_iter().map(one).collect())
    }

    /// The class of an image is the folder of its path that is called as one.
    fn by_folders(&self) -> Result<Vec<Item>> {
        if self.is_segmentation() {
            let message =
                "a segmentation is judged by masks: give `--masks FOLDER`, or a table of images and masks";
            return Err(Error::file(self.root, message));
        }
        let mut unknown: BTreeMap<String, usize> = BTreeMap::new();
        let mut items = vec![];
        for path in images(self.root)? {
            let id = name(&path, self.root);
            let folders: Vec<&str> = id.split('/').rev().skip(1).collect();
            let meanings: Vec<Meaning> =
                folders.iter().filter_map(|folder| self.labels.of_folder(folder)).collect();
            match meanings[..] {
                [] => *unknown.entry(folders.first().copied().unwrap_or(".").into()).or_default() += 1,
                [Meaning::NotScored] => {}
                [Meaning::Class(class)] => {
                    items.push(Item { id, source: Source::Image(path), truth: Truth::Class(class) });
                }
                _ => {
                    let message = "several folders of its path are called as classes";
                    return Err(Error::file(path, message));
                }
            }
        }
        if !unknown.is_empty() {
            let images = |n: usize| if n == 1 { "1 image".into() } else { format!("{n} images") };
            let unknown: Vec<String> =
                unknown.iter().map(|(folder, n)| format!("`{folder}` ({})", images(*n))).collect();
            let message = format!(
                "folders that are no classes of {}: {}; its classes are {}; `--map FOLDER=CLASS` names others, `--map FOLDER=-` leaves them out",
                self.build.program.metadata.network,
                some(&unknown),
                self.labels.known()
            );
            return Err(Error::file(self.root, message));
        }
        Ok(items)
    }

    /// Rows of paths and labels; the paths are below `folder`, or beside the table.
    fn by_table(&self, table: &Path, folder: Option<&Path>) -> Result<Vec<Item>> {
        let beside = table.parent().unwrap_or(Path::new(""));
        let (mut items, mut listed) = (vec![], BTreeSet::new());
        let mut unknown = BTreeMap::new();
        for row in table::read(table)? {
            let path = folder.unwrap_or(beside).join(&row.path);
            listed.insert(path.clone());
            let truth = if self.is_segmentation() {
                let mask = beside.join(&row.label);
                let below = folder.map(|folder| folder.join(&row.label)).filter(|path| path.is_file());
                Truth::Mask(below.unwrap_or(mask))
            } else {
                match self.labels.of_label(&row.label) {
                    Some(Meaning::Class(class)) => Truth::Class(class),
                    Some(Meaning::NotScored) => continue,
                    None => {
                        unknown.entry(row.label).or_insert(row.line);
                        continue;
                    }
                }
            };
            let source = match &truth {
                _ if !path.is_file() => {
                    Source::Problem(format!("no such file ({}, line {})", table.display(), row.line))
                }
                Truth::Mask(mask) if !mask.is_file() => {
                    Source::Problem(format!("no mask {}", mask.display()))
                }
                _ => Source::Image(path),
            };
            items.push(Item { id: row.path, source, truth });
        }
        if !unknown.is_empty() {
            let unknown: Vec<String> =
                unknown.iter().map(|(label, line)| format!("`{label}` (line {line})")).collect();
            let (network, known) = (&self.build.program.metadata.network, self.labels.known());
            let message = format!(
                "labels that are no classes of {network}: {}; its classes are {known}; `--map LABEL=CLASS` names others",
                some(&unknown)
            );
            return Err(Error::file(table, message));
        }
        // Masks may lie in the same folder.
        let masks: BTreeSet<PathBuf> = items
            .iter()
            .filter_map(|item| if let Truth::Mask(path) = &item.truth { Some(path.clone()) } else { None })
            .collect();
        for path in folder.map(images).transpose()?.into_iter().flatten() {
            if !listed.contains(&path) && !masks.contains(&path) {
                let source = Source::Problem(format!("no label in {}", table.display()));
                items.push(Item { id: name(&path, folder.unwrap_or(beside)), source, truth: Truth::Unknown });
            }
        }
        Ok(items)
    }

    /// An image and a mask belong together if their names below their folders are equal but for the ending, or the mask's has `_mask` behind it.
    fn by_masks(&self, folder: &Path) -> Result<Vec<Item>> {
        if !self.is_segmentation() {
            let network = &self.build.program.metadata.network;
            return Err(Error::Invalid(format!(
                "{network} classifies whole images: `--masks` is for segmentations"
            )));
        }
        let inside = folder.strip_prefix(self.root).is_ok_and(|below| below.components().next().is_some());
        let pictures: Vec<PathBuf> =
            images(self.root)?.into_iter().filter(|path| !inside || !path.starts_with(folder)).collect();
        let mut masks: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for mask in images(folder)? {
            masks.entry(stem(&name(&mask, folder)).into()).or_default().push(mask);
        }
        let mut of_stem: BTreeMap<String, usize> = BTreeMap::new();
        pictures
            .iter()
            .for_each(|path| *of_stem.entry(stem(&name(path, self.root)).into()).or_default() += 1);
        let mut used = BTreeSet::new();
        let mut items = vec![];
        for path in pictures {
            let id = name(&path, self.root);
            let names = [stem(&id).to_string(), format!("{}_mask", stem(&id))];
            let found: Vec<PathBuf> =
                names.iter().filter_map(|name| masks.get(name)).flatten().cloned().collect();
            used.extend(names.iter().cloned());
            let several = of_stem.get(stem(&id)).is_some_and(|n| *n > 1);
            let (source, truth) = match &found[..] {
                [] => (Source::Problem(format!("no mask in {}", folder.display())), Truth::Unknown),
                [_] if several => {
                    (Source::Problem("several images have the name of its mask".into()), Truth::Unknown)
                }
                [mask] => (Source::Image(path), Truth::Mask(mask.clone())),
                masks => {
                    let masks: Vec<String> = masks.iter().map(|mask| name(mask, folder)).collect();
                    (Source::Problem(format!("several masks: {}", some(&masks))), Truth::Unknown)
                }
            };
            items.push(Item { id, source, truth });
        }
        for mask in masks.into_iter().filter(|(stem, _)| !used.contains(stem)).flat_map(|(_, paths)| paths) {
            let source = Source::Problem(format!("a mask without an image in {}", self.root.display()));
            items.push(Item { id: mask.display().to_string(), source, truth: Truth::Unknown });
        }
        Ok(items)
    }
}

/// The cases that lists name: by the whole name, or by its end from a folder on, with or without the file's ending.
fn split(items: Vec<Item>, lists: &[PathBuf]) -> Result<Vec<Item>> {
    let mut by_name: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        let ends = std::iter::once(0).chain(item.id.match_indices('/').map(|(at, _)| at + 1));
        for end in ends {
            for key in [&item.id[end..], stem(&item.id[end..])] {
                by_name.entry(key.into()).or_default().insert(at);
            }
        }
    }
    let (mut chosen, mut problems) = (BTreeSet::new(), BTreeMap::new());
    for list in lists {
        for (line, first) in table::names(list)? {
            let found = by_name
                .get(&line)
                .or_else(|| by_name.get(&first))
                .or_else(|| by_name.get(line.trim_start_matches("./")));
            match found.map(|found| found.iter().copied().collect::<Vec<_>>()).as_deref() {
                Some([one]) => {
                    chosen.insert(*one);
                }
                Some(several) => {
                    let names: Vec<String> = several.iter().map(|at| items[*at].id.clone()).collect();
                    problems
                        .insert(line, format!("{} means one case, found {}", list.display(), some(&names)));
                }
                None => {
                    problems.insert(line, format!("named in {}, and not in the data", list.display()));
                }
            }
        }
    }
    let problem = |(id, why)| Item { id, source: Source::Problem(why), truth: Truth::Unknown };
    let chosen = items.into_iter().enumerate().filter(|(at, _)| chosen.contains(at)).map(|(_, item)| item);
    let mut all: Vec<Item> = chosen.collect();
    let names: BTreeSet<String> = all.iter().map(|item| item.id.clone()).collect();
    all.extend(problems.into_iter().filter(|(id, _)| !names.contains(id)).map(problem));
    all.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_endings() {
        for (name, expected) in
            [("a.png", "a"), ("a.b/c", "a.b/c"), ("a/.x", "a/.x"), ("a/2020.1.p%2.png", "a/2020.1.p%2")]
        {
            assert_eq!(stem(name), expected);
        }
        assert_eq!(super::name(Path::new("d/e/f.png"), Path::new("d")), "e/f.png");
    }

    #[test]
    fn lists_choose_by_any_end_of_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("test.txt");
        std::fs::write(&list, "COVID/a.png\n b x 1 \n./c.jpg\ntwice.png\nlost.png\n").unwrap();
        let item =
            |id: &str| Item { id: id.into(), source: Source::Problem(String::new()), truth: Truth::Class(1) };
        let ids = ["v/COVID/a.png", "v/COVID/b.png", "c.jpg", "x/twice.png", "y/twice.png", "other.png"];
        let found = split(ids.map(item).into(), &[list]).unwrap();
        let names: Vec<(&str, bool)> =
            found.iter().map(|item| (&*item.id, item.truth == Truth::Class(1))).collect();
        let expected = [
            ("c.jpg", true),
            ("lost.png", false),
            ("twice.png", false),
            ("v/COVID/a.png", true),
            ("v/COVID/b.png", true),
        ];
        assert_eq!(names, expected);
    }
}
