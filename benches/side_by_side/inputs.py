"""The bundled CT slices as inputs of the networks, NCHW, float."""

import numpy as np
from PIL import Image

MEAN = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]


def slices(folder):
    """The grey levels of every slice, 0..=1."""
    files = sorted(folder.glob("*_image.png"))
    return [np.asarray(Image.open(file).convert("L"), np.float32) / 255 for file in files]


def inputs(name, folder):
    """One input per slice, the first of which is timed: for Anam-Net as it is, for SqueezeNet the middle 448x448
    at half the size, in three equal planes, normalised as for ImageNet."""
    if name == "anam_net":
        return [grey[None, None] for grey in slices(folder)]
    middle = (grey[32:480, 32:480] for grey in slices(folder))
    halves = (grey.reshape(224, 2, 224, 2).mean((1, 3)) for grey in middle)
    return [((half[None].repeat(3, 0) - MEAN) / DEVIATION)[None] for half in halves]
