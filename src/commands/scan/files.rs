//! Results slice by slice.

use super::figures::Found;
use niello_codegen::{Error, Result};

/// One line per slice.
pub(super) fn csv(found: &Found) -> Result<String> {
    let unit = if found.is_segmentation() { "cm2" } else { "probability" };
    let names = found.classes.0.iter().map(|(name, _)| format!("{name} {unit}"));
    let mut head: Vec<String> = ["slice", "file", "position_mm", "class"].map(String::from).into();
    head.extend(names);
    head.push("abnormal_percent".into());
    let mut writer = csv::Writer::from_writer(vec![]);
    let fail = |e: csv::Error| Error::Invalid(e.to_string());
    writer.write_record(head).map_err(fail)?;
    for slice in &found.slices {
        let file = slice.file.as_ref().map(|path| path.display().to_string());
        let mut row = vec![
            slice.slice.to_string(),
            file.unwrap_or_default(),
            slice.position_mm.to_string(),
            slice.class.clone().unwrap_or_default(),
        ];
        let values = slice.area_cm2.as_ref().or(slice.probabilities.as_ref());
        row.extend(values.iter().flat_map(|values| &values.0).map(|(_, value)| value.to_string()));
        row.push(slice.abnormal_percent.map(|p| p.to_string()).unwrap_or_default());
        writer.write_record(row).map_err(fail)?;
    }
    let bytes = writer.into_inner().map_err(|e| Error::Invalid(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| Error::Invalid(e.to_string()))
}
