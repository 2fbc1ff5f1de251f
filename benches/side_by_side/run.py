#!/usr/bin/env python3
"""niello beside onnxruntime, OpenVINO, ncnn and LiteRT: README.md. Needs nothing but Python and cargo."""

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, epilog="Everything else is passed on: compare.py --help.")
    parser.add_argument("--venv", type=Path, help="virtual environment to keep and use again; absent: thrown away")
    own, passed_on = parser.parse_known_args()
    subprocess.run(["cargo", "build", "--release", "--bin", "niello"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory(prefix="side-by-side-") as temporary:
        folder = own.venv or Path(temporary) / "venv"
        python = folder / "bin/python"
        if not python.exists():
            venv.create(folder, with_pip=True)
        requirements = ["-r", str(HERE / "requirements.txt")]
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        subprocess.run([python, *install], check=True)
        return subprocess.run([python, "-B", HERE / "compare.py", *passed_on]).returncode


if __name__ == "__main__":
    sys.exit(main())
