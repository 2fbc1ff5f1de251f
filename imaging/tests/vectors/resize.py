"""Writes resize.txt: what OpenCV and Pillow make of seeded noise, as checksums. Run with OpenCV 4 or 5 and Pillow 11.0 to 12.1: later ones
resize down before they resize across, 12.2 what is over a hundred times as tall as wide, 13 whatever that makes less work of.

A line is `library height width channels new-height new-width seed checksum`. Libraries: `area8`, `area32` (cv2.INTER_AREA on
uint8 and float32), `pil8`, `pil32` (BILINEAR in modes L, RGB and F), `cover` (torchvision's Resize(n), CenterCrop(m) on PIL
images; the new size is n, m).
"""

import pathlib
import random

import cv2
import numpy as np
from PIL import Image

MASK = (1 << 64) - 1


def noise(seed, shape):
    """The same as `noise` in ../common/mod.rs."""
    i = np.arange(1, np.prod(shape) + 1, dtype=np.uint64)
    x = i * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed * 0xBF58476D1CE4E5B9 & MASK)
    x = (x ^ (x >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)
    return (x >> np.uint64(56)).astype(np.uint8).reshape(shape)


def checksum(array):
    h = 0xCBF29CE484222325
    for b in np.ascontiguousarray(array).tobytes():
        h = (h ^ b) * 0x100000001B3 & MASK
    return h


def real(image):
    """Numbers with a fraction, as Hounsfield units after a rescale."""
    return image.astype(np.float32) * np.float32(12.25) - np.float32(1024)


def pil(image, size):
    mode = {(2, "uint8"): "L", (3, "uint8"): "RGB", (2, "float32"): "F"}[image.ndim, image.dtype.name]
    return np.asarray(Image.fromarray(image, mode).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def cover(image, n, m):
    h, w = image.shape[:2]
    short, long = min(h, w), max(h, w)
    new = int(n * long / short)
    rh, rw = (n, new) if h <= w else (new, n)
    resized = pil(image, (rh, rw)) if (rh, rw) != (h, w) else image
    top, left = int(round((rh - m) / 2.0)), int(round((rw - m) / 2.0))
    return resized[top : top + m, left : left + m]


def sizes(rng, count):
    """Both sides down, both up, one of each, whole factors, sides that stay, and long thin ones."""
    for i in range(count):
        h, w = rng.randint(1, 48), rng.randint(1, 48)
        down = lambda n: rng.randint(1, n)
        up = lambda n: rng.randint(n, 64)
        yield [
            lambda: (h, w, down(h), down(w)),
            lambda: (h, w, up(h), up(w)),
            lambda: (h, w, down(h), up(w)),
            lambda: (h, w, up(h), down(w)),
            lambda: (h * 2, w * 2, h, w),
            lambda: (h * rng.randint(1, 4), w * rng.randint(1, 4), h, w),
            lambda: (h, w, h, down(w) if i % 2 else up(w)),
            lambda: (rng.randint(100, 400), w, up(w), rng.randint(1, 90)),
        ][i % 8]()


def main():
    rng = random.Random(20260903)
    lines = []
    for library in ("area8", "area32", "pil8", "pil32"):
        for seed, (h, w, oh, ow) in enumerate(sizes(rng, 240)):
            c = 1 if library == "pil32" or seed // 8 % 2 else 3
            image = noise(seed, (h, w) if c == 1 else (h, w, c))
            if library.endswith("32"):
                image = real(image)
            if library.startswith("area"):
                out = cv2.resize(image, (ow, oh), interpolation=cv2.INTER_AREA)
            else:
                out = pil(image, (oh, ow))
            lines.append(f"{library} {h} {w} {c} {oh} {ow} {seed} {checksum(out):x}")
    for seed in range(200):
        h, w, n = rng.randint(1, 90), rng.randint(1, 90), rng.randint(2, 64)
        m = rng.randint(-(-n // 8), n)
        c = 1 if seed % 2 else 3
        out = cover(noise(seed, (h, w) if c == 1 else (h, w, c)), n, m)
        lines.append(f"cover {h} {w} {c} {n} {m} {seed} {checksum(out):x}")
    print(cv2.__version__, Image.__version__, len(lines), "lines")
    (pathlib.Path(__file__).parent / "resize.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
