"""Writes the first seeds: small files of each format, whole and damaged. Needs numpy and Pillow."""

import io
import json
import pathlib
import struct

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).parent


def save(target, name, data):
    folder = HERE / target
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def image(array, **options):
    out = io.BytesIO()
    Image.fromarray(array).save(out, **options)
    return out.getvalue()


def npy(array, order="C"):
    out = io.BytesIO()
    np.save(out, np.asarray(array, order=order))
    return out.getvalue()


def dicom(explicit, syntax, elements):
    def element(tag, vr, value, explicit=explicit):
        head = struct.pack("<HH", *tag)
        if not explicit:
            return head + struct.pack("<I", len(value)) + value
        if vr in ("OW", "OB", "SQ"):
            return head + vr.encode() + struct.pack("<HI", 0, len(value)) + value
        return head + vr.encode() + struct.pack("<H", len(value)) + value

    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = element((2, 0x10), "UI", uid, True)
    meta = element((2, 0), "UL", struct.pack("<I", len(meta)), True) + meta
    return bytes(128) + b"DICM" + meta + b"".join(element(*e) for e in elements)


def slice_elements(h, w, pixels):
    short = lambda n: struct.pack("<H", n)
    return [
        ((0x08, 0x60), "CS", b"CT"),
        ((0x28, 0x02), "US", short(1)),
        ((0x28, 0x04), "CS", b"MONOCHROME2 "),
        ((0x28, 0x10), "US", short(h)),
        ((0x28, 0x11), "US", short(w)),
        ((0x28, 0x100), "US", short(16)),
        ((0x28, 0x101), "US", short(12)),
        ((0x28, 0x102), "US", short(11)),
        ((0x28, 0x103), "US", short(0)),
        ((0x28, 0x1052), "DS", b"-1024 "),
        ((0x28, 0x1053), "DS", b"1 "),
        ((0x7FE0, 0x10), "OW", pixels),
    ]


def images():
    gray = (np.arange(64).reshape(8, 8) * 4).astype(np.uint8)
    rgb = np.stack([gray, gray.T, 255 - gray], -1)
    rgba = np.concatenate([rgb, gray[..., None]], -1)
    save("png", "good_gray.png", image(gray, format="PNG"))
    save("png", "good_rgba.png", image(rgba, format="PNG"))
    save("png", "good_16.png", image(gray.astype(np.uint16) * 257, format="PNG"))
    save("jpeg", "good_gray.jpg", image(gray, format="JPEG"))
    save("jpeg", "good_rgb_420.jpg", image(rgb, format="JPEG", quality=80, subsampling=2))
    save("jpeg", "good_progressive.jpg", image(rgb, format="JPEG", progressive=True))
    save("npy", "good_hu.npy", npy(gray.astype(np.int16) - 1024))
    save("npy", "good_f64.npy", npy(rgb.astype(np.float64)))
    save("npy", "bad_fortran.npy", npy(gray.astype(np.float32), "F"))
    save("npy", "bad_one_dimension.npy", npy(np.arange(4)))
    save("npy", "bad_nan.npy", npy(np.full((2, 2), np.nan, np.float32)))
    save("npy", "bad_huge_shape.npy", npy(gray).replace(b"(8, 8), }  ", b"(8888888, 9"))
    pixels = (gray.astype(np.uint16) * 16).tobytes()
    for name, explicit, syntax in [("explicit", True, "1.2.840.10008.1.2.1"), ("implicit", False, "1.2.840.10008.1.2")]:
        save("dicom", f"good_{name}.dcm", dicom(explicit, syntax, slice_elements(8, 8, pixels)))
        save("dicom", f"bad_{name}_short.dcm", dicom(explicit, syntax, slice_elements(8, 8, pixels[:-2])))
    save("dicom", "bad_jpeg2000.dcm", dicom(True, "1.2.840.10008.1.2.4.90", slice_elements(8, 8, b"")))
    save("dicom", "good_mismatched_syntax.dcm", dicom(False, "1.2.840.10008.1.2.1", slice_elements(8, 8, pixels)))
    save("png", "bad_truncated.png", image(gray, format="PNG")[:60])
    save("jpeg", "bad_truncated.jpg", image(rgb, format="JPEG")[:-20])
    save("image", "bad_text.png", "not an image")
    save("image", "bad_empty", b"")


def more_images():
    gray = (np.arange(64).reshape(8, 8) * 4).astype(np.uint8)
    rgb = np.stack([gray, gray.T, 255 - gray], -1)
    explicit = "1.2.840.10008.1.2.1"
    words = lambda *n: struct.pack(f"<{len(n)}H", *n)
    element = lambda tag, vr, value: struct.pack("<HH", *tag) + vr.encode() + (
        struct.pack("<HI", 0, len(value)) if vr in ("OW", "SQ") else struct.pack("<H", len(value))
    ) + value
    item = lambda *elements: struct.pack("<HHI", 0xFFFE, 0xE000, sum(map(len, elements))) + b"".join(elements)
    pixels = gray.astype(np.uint16).tobytes()
    lut = item(element((0x28, 0x3002), "US", words(3, 5, 16)), element((0x28, 0x3006), "OW", words(7, 100, 999)))
    with_lut = slice_elements(8, 8, pixels)
    with_lut.insert(-1, ((0x28, 0x3000), "SQ", lut))
    save("dicom", "good_modality_table.dcm", dicom(True, explicit, with_lut))
    transformation = element((0x28, 0x9145), "SQ", item(element((0x28, 0x1052), "DS", b"-9"), element((0x28, 0x1053), "DS", b"2 ")))
    enhanced = slice_elements(8, 8, pixels)
    enhanced.insert(-1, ((0x5200, 0x9229), "SQ", item(transformation)))
    save("dicom", "good_enhanced.dcm", dicom(True, explicit, enhanced))
    empty = [e for e in slice_elements(8, 8, pixels) if e[0] not in ((0x28, 0x10), (0x28, 0x11))]
    save("dicom", "bad_no_rows.dcm", dicom(True, explicit, empty))
    save("dicom", "bad_table.dcm", dicom(True, explicit, [e if e[1] != "SQ" else (e[0], "SQ", lut[:20]) for e in with_lut]))
    save("jpeg", "good_422_odd.jpg", image(np.tile(rgb, (1, 2, 1))[:5, :9], format="JPEG", subsampling=1, optimize=True))
    save("jpeg", "good_restart.jpg", image(np.tile(rgb, (3, 3, 1)), format="JPEG", restart_marker_blocks=2, optimize=True))
    save("jpeg", "good_trailer.jpg", image(gray, format="JPEG", optimize=True) + b"\xff\xda and more")
    save("jpeg", "good_cmyk.jpg", cmyk(rgb))
    save("jpeg", "bad_arithmetic.jpg", image(gray, format="JPEG", optimize=True).replace(b"\xff\xc0", b"\xff\xc9"))
    palette = io.BytesIO()
    Image.fromarray(rgb).quantize(8).save(palette, "PNG")
    save("png", "good_palette.png", palette.getvalue())
    save("npy", "good_rgba.npy", npy(np.concatenate([rgb, gray[..., None]], -1)))
    save("npy", "good_three_channels.npy", npy(rgb.astype(np.int16)))
    save("npy", "bad_channels_first.npy", npy(np.moveaxis(rgb, -1, 0)))


def cmyk(rgb):
    out = io.BytesIO()
    Image.fromarray(rgb).convert("CMYK").save(out, "JPEG", optimize=True)
    return out.getvalue()


def texts():
    for i, text in enumerate([
        "imagenet window=-600,1500", "window:-600,1500 resize=none", "hu:1024", "minmax polarity=inverted colour=gray",
        "mean-std:0.1,0.2,0.3,0.4,0.5,0.6 resize=shorter-side-crop:256/224", "caffe resize=area",
    ]):
        save("preprocess", f"good_{i}.txt", text)
    for i, text in enumerate(["", "unit:3", "mean-std:1,0", "unit resize=shorter-side-crop:1/0", "window:nan,1"]):
        save("preprocess", f"bad_{i}.txt", text)
    bits = HERE.parent.parent / "tests/bits"
    lock = (bits / "every_operator.lock").read_bytes()
    save("lock", "good_every_operator.lock", lock)
    save("lock", "good_int16.lock", (bits / "every_operator_int16.lock").read_bytes())
    save("lock", "bad_edited.lock", lock.replace(b"count = 2", b"count = 3"))
    save("lock", "bad_cut.lock", lock[: len(lock) // 2])
    save("lock", "bad_empty.lock", "")
    targets = HERE.parent.parent / "targets"
    board = (targets / "stm32h743/board.toml").read_text()
    save("board", "good_stm32h743.toml", board)
    save("board", "good_microbit.toml", (targets / "cortex-m-qemu/boards/microbit.toml").read_text())
    save("board", "bad_memory.toml", board.replace('arena = "RAM"', 'arena = "ROM"'))
    save("board", "bad_size.toml", board.replace('"2M"', '"2X"'))
    save("board", "bad_overlap.toml", board.replace("0x3000_0000", "0x2400_1000"))
    tuning = (
        'network = "net"\ntarget = "aarch64-neon"\nrunner = "this machine"\nunit = "ns"\nbefore = 100\nafter = 99\n\n'
        '[layer."fire.expand3x3"]\npixels = 96\nwinograd = false\nbefore = 9\nafter = 8\nwith = ["fire.expand1x1"]\n\n'
        "[layer.stem]\npixels = 4\n"
    )
    save("tuning", "good_full.toml", tuning)
    save("tuning", "bad_zero.toml", tuning.replace("96", "0"))
    save("tuning", "bad_key.toml", tuning.replace("pixels", "pixel"))
    save("tuning", "bad_runner.txt", "layer a 12\nlayer b 9999999999999999999\ntotal 21\n")
    golden = (bits / "every_operator_f32.tflite-double.golden").read_text().splitlines()
    golden = "\n".join(golden[:12] + ["output 0 1da93a15c6669d57", ""])
    save("golden", "good_every_operator.golden", golden)
    save("golden", "good_file.golden", golden.replace("case seed:1", "case file:a.png"))
    save("golden", "bad_heading.golden", golden[2:])
    save("golden", "bad_shape.golden", golden.replace("x", "y"))
    save("golden", "bad_log.txt", "case seed:1\nlayer 0 a - 0000000000000001\noutput 0 0\n")


def safetensors(header, data, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def checkpoints():
    f32 = lambda start, end, shape: {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    data = np.arange(6, dtype=np.float32).tobytes()
    save("safetensors", "good_f32.safetensors", safetensors({"a.weight": f32(0, 24, [2, 3])}, data))
    both = {
        "__metadata__": {"format": "pt"},
        "h": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]},
        "b": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [4, 8]},
        "n": {"dtype": "I64", "shape": [], "data_offsets": [8, 16]},
    }
    save("safetensors", "good_f16_bf16_i64.safetensors", safetensors(both, data[:16]))
    save("safetensors", "bad_empty.safetensors", b"")
    save("safetensors", "bad_truncated.safetensors", safetensors({"a": f32(0, 24, [2, 3])}, data[:20]))
    save("safetensors", "bad_header_length.safetensors", safetensors({"a": f32(0, 24, [6])}, data, 2**62))
    save("safetensors", "bad_overlap.safetensors", safetensors({"a": f32(0, 24, [6]), "b": f32(4, 28, [6])}, data + data))
    save("safetensors", "bad_shape.safetensors", safetensors({"a": f32(0, 24, [2, 4])}, data))
    save("safetensors", "bad_shape_overflow.safetensors", safetensors({"a": f32(0, 24, [2**40, 2**40])}, data))
    save("safetensors", "bad_json.safetensors", safetensors(b'{"a": [', data))


def scans():
    """Copies of the vectors of `imaging`, whole and damaged."""
    vectors = HERE.parent.parent / "imaging/tests/vectors"
    for name in ["rle_rgb", "jpeg_ls_near_s12", "jpeg_ls_sample_0", "jpeg_lossless_5_u12", "jpeg_extended_u12", "jpeg_420", "big_s12", "palette", "ybr_422", "deflated_u12"]:
        save("dicom", f"good_{name}.dcm", (vectors / f"dicom/{name}.dcm").read_bytes())
    for name in ["frames_fragments", "frames_extended"]:
        save("dicom", f"bad_{name}.dcm", (vectors / f"dicom/{name}.dcm").read_bytes())
    save("scan", "good_slice.dcm", (vectors / "scans/axial/0.dcm").read_bytes())
    for name in ["i2.nii", "gz.nii.gz", "qform_flipped.nii", "big_f4.nii", "slope.nii", "second_big.nii"]:
        save("scan", f"good_{name}", (vectors / f"scans/{name}").read_bytes())
    nifti = (vectors / "scans/i2.nii").read_bytes()
    save("scan", "bad_cut.nii", nifti[:-3])
    save("scan", "bad_sheared.nii", nifti[:284] + struct.pack("<f", 0.3) + nifti[288:])
    save("scan", "bad_large.nii", nifti[:42] + struct.pack("<3h", 32000, 32000, 1) + nifti[48:])
    save("scan", "bad_frames.dcm", (vectors / "dicom/frames_basic.dcm").read_bytes())


def bundles():
    codes = lambda start, end: {"dtype": "I8", "shape": [end - start], "data_offsets": [start, end]}
    names = {"seed:1/input 0": codes(0, 4), "seed:1/layer a.b": codes(4, 6), "seed:1/output 0": codes(6, 8)}
    save("bundle", "good_codes.safetensors", safetensors(names, bytes(range(8))))
    save("bundle", "good_other_names.safetensors", safetensors({"x": codes(0, 2), "a/b": codes(2, 3)}, bytes(3)))
    save("bundle", "bad_number.safetensors", safetensors({"seed:1/input one": codes(0, 4)}, bytes(4)))
    save("bundle", "bad_cut.safetensors", safetensors(names, bytes(7)))
    f32 = lambda start, end: {"dtype": "F32", "shape": [(end - start) // 4], "data_offsets": [start, end]}
    one = safetensors({"a": f32(0, 8), "b": f32(8, 12)}, bytes(12))
    two = safetensors({"c": f32(0, 4)}, bytes(4))
    shards = b"".join(struct.pack("<H", len(shard)) + shard for shard in (one, two))
    index = lambda **tensors: json.dumps({"metadata": {}, "weight_map": tensors}).encode() + b"\0" + shards
    save("safetensors_index", "good_two_shards", index(a="1.st", b="1.st", c="2.st"))
    save("safetensors_index", "bad_missing_tensor", index(a="1.st", b="1.st", c="2.st", d="2.st"))
    save("safetensors_index", "bad_unlisted_tensor", index(a="1.st", c="2.st"))
    save("safetensors_index", "bad_wrong_shard", index(a="1.st", b="2.st", c="2.st"))
    save("safetensors_index", "bad_path", index(a="../1.st", b="../1.st", c="2.st"))
    save("safetensors_index", "bad_no_shards", index(a="1.st", b="1.st", c="3.st")[:-40])
    save("safetensors_index", "bad_json", b'{"weight_map": 3}\0')


def recipes():
    full = (HERE.parent.parent / "codegen/tests/recipe.rs").read_text().split('r#"\n')[1].split('"#')[0]
    save("recipe", "good_full.toml", full)
    save("recipe", "good_name.toml", 'network = "anam_net"\n')
    save("recipe", "good_dotted.toml", 'network = "x"\ninput.size = [4, 6]\ncalibrate.images = ["a.png", "b.dcm"]\n')
    save("recipe", "bad_key.toml", full.replace("weights =", "wieghts ="))
    save("recipe", "bad_type.toml", full.replace("[512, 512]", '"512"'))
    save("recipe", "bad_range.toml", full.replace("max = 3.5", "max = -3.5"))
    save("recipe", "bad_syntax.toml", full[: len(full) // 2 + 3])
    save("recipe", "bad_empty.toml", "")
    save("recipe", "bad_utf8.toml", b'network = "\xff"\n')


def field(number, value):
    """A field of a protobuf message: integers, texts and messages, numbers, or several of one of these."""
    def varint(n):
        n &= 2**64 - 1
        out = bytearray()
        while n > 127:
            out.append(n & 127 | 128)
            n >>= 7
        return bytes(out) + bytes([n])

    if isinstance(value, list):
        return b"".join(field(number, v) for v in value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def onnx_tensor(name, array):
    number = {"float32": 1, "int64": 7, "int8": 3, "float16": 10}[str(array.dtype)]
    return field(1, list(array.shape)) + field(2, number) + field(8, name) + field(9, array.tobytes())


def onnx_attribute(name, value):
    number, kind = {int: (3, 2), float: (2, 1), str: (4, 3), bytes: (5, 4)}.get(type(value), (8, 7))
    return field(1, name) + field(number, value) + field(20, kind)


def onnx_node(op, inputs, outputs, domain="", **attributes):
    given = [onnx_attribute(name, value) for name, value in attributes.items()]
    return field(1, inputs) + field(2, outputs) + field(3, "n_" + op) + field(4, op) + field(5, given) + field(7, domain)


def onnx(nodes, constants, shape, outputs=("y",), opset=18, functions=()):
    sizes = [field(1, field(1, d) if isinstance(d, int) else field(2, d)) for d in shape]
    value = lambda name, dims: field(1, name) + field(2, field(1, field(1, 1) + field(2, b"".join(dims))))
    tensors = [onnx_tensor(name, np.asarray(array)) for name, array in constants.items()]
    graph = field(1, nodes) + field(2, "g") + field(5, tensors) + field(11, value("x", sizes)) + field(12, [value(o, []) for o in outputs])
    sets = [field(1, "") + field(2, opset), field(1, "own") + field(2, 1)]
    return field(1, 8) + field(7, graph) + field(8, sets) + field(25, list(functions))


def onnx_files():
    f = lambda *shape: (np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape) % 7 - 3) / 4
    i, N = (lambda *values: np.array(values, np.int64)), onnx_node
    layers = [
        N("Conv", ["x", "w", "b"], ["c"], auto_pad="SAME_UPPER", strides=[2, 1], group=1),
        N("BatchNormalization", ["c", "b", "b", "b", "v"], ["n"], epsilon=0.5),
        N("MaxPool", ["n"], ["m"], kernel_shape=[2, 2], pads=[0, 0, 1, 1], ceil_mode=1),
        N("Flatten", ["m"], ["f"]),
        N("Gemm", ["f", "g"], ["y"], transB=1, alpha=0.5),
    ]
    constants = {"w": f(2, 2, 3, 3), "b": f(2), "v": abs(f(2)), "g": f(3, 20).astype(np.float16).astype(np.float32)}
    good = onnx(layers, constants, ["n", 2, 4, 5])
    save("onnx", "good_layers.onnx", good)
    shapes = [
        N("Shape", ["x"], ["s"]),
        N("Gather", ["s", "two"], ["h"]),
        N("Concat", ["one", "minus", "h"], ["t"], axis=0),
        N("Reshape", ["x", "t"], ["r"]),
        N("Transpose", ["r"], ["p"], perm=[0, 2, 1]),
        N("Slice", ["p", "zero", "big", "one", "two"], ["q"]),
        N("Pad", ["q", "pads", "", "one"], ["o"], mode="reflect"),
        N("Split", ["o"], ["y", "z"], axis=2, num_outputs=2),
        N("ReduceMean", ["z", "minus"], ["m"], keepdims=0),
    ]
    constants = {"two": i(2), "one": i(1), "zero": i(0), "minus": i(-1), "big": i(2**63 - 1), "pads": i(1, 1)}
    save("onnx", "good_shapes.onnx", onnx(shapes, constants, [1, 2, 4, 5], ("y", "m")))
    arithmetic = [
        N("Constant", [], ["c"], value=onnx_tensor("", np.float32(0.7))),
        N("Sigmoid", ["x"], ["a"]),
        N("Mul", ["x", "a"], ["b"]),
        N("Add", ["b", "k"], ["d"]),
        N("Own", ["d", "c"], ["e"], domain="own"),
        N("DepthToSpace", ["e"], ["g"], blocksize=2, mode="CRD"),
        N("Resize", ["g", "", "scales"], ["y"], mode="linear"),
        N("InstanceNormalization", ["g", "w", "w"], ["z"]),
        N("Softmax", ["z"], ["o"], axis=2),
    ]
    body = [N("Sub", ["p", "q"], ["t"]), N("PRelu", ["t", "q"], ["u"])]
    own = field(1, "Own") + field(4, ["p", "q"]) + field(5, "u") + field(7, body) + field(9, field(2, 18)) + field(10, "own")
    constants = {"k": f(5), "w": f(1), "scales": np.float32([1, 1, 1.5, 2])}
    save("onnx", "good_arithmetic.onnx", onnx(arithmetic, constants, [1, 4, 4, 5], ("y", "o"), functions=[own]))
    save("onnx", "bad_cut.onnx", good[:-3])
    save("onnx", "bad_empty.onnx", b"")
    save("onnx", "bad_cycle.onnx", onnx([N("Add", ["x", "z"], ["y"]), N("Neg", ["y"], ["z"])], {}, [1, 2]))
    save("onnx", "bad_operator.onnx", onnx([N("LSTM", ["x"], ["y"])], {}, [1, 2]))
    save("onnx", "bad_large.onnx", onnx([N("Expand", ["x", "s"], ["e"]), N("Relu", ["e"], ["y"])], {"s": i(2**40, 2**40)}, [1, 1]))
    save("onnx", "bad_size.onnx", onnx([N("Relu", ["x"], ["y"])], {}, [1, 2, "h", "w"]))


images()
more_images()
scans()
checkpoints()
bundles()
texts()
recipes()
onnx_files()
