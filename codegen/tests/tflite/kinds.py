"""Writes kinds.safetensors: one model for each kind of operator that no model of the field shows, with what the reference kernels give.

Tensors are bytes: `NAME/model`, `NAME/inN`, `NAME/litertN` (LiteRT, OpResolverType.BUILTIN_REF) and `NAME/tflmN` (TFLM's interpreter).
Needs numpy, safetensors, ai-edge-litert 2.3.0 and tflite-micro 0.dev20261023182759: `python3 kinds.py`.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from pathlib import Path
from safetensors.numpy import save_file
from tflite_micro.python.tflite_micro import runtime

T = s.TensorType
TYPES = {np.float32: T.FLOAT32, np.float16: T.FLOAT16, np.int8: T.INT8, np.uint8: T.UINT8, np.int16: T.INT16, np.int32: T.INT32, np.int64: T.INT64}
R = np.random.default_rng(18)
ALL = {}


class Net:
    """A model while it is made; tensors are numbers."""

    def __init__(self):
        self.model, self.graph, self.inputs = s.ModelT(), s.SubGraphT(), []
        self.model.version, self.model.operatorCodes, self.model.buffers, self.model.subgraphs = 3, [], [s.BufferT()], [self.graph]
        self.graph.tensors, self.graph.operators = [], []

    def tensor(self, shape, kind, q=None, data=None, axis=0):
        t = s.TensorT()
        t.name, t.shape, t.type, t.buffer = f"t{len(self.graph.tensors)}".encode(), np.asarray(shape, np.int32), kind, 0
        if data is not None:
            buffer = s.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            t.buffer = len(self.model.buffers) - 1
        if q is not None:
            t.quantization = s.QuantizationParametersT()
            t.quantization.scale = np.atleast_1d(np.asarray(q[0], np.float32))
            t.quantization.zeroPoint = np.full(t.quantization.scale.size, q[1], np.int64)
            t.quantization.quantizedDimension = axis
        self.graph.tensors.append(t)
        return len(self.graph.tensors) - 1

    def input(self, shape, kind, q=None):
        self.inputs.append(self.tensor(shape, kind, q))
        return self.inputs[-1]

    def const(self, data, q=None, axis=0):
        data = np.asarray(data)
        return self.tensor(data.shape, TYPES[data.dtype.type], q, data, axis)

    def op(self, name, inputs, shape, kind, q=None, version=1, options=None, **fields):
        """An operator with one result; `options` names its table."""
        code, op = s.OperatorCodeT(), s.OperatorT()
        code.builtinCode = getattr(s.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
        self.model.operatorCodes.append(code)
        result = self.tensor(shape, kind, q)
        op.opcodeIndex, op.inputs, op.outputs = len(self.model.operatorCodes) - 1, np.asarray(inputs, np.int32), np.asarray([result], np.int32)
        if options:
            op.builtinOptions, op.builtinOptionsType = getattr(s, options + "T")(), getattr(s.BuiltinOptions, options)
            for field, value in fields.items():
                assert hasattr(op.builtinOptions, field)
                setattr(op.builtinOptions, field, value)
        self.graph.operators.append(op)
        return result

    def bytes(self, outputs):
        self.graph.inputs, self.graph.outputs = np.array(self.inputs, np.int32), np.array(outputs, np.int32)
        builder = flatbuffers.Builder(4096)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def codes(shape, kind):
    low, high, dtype = {T.INT8: (-128, 128, np.int8), T.UINT8: (0, 256, np.uint8), T.INT16: (-32768, 32768, np.int16)}[kind]
    return R.integers(low, high, shape).astype(dtype)


def litert(model, feeds):
    it = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1)
    it.allocate_tensors()
    for detail, x in zip(it.get_input_details(), feeds):
        it.set_tensor(detail["index"], x)
    it.invoke()
    return [it.get_tensor(detail["index"]).copy() for detail in it.get_output_details()]


def tflm(model, feeds):
    it = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    for i, x in enumerate(feeds):
        it.set_input(x, i)
    it.invoke()
    return [it.get_output(0).copy()]


def save(name, net, feeds, *outputs, references=(litert,)):
    model = net.bytes(outputs)
    ALL[f"{name}/model"] = np.frombuffer(model, np.uint8)
    for i, x in enumerate(feeds):
        ALL[f"{name}/in{i}"] = np.frombuffer(x.tobytes(), np.uint8)
    for reference in references:
        for i, x in enumerate(reference(model, feeds)):
            ALL[f"{name}/{reference.__name__}{i}"] = np.frombuffer(x.tobytes(), np.uint8)


def ints(*numbers):
    return np.array(numbers, np.int32)


def filters(net, shape, kind, axis, s_in):
    """Weights and biases; uint8 ones have a zero point."""
    out = shape[axis]
    if kind == T.UINT8:
        scale, w = np.full(out, 0.01, np.float32), net.const(codes(shape, kind), (0.01, 121))
        return w, net.const(R.integers(-3000, 3000, out).astype(np.int32), (np.float32(s_in) * scale[0], 0))
    scale = np.linspace(0.004, 0.02, out).astype(np.float32)
    w = net.const(R.integers(-127, 128, shape).astype(np.int8), (scale, 0), axis)
    dtype = np.int64 if kind == T.INT16 else np.int32
    return w, net.const(R.integers(-3000, 3000, out).astype(dtype), (np.float32(s_in) * scale, 0))


CONV = dict(strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)


def dilated(name, kind, size, block, pads, crops, depthwise=False, padding=1, pad=None, then=None):
    net, (h, w), c = Net(), size, 3
    zero = 128 if kind == T.UINT8 else 0
    q_in, q_out = (0.05, zero + 9), (0.2, zero - 5)
    x = net.input((1, h, w, c), kind, q_in)
    n, blocks = block * block, net.const(ints(block, block))
    h, w = (h + sum(pads[0])) // block, (w + sum(pads[1])) // block
    y = net.op("SPACE_TO_BATCH_ND", [x, blocks, net.const(ints(*pads))], (n, h, w, c), kind, q_in, 2)
    if pad:
        h, w = h + sum(pad[1]), w + sum(pad[2])
        y = net.op("PAD", [y, net.const(ints(*pad))], (n, h, w, c), kind, q_in, 2, "PadOptions")
    h, w = (h - 2, w - 2) if padding else (h, w)
    options = dict(CONV, padding=padding)
    if depthwise:
        filter = filters(net, (1, 3, 3, c), kind, 3, 0.05)
        y = net.op("DEPTHWISE_CONV_2D", [y, *filter], (n, h, w, c), kind, q_out, 3, "DepthwiseConv2DOptions", depthMultiplier=1, **options)
    else:
        filter, c = filters(net, (4, 3, 3, c), kind, 0, 0.05), 4
        y = net.op("CONV_2D", [y, *filter], (n, h, w, c), kind, q_out, 3, "Conv2DOptions", **options)
    if then:
        y = net.op("RELU6", [y], (n, h, w, c), kind, q_out, 2)
        y = net.op("ADD", [y, net.const(codes((c,), kind), (0.04, zero))], (n, h, w, c), kind, q_out, 2, "AddOptions")
    h, w = h * block - sum(crops[0]), w * block - sum(crops[1])
    y = net.op("BATCH_TO_SPACE_ND", [y, blocks, net.const(ints(*crops))], (1, h, w, c), kind, q_out, 2)
    save(name, net, [codes((1, *size, 3), kind)], y)


def dilated_vector(name, long_axis):
    """A dilated convolution of one axis, as Keras' Conv1D is written."""
    net, q_in, q_out = Net(), (0.05, 9), (0.2, -5)
    x = net.input((1, 13, 3), T.INT8, q_in)
    y = net.op("SPACE_TO_BATCH_ND", [x, net.const(ints(2)), net.const(ints([4, 1]))], (2, 9, 3), T.INT8, q_in, 2)
    shape = lambda n, c: (2, 1, n, c) if long_axis == 2 else (2, n, 1, c)
    y = net.op("EXPAND_DIMS", [y, net.const(ints(1 if long_axis == 2 else 2))], shape(9, 3), T.INT8, q_in, 1, "ExpandDimsOptions")
    filter = filters(net, (4, 1, 3, 3) if long_axis == 2 else (4, 3, 1, 3), T.INT8, 0, 0.05)
    y = net.op("CONV_2D", [y, *filter], shape(7, 4), T.INT8, q_out, 3, "Conv2DOptions", padding=1, **CONV)
    y = net.op("SQUEEZE", [y], (2, 7, 4), T.INT8, q_out, 1, "SqueezeOptions", squeezeDims=ints(1 if long_axis == 2 else 2))
    y = net.op("BATCH_TO_SPACE_ND", [y, net.const(ints(2)), net.const(ints([0, 1]))], (1, 13, 4), T.INT8, q_out, 2)
    save(name, net, [codes((1, 13, 3), T.INT8)], y)


def one(name, kind, operator, shape, out, q_in=(0.05, 5), q_out=None, consts=(), version=2, options=None, order=None, x=None, to=None, references=(litert,), second=None, **fields):
    """One operator; constants are arrays, or arrays and scales with zero points."""
    net = Net()
    operands = [net.input(shape, kind, q_in)]
    feeds = [codes(shape, kind) if x is None else x]
    if second:
        operands.append(net.input(shape, kind, second))
        feeds.append(codes(shape, kind))
    operands += [net.const(*c) if isinstance(c, tuple) else net.const(c) for c in consts]
    operands = [operands[i] for i in order] if order else operands
    y = net.op(operator, operands, out, kind if to is None else to, (q_out or q_in) if to is None else None, version, options, **fields)
    save(name, net, feeds, y, references=references)


def every_code(kind):
    return np.arange(-128, 128).astype(np.int8).reshape(1, 16, 16, 1) if kind == T.INT8 else np.arange(256).astype(np.uint8).reshape(1, 16, 16, 1)


def convolutions():
    for what, kind in (("", T.INT8), (" of uint8", T.UINT8)):
        dilated(f"dilated{what}", kind, (6, 8), 2, [[2, 2], [2, 2]], [[0, 0], [0, 0]], then=True)
        dilated(f"dilated, cropped{what}", kind, (7, 5), 2, [[2, 3], [2, 3]], [[0, 1], [0, 1]], depthwise=True)
    dilated("dilated by four", T.INT8, (9, 7), 4, [[4, 7], [4, 5]], [[0, 3], [0, 1]])
    dilated("dilated, padded within", T.INT8, (6, 8), 2, [[0, 0], [0, 0]], [[0, 0], [0, 0]], pad=[[0, 0], [1, 1], [1, 1], [0, 0]])
    dilated("dilated, same", T.INT8, (6, 8), 2, [[0, 0], [0, 0]], [[0, 0], [0, 0]], padding=0, depthwise=True)
    dilated_vector("dilated columns", 2)
    dilated_vector("dilated rows", 1)


def fours(net, data, scale, axis):
    """Weights of four bits, two in a byte."""
    low = np.append(data.ravel(), np.zeros(data.size % 2, np.int64)) & 15
    return net.tensor(data.shape, T.INT4, (scale, 0), (low[0::2] | low[1::2] << 4).astype(np.uint8), axis)


def four_bits():
    scale = np.linspace(0.05, 0.1, 5).astype(np.float32)
    bias = lambda net, scale: net.const(R.integers(-500, 500, 5).astype(np.int32), (np.float32(0.05) * scale, 0))
    x, q_in, q_out = (1, 4, 5, 5), (0.05, 9), (0.2, -5)
    net = Net()
    y = net.op("CONV_2D", [net.input(x, T.INT8, q_in), fours(net, R.integers(-7, 8, (5, 3, 3, 5)), scale, 0), bias(net, scale)], x, T.INT8, q_out, 3, "Conv2DOptions", padding=0, **CONV)
    save("four bits", net, [codes(x, T.INT8)], y)
    net = Net()
    operands = [net.input(x, T.INT8, q_in), fours(net, R.integers(-7, 8, (1, 3, 3, 5)), scale, 3), bias(net, scale)]
    y = net.op("DEPTHWISE_CONV_2D", operands, x, T.INT8, q_out, 3, "DepthwiseConv2DOptions", padding=0, depthMultiplier=1, **CONV)
    save("four bits, depthwise", net, [codes(x, T.INT8)], y)
    net = Net()
    operands = [net.input((1, 31), T.INT8, q_in), fours(net, R.integers(-7, 8, (5, 31)), 0.06, 0), bias(net, np.float32(0.06))]
    y = net.op("FULLY_CONNECTED", operands, (1, 5), T.INT8, q_out, 5, "FullyConnectedOptions")
    save("four bits, fully connected", net, [codes((1, 31), T.INT8)], y)


def functions():
    both, x = (litert, tflm), every_code(T.INT8)
    for q_in in ((0.0027657035, -28), (0.03, 7), (0.2, -100)):
        one(f"LOGISTIC {q_in[0]}", T.INT8, "LOGISTIC", x.shape, x.shape, q_in, (1 / 256, -128), x=x, references=both)
        one(f"TANH {q_in[0]}", T.INT8, "TANH", x.shape, x.shape, q_in, (1 / 128, 0), x=x, references=both)
    one("LOG", T.INT8, "LOG", x.shape, x.shape, (0.05, -90), (0.03, 10), x=x)
    one("SQRT", T.INT8, "SQRT", x.shape, x.shape, (0.05, -128), (0.03, -100), x=x)
    one("DIV by a constant", T.INT8, "DIV", x.shape, x.shape, (0.05, 5), (0.05, 3), consts=[(np.int8(-71), (0.02, 3))], x=x, options="DivOptions", references=both)
    x = every_code(T.UINT8)
    for name, options, q_out, fields in (
        ("LOGISTIC", None, (1 / 256, 0), {}),
        ("TANH", None, (1 / 128, 128), {}),
        ("LEAKY_RELU", "LeakyReluOptions", (0.03, 100), dict(alpha=0.2)),
        ("HARD_SWISH", "HardSwishOptions", (0.03, 40), {}),
        ("RELU6", None, (0.025, 3), {}),
        ("QUANTIZE", "QuantizeOptions", (0.04, 70), {}),
    ):
        one(f"{name} of uint8", T.UINT8, name, x.shape, x.shape, (0.04, 131), q_out, x=x, version=1 if name == "HARD_SWISH" else 2, options=options, **fields)


def unsigned():
    u, x, q = T.UINT8, (1, 5, 6, 3), (0.05, 131)
    pool = dict(options="Pool2DOptions", version=1)
    for kernel, stride, act in ((3, 1, 0), (3, 2, 3), (2, 1, 1), (5, 3, 0)):
        out = (1, -(-5 // stride), -(-6 // stride), 3)
        fields = dict(padding=0, strideW=stride, strideH=stride, filterWidth=kernel, filterHeight=kernel, fusedActivationFunction=act)
        one(f"AVERAGE_POOL_2D {kernel} {stride} of uint8", u, "AVERAGE_POOL_2D", x, out, q, **pool, **fields)
        one(f"MAX_POOL_2D {kernel} {stride} of uint8", u, "MAX_POOL_2D", x, out, q, **pool, **fields)
    slopes = lambda: (codes((1, 1, 3), u), (0.006, 128))
    one("PRELU of uint8", u, "PRELU", x, x, q, (0.04, 90), consts=[slopes()], version=1)
    one("CONCATENATION of uint8, scales differ", u, "CONCATENATION", x, (1, 5, 6, 6), q, (0.06, 100), second=(0.02, 40), options="ConcatenationOptions", axis=3)
    for name in ("ADD", "SUB", "MUL"):
        one(f"{name} of uint8", u, name, x, x, q, (0.09, 100), second=(0.02, 40), options=f"{name.capitalize()}Options", fusedActivationFunction=1)
    one("MEAN of uint8", u, "MEAN", x, (1, 3), q, (0.03, 100), consts=[ints(1, 2)], options="ReducerOptions")
    one("SUM of uint8", u, "SUM", x, (1, 3), q, (0.5, 100), consts=[ints(1, 2)], options="ReducerOptions")
    for what, align, half in (("", False, False), (", corners aligned", True, False), (", half pixels", False, True)):
        fields = dict(alignCorners=align, halfPixelCenters=half)
        one(f"RESIZE_BILINEAR of uint8{what}", u, "RESIZE_BILINEAR", x, (1, 13, 11, 3), q, consts=[ints(13, 11)], version=3, options="ResizeBilinearOptions", **fields)
    one("SOFTMAX of uint8", u, "SOFTMAX", (1, 20), (1, 20), (0.1, 131), (1 / 256, 0), options="SoftmaxOptions", beta=1.0)


def shapes():
    i, x, q = T.INT8, (1, 5, 6, 3), (0.05, 5)
    cut = lambda name, begin, end, step, out, **masks: one(
        name, i, "STRIDED_SLICE", x, out, q, consts=[ints(*begin), ints(*end), ints(*step)], options="StridedSliceOptions", **masks
    )
    cut("STRIDED_SLICE, ellipsis", (0, 0, 1), (0, 0, 3), (1, 1, 1), (1, 5, 6, 2), beginMask=1, endMask=1, ellipsisMask=2)
    cut("STRIDED_SLICE, new axis", (0, 0, 1), (0, 0, 4), (1, 1, 2), (1, 1, 2, 6, 3), beginMask=1, endMask=1, newAxisMask=2)
    for axis, out in ((1, (1, 6, 3)), (2, (1, 5, 3)), (3, (1, 5, 6))):
        one(f"ARG_MAX {axis}", i, "ARG_MAX", x, out, q, consts=[ints(axis)[0]], to=T.INT32, version=2, options="ArgMaxOptions", outputType=T.INT32)
    net = Net()
    a = net.input(x, i, q)
    shape = net.op("SHAPE", [a], (4,), T.INT32, options="ShapeOptions", outType=T.INT32)
    batch = net.op("STRIDED_SLICE", [shape, *(net.const(ints(n)) for n in (0, 1, 1))], (), T.INT32, options="StridedSliceOptions", shrinkAxisMask=1)
    to = net.op("PACK", [batch, net.const(np.int32(-1))], (2,), T.INT32, options="PackOptions", valuesCount=2)
    save("RESHAPE to a computed shape", net, [codes(x, i)], net.op("RESHAPE", [a, to], (1, 90), i, q))
    net = Net()
    y = net.op("RELU", [net.input(x, i, q)], x, i, (0.03, -20), 2)
    other = s.SubGraphT()
    other.tensors, other.operators, other.inputs, other.outputs = net.graph.tensors, net.graph.operators, ints(0), ints(1)
    net.model.subgraphs.append(other)
    save("second subgraph", net, [codes(x, i)], y)
    net = Net()
    y = net.op("RELU", [net.input(x, i, q)], x, i, (0.03, -20), 2)
    z = net.op("RELU6", [y], x, i, (0.03, -20), 2)
    save("outputs, one of them twice, one an input", net, [codes(x, i)], z, y, z, 0)


def refused():
    """Models only: what a reference computes wrongly, or what is no dilated convolution."""
    x, q, i, none = (1, 6, 8, 3), (0.05, 5), T.INT8, ()
    one("refused, SUM of int8", i, "SUM", x, (1, 3), q, (0.5, 10), consts=[ints(1, 2)], options="ReducerOptions", references=none)
    one("refused, NEG of int8", i, "NEG", x, x, q, references=none)
    one("refused, L2_NORMALIZATION of uint8", T.UINT8, "L2_NORMALIZATION", x, x, q, (1 / 128, 128), options="L2NormOptions", references=none)
    one("refused, DIV by a small constant", i, "DIV", x, x, q, (0.5, 3), consts=[(np.int8(77), (0.02, 3))], options="DivOptions", references=none)
    blocks, ends = ints(2, 2), ints([0, 0], [0, 0])
    one("refused, blocks that are left", i, "SPACE_TO_BATCH_ND", x, (4, 3, 4, 3), q, consts=[blocks, ends], references=none)
    one("refused, blocks from nowhere", i, "BATCH_TO_SPACE_ND", (1, 6, 8, 12), (1, 6, 8, 12), q, consts=[blocks, ends], references=none)
    net = Net()
    y = net.op("SPACE_TO_BATCH_ND", [net.input(x, i, q), net.const(blocks), net.const(ends)], (4, 3, 4, 3), i, q, 2)
    pool = dict(padding=1, strideW=1, strideH=1, filterWidth=2, filterHeight=2)
    y = net.op("MAX_POOL_2D", [y], (4, 2, 3, 3), i, q, 2, "Pool2DOptions", **pool)
    y = net.op("BATCH_TO_SPACE_ND", [y, net.const(blocks), net.const(ends)], (1, 4, 6, 3), i, q, 2)
    save("refused, a pool between blocks", net, [], y, references=none)
    net = Net()
    y = net.op("SPACE_TO_BATCH_ND", [net.input(x, i, q), net.const(blocks), net.const(ends)], (4, 3, 4, 3), i, q, 2)
    y = net.op("CONV_2D", [y, *filters(net, (4, 1, 1, 3), i, 0, 0.05)], (4, 2, 2, 4), i, q, 3, "Conv2DOptions", padding=1, **dict(CONV, strideW=2, strideH=2))
    y = net.op("BATCH_TO_SPACE_ND", [y, net.const(blocks), net.const(ends)], (1, 4, 4, 4), i, q, 2)
    save("refused, a stride between blocks", net, [], y, references=none)


if __name__ == "__main__":
    refused()
    convolutions()
    four_bits()
    functions()
    unsigned()
    shapes()
    save_file(ALL, Path(__file__).with_name("kinds.safetensors"))
