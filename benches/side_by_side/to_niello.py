"""The static crate that `niello compile` writes, in a program that answers as engines.py does (driver.rs)."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

MANIFEST = """[package]
name = "driver"
version = "0.1.0"
edition = "2024"

[workspace]

[dependencies]
model = {{ path = "../model", package = "{package}", features = ["threads"] }}
niello = {{ path = "{runtime}", features = ["threads"] }}
"""


def build(net, weights, inputs, folder, threads):
    """Builds the program for the number of threads. Returns its file."""
    save_file(weights, folder / "weights.safetensors")
    save_file({f"slice{i}": x for i, x in enumerate(inputs)}, folder / "inputs.safetensors")
    folder = folder / f"niello-{threads}"
    model, driver = folder / "model", folder / "driver"
    shutil.rmtree(folder, ignore_errors=True)
    c, h, w = net.input
    runtime = ROOT / "runtime"
    compiled = subprocess.run(
        [
            ROOT / "target/release/niello", "compile", "--model", net.name, "--input", f"{h}x{w}",
            "--classes", str(net.shapes[net.output][0]), "--weights", "../weights.safetensors",
            "--calibrate", "../inputs.safetensors", "--target", "host", "--threads", str(threads),
            "--out", model, "--runtime", json.dumps(dict(path=str(runtime))).replace(":", " =", 1), "--json",
        ],
        cwd=make(folder), check=True, stdout=subprocess.PIPE,
    )
    name = json.loads(compiled.stdout)["type_name"]
    make(driver / "src")
    manifest = MANIFEST.format(package=net.name.replace("_", "-"), runtime=runtime)
    (driver / "Cargo.toml").write_text(manifest)
    (driver / "src/main.rs").write_text(f'use model::{name} as Network;\ninclude!("{HERE / "driver.rs"}");\n')
    shutil.copy(ROOT / "Cargo.lock", driver)
    environment = dict(os.environ, CARGO_TARGET_DIR=str(folder.parents[1] / "build"))
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=driver, env=environment, check=True)
    return shutil.copy(folder.parents[1] / "build/release/driver", folder / "program")


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder
