"""Writes int16.safetensors: operators between activations of 16 bits ("16x8", or int16x8), and a small network of them, as kinds.py has others.

`python3 int16.py`; with a path, every function of one value is asked for all 65,536 codes, and the result goes there.
"""

import sys

import kinds
import numpy as np
from kinds import CONV, T, Net, ints, litert, save
from pathlib import Path
from safetensors.numpy import save_file

R = np.random.default_rng(16)
W = T.INT16
X = (1, 6, 7, 5)
Q = (0.0003, 0)
COUNT = 65536 if len(sys.argv) > 1 else 128


def wide(shape):
    """Codes of the whole width, its ends among them."""
    x = R.integers(-32768, 32768, shape).astype(np.int16)
    ends = R.integers(0, 40, shape)
    x[ends == 0], x[ends == 1] = -32768, 32767
    return x


def spread():
    """Codes from end to end, and those around 0."""
    few = np.linspace(-32768, 32767, COUNT - 32).round()
    x = np.concatenate([few, np.arange(-16, 16)]) if COUNT < 65536 else np.arange(-32768, 32768)
    return x.astype(np.int16).reshape(1, 8, -1, 1)


def filters(net, shape, axis, s_in, per_tensor=False, low=-127, biased=True):
    out = shape[axis]
    scale = np.array([0.0071] if per_tensor else np.linspace(0.002, 0.011, out), np.float32)
    w = net.const(R.integers(low, 128, shape).astype(np.int8), (scale, 0), axis)
    if not biased:
        return [w]
    bias = R.integers(-(1 << 22), 1 << 22, out).astype(np.int64)
    return [w, net.const(bias, (np.float32(s_in) * scale, 0))]


def conv(name, operator, weights, out, q_out, axis=0, x=X, options=None, act=0, padding=0, stride=1, dilation=1, keys=None, **fields):
    net = Net()
    inputs = [net.input(x, W, Q), *filters(net, weights, axis, Q[0], **(keys or {}))]
    steps = dict(strideW=stride, strideH=stride, fusedActivationFunction=act, padding=padding)
    if operator != "TRANSPOSE_CONV":
        steps |= dict(dilationWFactor=dilation, dilationHFactor=dilation)
    else:
        inputs = [net.const(ints(*out)), inputs[1], inputs[0], *inputs[2:]]
    y = net.op(operator, inputs, out, W, (q_out, 0), 3, options, **steps, **fields)
    save(f"int16, {name}", net, [wide(x)], y)


def convolutions():
    two, deep, up = "Conv2DOptions", "DepthwiseConv2DOptions", "TransposeConvOptions"
    conv("CONV_2D", "CONV_2D", (6, 3, 3, 5), (1, 6, 7, 6), 0.0008, options=two)
    conv("CONV_2D, RELU6", "CONV_2D", (6, 3, 3, 5), (1, 3, 4, 6), 0.0004, options=two, act=3, stride=2)
    conv("CONV_2D, RELU, holes", "CONV_2D", (6, 3, 2, 5), (1, 2, 5, 6), 0.0007, options=two, act=1, padding=1, dilation=2)
    conv("CONV_2D per tensor", "CONV_2D", (9, 1, 1, 5), (1, 6, 7, 9), 0.0002, options=two, act=2, keys=dict(per_tensor=True))
    conv("CONV_2D, weights of -128", "CONV_2D", (4, 2, 2, 5), (1, 6, 7, 4), 0.0011, options=two, keys=dict(low=-128))
    conv("DEPTHWISE_CONV_2D", "DEPTHWISE_CONV_2D", (1, 3, 3, 5), (1, 6, 7, 5), 0.0003, 3, options=deep, depthMultiplier=1)
    conv("DEPTHWISE_CONV_2D, multiplied", "DEPTHWISE_CONV_2D", (1, 3, 3, 10), (1, 3, 4, 10), 0.0004, 3, options=deep, act=1, stride=2, depthMultiplier=2)
    conv("TRANSPOSE_CONV", "TRANSPOSE_CONV", (4, 3, 3, 5), (1, 12, 14, 4), 0.0006, options=up, stride=2)
    conv("TRANSPOSE_CONV without biases", "TRANSPOSE_CONV", (4, 2, 2, 5), (1, 12, 14, 4), 0.0003, options=up, padding=1, stride=2, keys=dict(biased=False))


def dense(name, q_in, q_out, scale, rows=16, width=31, act=0, bias=True, kind=np.int64):
    net, scale = Net(), np.asarray(scale, np.float32)
    w = net.const(R.integers(-127, 128, (rows, width)).astype(np.int8), (scale, 0), 0)
    inputs = [net.input((3, width), W, (q_in, 0)), w]
    if bias:
        inputs.append(net.const(R.integers(-(1 << 20), 1 << 20, rows).astype(kind), (np.float32(q_in) * scale, 0)))
    y = net.op("FULLY_CONNECTED", inputs, (3, rows), W, (q_out, 0), 4, "FullyConnectedOptions", fusedActivationFunction=act)
    save(f"int16, {name}", net, [wide((3, width))], y)


def fully_connected():
    dense("FULLY_CONNECTED", 0.0003, 0.0011, 0.0071)
    dense("FULLY_CONNECTED per channel", 0.0003, 0.0017, np.linspace(0.002, 0.011, 16), act=1)
    dense("FULLY_CONNECTED without biases", 0.00031, 0.0005, 0.0066, bias=False, act=3)
    # Ties: sums that are whole numbers and a half.
    dense("FULLY_CONNECTED, powers of two", 2.0**-12, 2.0**-9, 2.0**-6, rows=48)


def one(name, operator, out, q_in=Q, q_out=None, x=X, to=W, **keys):
    version = keys.pop("version", 2)
    kinds.one(f"int16, {name}", W, operator, x if isinstance(x, tuple) else x.shape, out, q_in, q_out, to=None if to == W else to,
              x=wide(x) if isinstance(x, tuple) else x, version=version, **keys)


def two(name, operator, q_a, q_b, q_out, a=X, b=X, const=False, options=None, **fields):
    net = Net()
    feeds = [wide(a)] if const else [wide(a), wide(b)]
    inputs = [net.input(a, W, q_a), net.const(wide(b), q_b) if const else net.input(b, W, q_b)]
    y = net.op(operator, inputs, a, W, q_out, 2, options, **fields)
    save(f"int16, {name}", net, feeds, y)


def pairs():
    for operator, act in (("ADD", 0), ("ADD", 1), ("SUB", 0), ("SUB", 3), ("MUL", 0), ("MUL", 2)):
        options = dict(options=operator.capitalize() + "Options", fusedActivationFunction=act)
        options |= {} if operator == "MUL" else dict(potScaleInt16=False)
        name = f"{operator} {act}"
        two(name, operator, (0.00031, 0), (0.00017, 0), (0.0004 if operator != "MUL" else 0.0011, 0), **options)
        two(f"{name} of a channel", operator, (0.00031, 0), (0.0017, 0), (0.0007, 0), b=(5,), const=True, **options)
    pot = dict(options="AddOptions", potScaleInt16=False)
    two("ADD, powers of two", "ADD", (2.0**-12, 0), (2.0**-11, 0), (2.0**-10, 0), **pot)
    two("ADD, shifts asked for", "ADD", (0.0003, 0), (2.0**-11, 0), (2.0**-10, 0), **dict(pot, potScaleInt16=True))
    two("MAXIMUM", "MAXIMUM", Q, Q, Q)
    two("MINIMUM of a channel", "MINIMUM", Q, Q, Q, b=(5,), const=True)


def functions():
    x = spread()
    for scale in (2.0**-12, 2.0**-11, 2.0**-12 * 1.0005, 0.00013, 0.0009, 0.011, 1.7):
        one(f"LOGISTIC {scale}", "LOGISTIC", x.shape, (scale, 0), (2.0**-15, 0), x)
        one(f"TANH {scale}", "TANH", x.shape, (scale, 0), (2.0**-15, 0), x)
    for alpha, q_out in ((0.1, 0.00021), (0.3, 0.0003), (-0.7, 0.00041), (1.5, 0.00037)):
        one(f"LEAKY_RELU {alpha}", "LEAKY_RELU", x.shape, (0.0003, 0), (q_out, 0), x, options="LeakyReluOptions", alpha=alpha)
    for operator, q_out in (("RELU", 0.00021), ("RELU", 0.0003), ("RELU6", 0.00041), ("RELU6", 0.00013)):
        one(f"{operator} to {q_out}", operator, x.shape, (0.0003, 0), (q_out, 0), x)


def ends():
    x = spread()
    one("QUANTIZE to int16", "QUANTIZE", x.shape, (0.0003, 0), (0.00021, 0), x, options="QuantizeOptions")
    for name, kind, q_in, to, q_out, feed in (
        ("QUANTIZE to int8", W, (0.0003, 0), T.INT8, (0.07, 3), x),
        ("QUANTIZE from int8", T.INT8, (0.05, 7), W, (0.0003, 0), np.arange(-128, 128).astype(np.int8).reshape(1, 16, 16, 1)),
        ("QUANTIZE from float", T.FLOAT32, None, W, (0.0003, 0), (x * np.float32(0.00037)).astype(np.float32)),
        ("DEQUANTIZE", W, (0.0003, 0), T.FLOAT32, None, x),
    ):
        net, operator = Net(), name.split()[0]
        y = net.op(operator, [net.input(feed.shape, kind, q_in)], feed.shape, to, q_out, 2, operator.capitalize() + "Options")
        save(f"int16, {name}", net, [feed], y)


def softmax():
    for n, scale, beta in ((2, 0.0003, 1.0), (10, 0.00021, 1.0), (100, 0.0011, 0.7), (40, 0.00002, 1.0)):
        one(f"SOFTMAX {n} {scale}", "SOFTMAX", (4, n), (scale, 0), (2.0**-15, 0), (4, n), options="SoftmaxOptions", beta=beta)
    equal = np.full((1, 300), 1234, np.int16)
    equal[0, ::3] = -9000
    one("SOFTMAX of equal scores", "SOFTMAX", equal.shape, (0.0003, 0), (2.0**-15, 0), equal, options="SoftmaxOptions", beta=1.0)


def pools():
    for kernel, stride, act, padding in ((2, 2, 0, 1), (3, 1, 0, 0), (3, 2, 3, 0)):
        size = (lambda n: (n - kernel) // stride + 1) if padding else (lambda n: -(-n // stride))
        fields = dict(padding=padding, strideW=stride, strideH=stride, filterWidth=kernel, filterHeight=kernel, fusedActivationFunction=act)
        for operator in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
            one(f"{operator} {kernel} {stride}", operator, (1, size(6), size(7), 5), options="Pool2DOptions", **fields)
    for name, axes, out, keep in (("1, 2", ints(1, 2), (1, 5), False), ("1, 2, kept", ints(1, 2), (1, 1, 1, 5), True), ("2", ints(2), (1, 6, 5), False), ("3", ints(3), (1, 6, 7), False)):
        for q_out in (0.0003, 0.00007):
            one(f"MEAN over {name} to {q_out}", "MEAN", out, q_out=(q_out, 0), consts=[axes], options="ReducerOptions", keepDims=keep)


def moves():
    pad = ints([0, 0], [1, 2], [2, 1], [0, 0])
    one("PAD", "PAD", (1, 9, 10, 5), consts=[pad])
    one("PADV2", "PADV2", (1, 9, 10, 5), consts=[pad, (np.int16(-32768), Q)])
    one("MIRROR_PAD", "MIRROR_PAD", (1, 9, 10, 5), consts=[pad], options="MirrorPadOptions", mode=0)
    one("RESHAPE", "RESHAPE", (1, 210), consts=[ints(1, 210)], version=1)
    one("TRANSPOSE", "TRANSPOSE", (1, 7, 6, 5), consts=[ints(0, 2, 1, 3)])
    one("SLICE", "SLICE", (1, 2, 3, 4), consts=[ints(0, 1, 1, 1), ints(1, 2, 3, 4)])
    one("STRIDED_SLICE", "STRIDED_SLICE", (1, 3, 7, 2), consts=[ints(0, 0, 0, 1), ints(1, 6, 7, 5), ints(1, 2, 1, 2)], options="StridedSliceOptions")
    one("GATHER", "GATHER", (1, 6, 7, 3), consts=[ints(4, 1, 1)], options="GatherOptions", axis=3)
    one("TILE", "TILE", (1, 6, 14, 5), consts=[ints(1, 1, 2, 1)])
    one("UNPACK", "UNPACK", (6, 7, 5), options="UnpackOptions", num=1, axis=0)
    for axis, out in ((3, (1, 6, 7, 10)), (1, (1, 12, 7, 5))):
        one(f"CONCATENATION {axis}", "CONCATENATION", out, second=Q, options="ConcatenationOptions", axis=axis)
    one("PACK", "PACK", (1, 2, 6, 7, 5), second=Q, options="PackOptions", axis=1, valuesCount=2)
    for what, align, half in (("", False, False), (", corners aligned", True, False), (", half pixels", False, True)):
        for operator, options in (("RESIZE_BILINEAR", "ResizeBilinearOptions"), ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions")):
            one(f"{operator}{what}", operator, (1, 13, 9, 5), consts=[ints(13, 9)], version=3, options=options, alignCorners=align, halfPixelCenters=half)


def network():
    """An image of floats to probabilities: two convolutions, a depthwise one, a sum, a mean, a fully connected layer and a softmax."""
    net, h = Net(), 8
    x = net.input((1, h, h, 3), T.FLOAT32)
    q = [(s, 0) for s in (0.00004, 0.00012, 0.00015, 0.0002, 0.00025, 0.00008, 0.0003)]
    y = net.op("QUANTIZE", [x], (1, h, h, 3), W, q[0], 2, "QuantizeOptions")
    relu = dict(CONV, padding=0, fusedActivationFunction=1)
    a = net.op("CONV_2D", [y, *filters(net, (8, 3, 3, 3), 0, q[0][0])], (1, 4, 4, 8), W, q[1], 4, "Conv2DOptions", **dict(relu, strideW=2, strideH=2))
    y = net.op("DEPTHWISE_CONV_2D", [a, *filters(net, (1, 3, 3, 8), 3, q[1][0])], (1, 4, 4, 8), W, q[2], 3, "DepthwiseConv2DOptions", depthMultiplier=1, **dict(relu, fusedActivationFunction=3))
    y = net.op("CONV_2D", [y, *filters(net, (8, 1, 1, 8), 0, q[2][0])], (1, 4, 4, 8), W, q[3], 4, "Conv2DOptions", **dict(relu, fusedActivationFunction=0))
    y = net.op("ADD", [a, y], (1, 4, 4, 8), W, q[4], 3, "AddOptions", potScaleInt16=False)
    y = net.op("MEAN", [y, net.const(ints(1, 2))], (1, 8), W, q[5], 3, "ReducerOptions")
    y = net.op("FULLY_CONNECTED", [y, *filters(net, (6, 8), 0, q[5][0], per_tensor=True)], (1, 6), W, q[6], 4, "FullyConnectedOptions")
    z = net.op("SOFTMAX", [y], (1, 6), W, (2.0**-15, 0), 3, "SoftmaxOptions", beta=1.0)
    z = net.op("DEQUANTIZE", [z], (1, 6), T.FLOAT32, None, 3, "DequantizeOptions")
    save("int16, network", net, [R.uniform(-1, 1, (1, h, h, 3)).astype(np.float32)], z, y, a)


def refused():
    """What the reference kernels have no 16 bits of, or compute otherwise than by the scales."""
    none = dict(references=())
    one("HARD_SWISH", "HARD_SWISH", X, options="HardSwishOptions", **none)
    one("CONCATENATION, scales differ", "CONCATENATION", (1, 6, 7, 10), second=(0.0004, 0), options="ConcatenationOptions", axis=3, **none)
    one("zero point", "RELU", X, (0.0003, 5), **none)
    net = Net()
    pot = [(2.0**-n, 0) for n in (12, 11, 10)]
    y = net.op("ADD", [net.input(X, W, pot[0]), net.input(X, W, pot[1])], X, W, pot[2], 2, "AddOptions", potScaleInt16=True)
    save("int16, ADD by shifts", net, [], y, references=())
    net = Net()
    w = net.const(R.integers(-127, 128, (4, 1, 1, 5)).astype(np.int8), (0.01, 0))
    big = net.const(np.array([1, 2, 3, 1 << 33], np.int64), (np.float32(0.01) * np.float32(Q[0]), 0))
    y = net.op("CONV_2D", [net.input(X, W, Q), w, big], (1, 6, 7, 4), W, (0.0008, 0), 3, "Conv2DOptions", padding=0, **CONV)
    save("int16, a large bias", net, [], y, references=())
    for name in [key for key in kinds.ALL if key.startswith("int16, ") and key.split("/")[0] in REFUSED]:
        kinds.ALL["refused, " + name] = kinds.ALL.pop(name)


REFUSED = {f"int16, {name}" for name in ("HARD_SWISH", "CONCATENATION, scales differ", "zero point", "ADD by shifts", "a large bias")}

if __name__ == "__main__":
    for part in (convolutions, fully_connected, pairs, functions, ends, softmax, pools, moves, network, refused):
        part()
    save_file(kinds.ALL, sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("int16.safetensors"))
