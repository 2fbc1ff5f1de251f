"""Takes the models of README.md and their goldens out of `../shared` (or `NIELLO_SHARED`): `python3 tests/models/take.py`.

A golden keeps the cases that need no file, checksums of layers and the bytes of small outputs. `tflm` is what kernels that round fully connected
layers twice return instead.
"""

import hashlib
import json
import os
import pathlib
import re
import struct

HERE = pathlib.Path(__file__).parent
SHARED = pathlib.Path(os.environ.get("NIELLO_SHARED", HERE / "../../../shared")) / "import/tflite"
MODELS = ["ds_cnn_kws", "hello_world", "micro_speech", "nano_u", "resnet8", "streaming_wakeword"]
KINDS = ["noise", "blocks", "constant"]
KEPT = ["model", "bytes", "sha256", "source", "licence", "made_with", "inputs", "outputs"]


def tensors(path):
    data = path.read_bytes()
    (head,) = struct.unpack_from("<Q", data)
    of = json.loads(data[8 : 8 + head])
    return {name: data[8 + head :][slice(*t["data_offsets"])] for name, t in of.items() if name != "__metadata__"}


def case(stored, name, outputs):
    kept = {key: value for key, value in stored.items() if key not in ("optimised", "xnnpack")}
    found = [outputs.get(f"{name}/{i}", b"") for i in range(len(stored["reference"]))]
    return kept | ({"bytes": [b.hex() for b in found]} if all(0 < len(b) <= 64 for b in found) else {})


older = json.loads((SHARED / "older_reference.json").read_text())
for name in (f"{model}_int8" for model in MODELS):
    doc = json.loads((SHARED / f"{name}.json").read_text())
    model = (SHARED / doc["model"]).read_bytes()
    assert hashlib.sha256(model).hexdigest() == doc["sha256"]
    (HERE / f"{name}.tflite").write_bytes(model)
    outputs = tensors(SHARED / f"{name}.outputs.safetensors")
    golden = {key: doc[key] for key in KEPT} | {"model": f"{name}.tflite"}
    golden["layers"] = [{k: layer[k] for k in ("op", "operator", "name", "shape", "type")} for layer in doc["layers"]]
    cases = [stored for stored in doc["cases"] if stored["kind"] in KINDS]
    golden["cases"] = [case(stored, stored["name"], outputs) for stored in cases]
    differing = dict(older["models"][name]["differences"])
    golden["tflm"] = {c["name"]: differing[c["name"]] for c in cases if c["name"] in differing}
    # One line for each layer and case.
    text = re.sub(r"(\n {3,}|\n  (?=}))", "", json.dumps(golden, indent=1).replace(",\n", ", \n"))
    text = text.replace(", \n", ",\n")
    (HERE / f"{name}.json").write_text(text + "\n")
