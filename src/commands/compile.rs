//! `niello compile`.

use crate::{
    args::ModelArgs,
    output::{self, NewFolder},
    table,
};
use clap::Args;
use niello_codegen::{
    Result,
    emit::{EmitOptions, check_c_prefix, write_crate},
};
use serde::Serialize;
use std::path::PathBuf;

/// Write a network as a no_std crate
#[derive(Args)]
#[command(
    after_help = "Example:\n  niello compile --model squeezenet1_0 --classes 3 --weights W.safetensors \\\n    \
                        --calibrate slices/ --target portable --out squeezenet/"
)]
pub(crate) struct Compile {
    #[command(flatten)]
    model: ModelArgs,
    /// Folder of the crate; created if need be
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The `niello` dependency of the crate, as in Cargo.toml
    #[arg(long, value_name = "TOML", default_value = concat!("\"", env!("CARGO_PKG_VERSION"), "\""))]
    runtime: String,
    /// Also a C API and its header, include/NAME.h; all names begin with NAME, by default the network's (docs/c-api.md)
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    c_api: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Compiled {
    folder: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<PathBuf>,
    type_name: String,
    arena_bytes: usize,
    flash_bytes: usize,
    macs: u64,
}

impl Compile {
    pub(crate) fn run(self) -> Result<String> {
        // Before minutes of calibration: can the folder be written at all?
        if let Some(prefix) = self.c_api.as_deref().filter(|prefix| !prefix.is_empty()) {
            check_c_prefix(prefix)?;
        }
        let folder = NewFolder::at(&self.out.join("src"))?;
        let include = self.c_api.is_some().then(|| NewFolder::at(&self.out.join("include"))).transpose()?;
        let build = self.model.build()?;
        let c_api =
            self.c_api.map(|prefix| if prefix.is_empty() { build.program.name.clone() } else { prefix });
        let options = EmitOptions { c_api, ..build.emit_options() };
        write_crate(&build.program, &options, &self.out, &self.runtime)?;
        folder.keep();
        if let Some(include) = include {
            include.keep();
        }
        let compiled = Compiled {
            folder: self.out.clone(),
            header: options.c_api.map(|prefix| self.out.join(format!("include/{prefix}.h"))),
            type_name: niello_codegen::emit::type_name(&build.program),
            arena_bytes: build.program.plan.arena_bytes,
            flash_bytes: build.program.constant_bytes(),
            macs: build.program.macs(),
        };
        if self.json {
            return output::json(&compiled);
        }
        let header = compiled.header.iter().map(|path| format!("{}: C API\n", path.display()));
        Ok(format!(
            "{}: `{}`, arena {} bytes, flash {} bytes, {} MACs\n{}",
            self.out.display(),
            compiled.type_name,
            table::grouped(compiled.arena_bytes as u64),
            table::grouped(compiled.flash_bytes as u64),
            table::grouped(compiled.macs),
            header.collect::<String>()
        ))
    }
}
