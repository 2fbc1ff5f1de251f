"""The two networks as lists of layers, with float weights, in PyTorch's order (NCHW, OIHW).

Batch norms are folded into the convolutions in front of them, and a ReLU is part of the layer that it follows: every
converter of the rivals does the same.
"""

import math
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Layer:
    """One operator. `kind`: conv, transposed, max, add, concat or mean (over the whole map)."""

    kind: str
    name: str
    inputs: list
    weight: np.ndarray = None
    bias: np.ndarray = None
    kernel: int = 1
    stride: int = 1
    pad: int = 0
    relu: bool = False
    shape: tuple = ()  # of the output: channels, height, width


@dataclass
class Network:
    """Layers in the order of execution; the last one is the output. Every layer's output has the layer's name."""

    name: str
    input: tuple
    shapes: dict = field(default_factory=dict)
    layers: list = field(default_factory=list)

    def __post_init__(self):
        self.shapes["input"] = self.input

    @property
    def output(self):
        return self.layers[-1].name

    @property
    def macs(self):
        """Multiply-accumulates of an inference."""
        def of(layer):
            if layer.kind == "transposed":
                c, h, w = self.shapes[layer.inputs[0]]
                return layer.weight.size * h * w
            return layer.weight.size * math.prod(layer.shape[1:]) if layer.kind == "conv" else 0

        return sum(map(of, self.layers))

    def add(self, layer):
        c, h, w = self.shapes[layer.inputs[0]]
        if layer.kind == "conv":
            h, w = ((side + 2 * layer.pad - layer.kernel) // layer.stride + 1 for side in (h, w))
            c = layer.weight.shape[0]
        elif layer.kind == "transposed":
            c, h, w = layer.weight.shape[1], h * layer.stride, w * layer.stride
        elif layer.kind == "max":  # a window may end outside the map
            h, w = (-(-(side - layer.kernel) // layer.stride) + 1 for side in (h, w))
        elif layer.kind == "concat":
            c = sum(self.shapes[i][0] for i in layer.inputs)
        elif layer.kind == "mean":
            h = w = 1
        layer.shape = self.shapes[layer.name] = (c, h, w)
        self.layers.append(layer)
        return layer.name


def squeezenet1_0(weights):
    """SqueezeNet 1.0 at 224x224 (Iandola et al., arXiv 1602.07360); torchvision's tensor names."""
    net = Network("squeezenet1_0", (3, 224, 224))

    def conv(name, x, **more):
        w, b = weights[name + ".weight"], weights[name + ".bias"]
        return net.add(Layer("conv", name, [x], w, b, kernel=w.shape[2], relu=True, **more))

    def fire(name, x):
        x = conv(name + ".squeeze", x)
        parts = [conv(name + ".expand1x1", x), conv(name + ".expand3x3", x, pad=1)]
        return net.add(Layer("concat", name, parts))

    x = conv("features.0", "input", stride=2)
    for index in range(2, 13):
        name = f"features.{index}"
        if index in (2, 6, 11):
            x = net.add(Layer("max", name, [x], kernel=3, stride=2))
        else:
            x = fire(name, x)
    x = conv("classifier.1", x)
    net.add(Layer("mean", "classifier.3", [x]))
    return net


def anam_net(weights):
    """Anam-Net at 512x512 (Paluru et al., IEEE TNNLS 32(3), 2021); the published tensor names."""
    net = Network("anam_net", (1, 512, 512))

    def conv_bn_relu(name, x, pad):
        w, b = folded(weights, name)
        return net.add(Layer("conv", name, [x], w, b, kernel=w.shape[2], pad=pad, relu=True))

    def ad_block(name, x):
        y = conv_bn_relu(name + ".ext_conv1", x, 0)
        y = conv_bn_relu(name + ".ext_conv2", y, 1)
        y = conv_bn_relu(name + ".ext_conv3", y, 0)
        return net.add(Layer("add", name, [x, y], relu=True))

    x, skips = "input", []
    for n in range(1, 5):
        x = conv_bn_relu(f"conv{n}_block", x, 1)
        skips.append(x)
        x = net.add(Layer("max", f"max{n}", [x], kernel=2, stride=2))
        if n < 4:
            x = ad_block(f"bottleneck{n}", x)
    for n in range(1, 5):
        w, b = weights[f"up_{n}.weight"], weights[f"up_{n}.bias"]
        x = net.add(Layer("transposed", f"up_{n}", [x], w, b, kernel=2, stride=2))
        if n < 4:
            x = ad_block(f"bottleneck{n + 3}", x)
        x = net.add(Layer("concat", f"conv_up_{n}.concat", [x, skips.pop()]))
        x = conv_bn_relu(f"conv_up_{n}", x, 1)
    net.add(Layer("conv", "conv_final", [x], weights["conv_final.weight"], weights["conv_final.bias"]))
    return net


def folded(weights, name):
    """Weights and bias of `name.0` with the batch norm `name.1` in them."""
    w = weights[name + ".0.weight"]
    bias = weights.get(name + ".0.bias", np.zeros(w.shape[0], np.float32))
    gamma, beta, mean, var = (
        weights[f"{name}.1.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = gamma / np.sqrt(var + 1e-5)
    return w * factor[:, None, None, None], beta + (bias - mean) * factor


def random_squeezenet(seed=1):
    """Weights for SqueezeNet 1.0 with three classes, from a seed, in the size that keeps activations in range.

    There are no trained ones with the project, and no engine's speed depends on their values.
    """
    rng = np.random.default_rng(seed)
    weights = {}

    def conv(name, cin, cout, k):
        size = math.sqrt(2 / (cin * k * k))
        weights[name + ".weight"] = rng.normal(0, size, (cout, cin, k, k)).astype(np.float32)
        weights[name + ".bias"] = rng.normal(0, 0.1, cout).astype(np.float32)

    conv("features.0", 3, 96, 7)
    cin = 96
    for index, squeeze, expand in [
        (3, 16, 64), (4, 16, 64), (5, 32, 128), (7, 32, 128), (8, 48, 192), (9, 48, 192), (10, 64, 256), (12, 64, 256)
    ]:
        conv(f"features.{index}.squeeze", cin, squeeze, 1)
        conv(f"features.{index}.expand1x1", squeeze, expand, 1)
        conv(f"features.{index}.expand3x3", squeeze, expand, 3)
        cin = 2 * expand
    conv("classifier.1", cin, 3, 1)
    return weights
