//! Checkpoints of several files: an index, `model.safetensors.index.json`, names the file ("shard") of each tensor.

use super::{SafeTensorsFile, other_formats::is_text, safetensors::sha256_of};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    path::{Path, PathBuf},
};

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The shard of each tensor, if the bytes are an index.
pub(super) fn weight_map(bytes: &[u8]) -> Option<BTreeMap<String, String>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let index: Option<Index> = is_text(bytes, b"{").then(|| serde_json::from_slice(bytes).ok()).flatten();
    index.map(|index| index.weight_map)
}

/// The files of a checkpoint beside the one that names it: the shards of an index.
pub fn shards(path: &Path) -> Vec<PathBuf> {
    let is_index = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    let map = is_index.then(|| weight_map(&std::fs::read(path).ok()?)).flatten().unwrap_or_default();
    let names: BTreeSet<String> = map.into_values().collect();
    names.into_iter().map(|name| path.with_file_name(name)).collect()
}

/// The index of a checkpoint of which a file seems to be one shard: `model-00001-of-00003.safetensors`.
pub(super) fn index_of_shard(name: &Path) -> Option<PathBuf> {
    let stem = name.file_name()?.to_str()?.strip_suffix(".safetensors")?;
    let (stem, count) = stem.rsplit_once("-of-")?;
    let (stem, number) = stem.rsplit_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits(number) && digits(count)).then(|| name.with_file_name(format!("{stem}.safetensors.index.json")))
}

impl SafeTensorsFile {
    /// Takes an index's bytes; `name` stands for it in errors, and `read` gives the bytes of a shard, by its name.
    ///
    /// # Errors
    /// If the bytes are no index, a shard cannot be read or is not complete, or a tensor does not lie where the index says: not in its
    /// shard, in two shards, or in a shard but not in the index.
    pub fn from_index(
        name: impl Into<PathBuf>,
        index: &[u8],
        mut read: impl FnMut(&str) -> std::io::Result<Vec<u8>>,
    ) -> Result<Self> {
        let name = name.into();
        let fail =
            |message: String| Error::file(&name, format!("the index of a sharded checkpoint: {message}"));
        let map = weight_map(index).ok_or_else(|| fail("expected JSON with a `weight_map`".into()))?;
        let names: BTreeSet<&String> = map.values().collect();
        if names.is_empty() {
            return Err(fail("its `weight_map` names no tensor".into()));
        }
        let (mut bytes, mut entries, mut hashes) = (vec![], BTreeMap::new(), String::new());
        for shard in names {
            // A path could lead anywhere.
            if Path::new(shard).file_name() != Some(OsStr::new(shard)) {
                return Err(fail(format!("its shard `{shard}` is not a file beside it")));
            }
            let data = read(shard).map_err(|e| fail(format!("its shard `{shard}` cannot be read: {e}")))?;
            let file = Self::from_bytes(name.with_file_name(shard), data)?;
            hashes += &format!("{}  {shard}\n", sha256_of(&file.bytes));
            for (tensor, mut entry) in file.entries {
                match map.get(&tensor) {
                    Some(own) if own == shard => {}
                    Some(own) => {
                        return Err(fail(format!("`{tensor}` lies in `{shard}`, expected in `{own}`")));
                    }
                    None => return Err(fail(format!("`{tensor}` of `{shard}` is not in it"))),
                }
                entry.bytes = entry.bytes.start + bytes.len()..entry.bytes.end + bytes.len();
                entries.insert(tensor, entry);
            }
            bytes.extend(file.bytes);
        }
        if let Some((tensor, shard)) = map.iter().find(|(tensor, _)| !entries.contains_key(*tensor)) {
            return Err(fail(format!("`{tensor}` is not in its shard `{shard}`")));
        }
        Ok(Self::with_entries(name, bytes, entries, Some(sha256_of(hashes.as_bytes()))))
    }
}
