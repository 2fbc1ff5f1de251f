"""Writes jpeg.bin: small JPEG files and the checksums of what PIL (libjpeg-turbo) makes of them. Needs Pillow and simplejpeg.

A file is: length of the JPEG (u16), channels (u8), height and width (u16), checksum of the samples (u64), the JPEG; all
little endian. Widths and heights from 1 to 4, then random ones, in every sampling that libjpeg-turbo writes.
"""

import io
import pathlib
import random
import struct

import numpy as np
import simplejpeg
from PIL import Image

from resize import checksum, noise


def smooth(seed, h, w):
    """Noise over a slope, so that files stay small and colours differ."""
    y, x, c = np.indices((h, w, 3))
    ramp = (seed * 31 + x * 9 * (c + 1) + y * 7 * (3 - c)) % 256
    return ((ramp * 3 + noise(seed, (h, w, 3)).astype(int)) // 4).astype(np.uint8)


def pil(image, **options):
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", **{"optimize": True, **options})
    return out.getvalue()


def cmyk(image, **options):
    out = io.BytesIO()
    Image.fromarray(image).convert("CMYK").save(out, "JPEG", **options)
    return out.getvalue()


def files():
    rng = random.Random(1)
    seed = 0
    small = [(h, w) for h in range(1, 5) for w in range(1, 5)]
    for sampling in ("444", "422", "420", "440", "411"):
        odd = [(rng.randint(1, 40), rng.randint(1, 40)) for _ in range(7)]
        for h, w in (small[:4] if sampling == "444" else small[seed % 2 :: 2] + [(3, 5), (5, 3)]) + odd:
            seed += 1
            yield simplejpeg.encode_jpeg(smooth(seed, h, w), quality=rng.choice([30, 75, 95]), colorspace="RGB", colorsubsampling=sampling)
    for i in range(30):
        seed += 1
        h, w = rng.randint(1, 50), rng.randint(1, 50)
        restart = {"restart_marker_blocks": rng.randint(1, 9)} if i % 3 == 0 else {}
        yield pil(smooth(seed, h, w), quality=rng.choice([20, 75, 95]), subsampling=i % 3, progressive=i % 2 == 0, **restart)
        if i % 3 == 0:
            yield pil(smooth(seed, h, w)[..., 0], quality=85, progressive=i % 2 == 0, **restart)
    image = smooth(9, 21, 19)
    yield pil(image, keep_rgb=True)
    yield cmyk(image, quality=80)
    yield cmyk(image, quality=80, progressive=True)
    whole = pil(image, subsampling=2)
    yield whole + b"\0" * 7
    yield whole + b"\xff\xda\0\x08 trailer \xff\xd8\xff\xe0"
    yield whole + pil(smooth(10, 8, 8))
    # Bytes between segments, and filled markers.
    scan = whole.index(b"\xff\xda")
    yield whole[:scan] + b"\0\x01\x02" + whole[scan:]
    yield whole[:scan] + b"\xff\xff\xff" + whole[scan:]


def main():
    out = b""
    for count, data in enumerate(files(), 1):
        opened = Image.open(io.BytesIO(data))
        array = np.asarray(opened if opened.mode == "L" else opened.convert("RGB"))
        h, w, c = (*array.shape, 1)[:3]
        out += struct.pack("<HBHHQ", len(data), c, h, w, checksum(array)) + data
    print(count, "files,", len(out), "bytes")
    (pathlib.Path(__file__).parent / "jpeg.bin").write_bytes(out)


if __name__ == "__main__":
    main()
