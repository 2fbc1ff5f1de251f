//! `niello compile`.

use crate::{
    args::BuildArgs,
    output::{self, check_folder, writing},
    runtime, table,
};
use clap::Args;
use niello_codegen::{
    Result,
    emit::{EmitOptions, check_c_prefix, check_crate_folder, overwrite_crate, write_crate},
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
    /// Folder of the crate; created if need be
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace files that niello did not write
    #[arg(long)]
    force: bool,
    /// The `niello` dependency of the crate, as in Cargo.toml; absent: the runtime of the checkout that this program was built from,
    /// by its path, or this version from a registry where that is gone
    #[arg(long, value_name = "TOML")]
    runtime: Option<String>,
    /// Also a C API and its header, include/NAME.h; all names begin with NAME, by default the network's (docs/c-api.md)
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    c_api: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    model: BuildArgs,
}

#[derive(Serialize)]
struct Compiled {
    folder: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<PathBuf>,
    type_name: String,
    /// The target that weights are packed for.
    target: String,
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
        check_folder(&self.out)?;
        check_folder(&self.out.join("src"))?;
        if !self.force {
            check_crate_folder(&self.out)?;
        }
        let runtime = runtime::dependency(self.runtime.as_deref(), &self.out)?;
        let build = self.model.build()?;
        let c_api =
            self.c_api.map(|prefix| if prefix.is_empty() { build.program.name.clone() } else { prefix });
        let options = EmitOptions { c_api, ..build.emit_options() };
        let write = if self.force { overwrite_crate } else { write_crate };
        let guard = writing();
        write(&build.program, &options, &self.out, &runtime)?;
        drop(guard);
        let compiled = Compiled {
            folder: self.out.clone(),
            header: options.c_api.map(|prefix| self.out.join(format!("include/{prefix}.h"))),
            type_name: niello_codegen::emit::type_name(&build.program),
            target: build.program.target.clone(),
            arena_bytes: build.program.plan.arena_bytes,
            flash_bytes: build.program.constant_bytes(),
            macs: build.program.macs(),
        };
        if self.json {
            return output::json(&compiled);
        }
        let header = compiled.header.iter().map(|path| format!("{}: C API\n", path.display()));
        Ok(format!(
            "{}: `{}` packed for {}, arena {} bytes, flash {} bytes, {} MACs\n{}",
            self.out.display(),
            compiled.type_name,
            compiled.target,
            table::grouped(compiled.arena_bytes as u64),
            table::grouped(compiled.flash_bytes as u64),
            table::grouped(compiled.macs),
            header.collect::<String>()
        ))
    }
}
