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


def picture(array, **options):
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


def pictures():
    gray = (np.arange(64).reshape(8, 8) * 4).astype(np.uint8)
    rgb = np.stack([gray, gray.T, 255 - gray], -1)
    rgba = np.concatenate([rgb, gray[..., None]], -1)
    save("picture", "good_gray.png", picture(gray, format="PNG"))
    save("picture", "good_rgba.png", picture(rgba, format="PNG"))
    save("picture", "good_16.png", picture(gray.astype(np.uint16) * 257, format="PNG"))
    save("picture", "good_gray.jpg", picture(gray, format="JPEG"))
    save("picture", "good_rgb_420.jpg", picture(rgb, format="JPEG", quality=80, subsampling=2))
    save("picture", "good_progressive.jpg", picture(rgb, format="JPEG", progressive=True))
    save("picture", "good_hu.npy", npy(gray.astype(np.int16) - 1024))
    save("picture", "good_f64.npy", npy(rgb.astype(np.float64)))
    save("picture", "bad_fortran.npy", npy(gray.astype(np.float32), "F"))
    save("picture", "bad_one_dimension.npy", npy(np.arange(4)))
    save("picture", "bad_nan.npy", npy(np.full((2, 2), np.nan, np.float32)))
    save("picture", "bad_huge_shape.npy", npy(gray).replace(b"(8, 8), }  ", b"(8888888, 9"))
    pixels = (gray.astype(np.uint16) * 16).tobytes()
    for name, explicit, syntax in [("explicit", True, "1.2.840.10008.1.2.1"), ("implicit", False, "1.2.840.10008.1.2")]:
        save("picture", f"good_{name}.dcm", dicom(explicit, syntax, slice_elements(8, 8, pixels)))
        save("picture", f"bad_{name}_short.dcm", dicom(explicit, syntax, slice_elements(8, 8, pixels[:-2])))
    save("picture", "bad_jpeg2000.dcm", dicom(True, "1.2.840.10008.1.2.4.90", slice_elements(8, 8, b"")))
    save("picture", "good_mismatched_syntax.dcm", dicom(False, "1.2.840.10008.1.2.1", slice_elements(8, 8, pixels)))
    save("picture", "bad_truncated.png", picture(gray, format="PNG")[:60])
    save("picture", "bad_truncated.jpg", picture(rgb, format="JPEG")[:-20])
    save("picture", "bad_text.png", "not a picture")
    save("picture", "bad_empty", b"")


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


pictures()
checkpoints()
recipes()
