//! Lungs of a scan, and what of them is abnormal.

use crate::commands::run::class_index;
use niello_codegen::Result;
use niello_imaging::{
    metrics::abnormal_share,
    scan::{Geometry, Side, lung_sides},
};
use serde::Serialize;
use std::path::Path;

/// What classes stand for.
pub(super) struct Roles {
    /// Classes of abnormal tissue.
    abnormal: Vec<usize>,
    /// All classes of lung; empty where a mask says what is lung, or nothing does.
    lung: Vec<usize>,
    /// What says which voxels are lung, in words.
    source: Option<String>,
}

impl Roles {
    /// Of a network's classes, the given ones as abnormal.
    pub(super) fn new(names: &[String], abnormal: &[String], mask: Option<&Path>) -> Result<Self> {
        let begins = |word: &str| {
            let begins = |(_, name): &(usize, &String)| name.to_lowercase().starts_with(word);
            names.iter().enumerate().filter(begins).map(|(i, _)| i).collect::<Vec<_>>()
        };
        let given = abnormal.iter().map(|class| class_index(names, class)).collect::<Result<Vec<usize>>>()?;
        let abnormal = if given.is_empty() { begins("abnormal") } else { given };
        let normal = begins("normal");
        let whole = names.iter().position(|name| ["lung", "lungs"].contains(&name.to_lowercase().as_str()));
        let lung = match (mask, whole) {
            (Some(_), _) => vec![],
            (None, _) if !abnormal.is_empty() && !normal.is_empty() => [&abnormal[..], &normal].concat(),
            (None, Some(whole)) => [&abnormal[..], &[whole]].concat(),
            _ => vec![],
        };
        let of_classes: Vec<&str> = lung.iter().map(|class| names[*class].as_str()).collect();
        let source = match mask {
            Some(path) => Some(format!("mask {}", path.display())),
            None if lung.is_empty() => None,
            None => Some(format!("classes {}", of_classes.join(", "))),
        };
        Ok(Self { abnormal, lung, source })
    }

    pub(super) fn is_abnormal(&self, label: u8) -> bool {
        self.abnormal.contains(&usize::from(label))
    }

    /// Which voxels are lung; `None` if nothing says so.
    fn lungs(&self, labels: &[u8], mask: Option<&[bool]>) -> Option<Vec<bool>> {
        self.source.as_ref()?;
        let of_class = |label: &u8| self.lung.contains(&usize::from(*label));
        Some(mask.map_or_else(|| labels.iter().map(of_class).collect(), <[bool]>::to_vec))
    }
}

/// A lung, or both.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Lung {
    /// Its volume.
    pub(super) ml: f64,
    /// Of it, what is abnormal; absent where the network has no such class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) abnormal_ml: Option<f64>,
    /// The same in percent of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) abnormal_percent: Option<f64>,
}

/// The lungs of a scan.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Lungs {
    /// What says which voxels are lung.
    pub(super) from: String,
    pub(super) both: Lung,
    /// The patient's right lung; absent where the two cannot be told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) right: Option<Lung>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) left: Option<Lung>,
    /// Abnormal voxels outside of the mask of the lungs, which count for none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) abnormal_outside_ml: Option<f64>,
    /// By slice, the abnormal share of its lung in percent; `None` where it has no lung.
    #[serde(skip)]
    pub(super) by_slice: Vec<Option<f64>>,
}

impl Lungs {
    /// `None` if nothing says what is lung, or if there is none.
    pub(super) fn new(
        geometry: &Geometry,
        labels: &[u8],
        roles: &Roles,
        mask: Option<&[bool]>,
    ) -> Option<Self> {
        let lung = roles.lungs(labels, mask).filter(|lung| lung.contains(&true))?;
        let ml = |voxels: u64| voxels as f64 * geometry.voxel_ml();
        let has_abnormal = !roles.abnormal.is_empty();
        let measure = |is_of: &dyn Fn(usize) -> bool| {
            let (mut all, mut abnormal) = (0, 0);
            for i in (0..lung.len()).filter(|i| lung[*i] && is_of(*i)) {
                all += 1;
                abnormal += u64::from(roles.is_abnormal(labels[i]));
            }
            Lung {
                ml: ml(all),
                abnormal_ml: has_abnormal.then(|| ml(abnormal)),
                abnormal_percent: percent(abnormal, all).filter(|_| has_abnormal),
            }
        };
        let sides = lung_sides(geometry, &lung);
        let of_side = |side: Side| sides.as_ref().map(|sides| measure(&|i| sides[i] == Some(side)));
        let outside = labels.iter().zip(&lung).filter(|(label, lung)| !**lung && roles.is_abnormal(**label));
        let outside = outside.count() as u64;
        let size = geometry.size[1] * geometry.size[2];
        let of_slice = |(labels, lung): (&[u8], &[bool])| {
            let all = lung.iter().filter(|lung| **lung).count() as u64;
            let abnormal =
                labels.iter().zip(lung).filter(|(label, lung)| **lung && roles.is_abnormal(**label));
            percent(abnormal.count() as u64, all)
        };
        let by_slice = labels.chunks(size).zip(lung.chunks(size)).map(of_slice);
        Some(Self {
            from: roles.source.clone()?,
            both: measure(&|_| true),
            right: of_side(Side::Right),
            left: of_side(Side::Left),
            abnormal_outside_ml: (mask.is_some() && has_abnormal).then(|| ml(outside)),
            by_slice: if has_abnormal { by_slice.collect() } else { vec![] },
        })
    }
}

/// Abnormal voxels among all of a lung, in percent.
fn percent(abnormal: u64, all: u64) -> Option<f64> {
    Some(100.0 * abnormal_share(abnormal, all.checked_sub(abnormal)?)?)
}
