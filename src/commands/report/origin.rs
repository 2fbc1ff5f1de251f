//! What a program was made of: recipe, weights, lock, hashes.

use crate::html::escaped;
use niello_codegen::pipeline::Build;
use std::fmt::Write;

/// The section of a page.
pub(super) fn section(build: &Build) -> String {
    let program = &build.program;
    let mut facts: Vec<(&str, String)> = vec![("niello", env!("NIELLO_VERSION").into())];
    for (name, hash) in &program.metadata.sources {
        facts.push((
            "weights",
            if hash.is_empty() { name.clone() } else { format!("{name}, SHA-256 {hash}") },
        ));
    }
    if !program.metadata.preprocess.is_empty() {
        facts.push(("pre-processing", program.metadata.preprocess.clone()));
    }
    if let Some(calibrated) = &build.calibrated {
        let (count, hash) = &calibrated.origin.inputs;
        let hash = if hash.is_empty() { "drawn".into() } else { format!("SHA-256 {hash}") };
        facts.push(("calibrated on", format!("{count} inputs, {hash}")));
        facts.push(match &calibrated.lock {
            Some(lock) => ("lock", format!("{}, SHA-256 {}", lock.name, lock.checksum)),
            None => ("lock", "none: the ranges were calibrated for this report".into()),
        });
        let pins = calibrated.origin.recipe.iter().map(|(key, value)| format!("{key} = {value}"));
        facts.push(("calibration follows from", pins.collect::<Vec<_>>().join("; ")));
    }
    if let Some(tuning) = &build.recipe.target.tuning {
        facts.push(("tuning", tuning.display().to_string()));
    }
    facts.push((
        "program",
        format!("SHA-256 {} of constants, formats, rounding and pre-processing", build.sha256()),
    ));
    let mut html = String::from("<div class=\"wide\"><table class=\"facts\">\n<tbody>\n");
    for (name, value) in facts {
        let _ = writeln!(html, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", escaped(&value));
    }
    html += "</tbody>\n</table></div>\n";
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let words = words.map(|word| if word.contains(' ') { format!("'{word}'") } else { word });
    let command = std::iter::once("niello".to_string()).chain(words).collect::<Vec<_>>().join(" ");
    let _ = writeln!(html, "<h3>Command</h3>\n<pre>{}</pre>", escaped(&command));
    let recipe =
        build.recipe.file.as_ref().and_then(|path| Some((path, std::fs::read_to_string(path).ok()?)));
    if let Some((path, text)) = recipe {
        let (path, text) = (escaped(&path.display().to_string()), escaped(&text));
        let _ = writeln!(html, "<h3>Recipe {path}</h3>\n<pre>{text}</pre>");
    }
    html
}
