"""An int8 model for LiteRT: the flatbuffer, written by the schema that comes with LiteRT.

Numbers as its converter chooses them: activations int8 with a zero point, weights int8 with a scale for each output
channel, biases int32. Values that pass through pooling and concatenation have one scale, as its kernels demand.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

OPERATORS = schema.BuiltinOperator
OPTIONS = schema.BuiltinOptions
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
RELU, NONE = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.NONE


def shared(net, ranges):
    """Ranges in which maximum and concatenation change none."""
    ranges = dict(ranges)
    changed = True
    while changed:
        changed = False
        for layer in net.layers:
            if layer.kind not in ("max", "concat"):
                continue
            names = [layer.name, *layer.inputs]
            union = min(ranges[n][0] for n in names), max(ranges[n][1] for n in names)
            for name in names:
                changed |= ranges[name] != union
                ranges[name] = union
    return ranges


def numbers(low, high):
    """Scale and zero point of int8 for a range that has 0 in it."""
    scale = (high - low) / 255
    return scale, int(np.clip(np.rint(-128 - low / scale), -128, 127))


class Writer:
    def __init__(self, net, ranges):
        self.net = net
        self.numbers = {name: numbers(*r) for name, r in shared(net, ranges).items()}
        self.buffers = [schema.BufferT()]
        self.tensors, self.codes, self.operators = [], [], []
        self.index = {}

    def tensor(self, name, shape, kind, scales, zero_points, data=None, axis=0):
        buffer = 0
        if data is not None:
            buffer = len(self.buffers)
            self.buffers.append(schema.BufferT(data=np.frombuffer(data.tobytes(), np.uint8)))
        quantization = None
        if scales is not None:
            quantization = schema.QuantizationParametersT(
                scale=np.asarray(scales, np.float32), zeroPoint=np.asarray(zero_points, np.int64),
                quantizedDimension=axis,
            )
        self.tensors.append(schema.TensorT(
            shape=list(shape), type=kind, buffer=buffer, name=name, quantization=quantization
        ))
        return len(self.tensors) - 1

    def value(self, name):
        """A tensor for the output of a layer, or for the input."""
        c, h, w = self.net.shapes[name]
        scale, zero = self.numbers[name]
        self.index[name] = self.tensor(name, (1, h, w, c), schema.TensorType.INT8, [scale], [zero])
        return self.index[name]

    def integers(self, name, values):
        data = np.asarray(values, np.int32)
        return self.tensor(name, data.shape, schema.TensorType.INT32, None, None, data)

    def weights(self, layer, weight, axis):
        """Weights with the output channel at `axis`, and the bias."""
        others = tuple(i for i in range(4) if i != axis)
        scales = np.abs(weight).max(axis=others) / 127
        wide = np.expand_dims(scales, others)
        codes = np.rint(weight / wide).astype(np.int8)
        sums = scales * self.numbers[layer.inputs[0]][0]
        bias = np.rint(layer.bias / sums).astype(np.int32)
        zeros = np.zeros(len(scales))
        return (
            self.tensor(layer.name + ".weight", codes.shape, schema.TensorType.INT8, scales, zeros, codes, axis),
            self.tensor(layer.name + ".bias", bias.shape, schema.TensorType.INT32, sums, zeros, bias),
        )

    def operator(self, code, version, inputs, output, options_type, options):
        key = schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=version)
        found = [i for i, c in enumerate(self.codes) if (c.builtinCode, c.version) == (code, version)]
        if not found:
            self.codes.append(key)
        self.operators.append(schema.OperatorT(
            opcodeIndex=found[0] if found else len(self.codes) - 1, inputs=inputs, outputs=[output],
            builtinOptionsType=options_type, builtinOptions=options,
        ))

    def layer(self, layer):
        inputs = [self.index[name] for name in layer.inputs]
        activation = RELU if layer.relu else NONE
        stride = dict(strideW=layer.stride, strideH=layer.stride)
        if layer.kind == "conv":
            inputs += self.weights(layer, layer.weight.transpose(0, 2, 3, 1), 0)
            padding = SAME if layer.pad else VALID
            options = schema.Conv2DOptionsT(padding, **stride, fusedActivationFunction=activation)
            self.operator(OPERATORS.CONV_2D, 3, inputs, self.value(layer.name), OPTIONS.Conv2DOptions, options)
        elif layer.kind == "transposed":
            c, h, w = layer.shape
            weight, bias = self.weights(layer, layer.weight.transpose(1, 2, 3, 0), 0)
            inputs = [self.integers(layer.name + ".shape", [1, h, w, c]), weight, *inputs, bias]
            options = schema.TransposeConvOptionsT(VALID, **stride, fusedActivationFunction=activation)
            self.operator(
                OPERATORS.TRANSPOSE_CONV, 3, inputs, self.value(layer.name), OPTIONS.TransposeConvOptions, options
            )
        elif layer.kind == "max":
            # SAME begins outside the map only if two rows or more are missing; here it is one, at the end, or none.
            overhang = (layer.shape[1] - 1) * layer.stride + layer.kernel - self.net.shapes[layer.inputs[0]][1]
            options = schema.Pool2DOptionsT(
                SAME if overhang else VALID, **stride, filterWidth=layer.kernel, filterHeight=layer.kernel
            )
            self.operator(OPERATORS.MAX_POOL_2D, 2, inputs, self.value(layer.name), OPTIONS.Pool2DOptions, options)
        elif layer.kind == "mean":
            inputs.append(self.integers(layer.name + ".axes", [1, 2]))
            options = schema.ReducerOptionsT(keepDims=True)
            self.operator(OPERATORS.MEAN, 2, inputs, self.value(layer.name), OPTIONS.ReducerOptions, options)
        elif layer.kind == "concat":
            options = schema.ConcatenationOptionsT(axis=3)
            output = self.value(layer.name)
            self.operator(OPERATORS.CONCATENATION, 2, inputs, output, OPTIONS.ConcatenationOptions, options)
        else:
            options = schema.AddOptionsT(fusedActivationFunction=activation)
            self.operator(OPERATORS.ADD, 2, inputs, self.value(layer.name), OPTIONS.AddOptions, options)

    def bytes(self):
        self.value("input")
        for layer in self.net.layers:
            self.layer(layer)
        graph = schema.SubGraphT(
            tensors=self.tensors, inputs=[self.index["input"]], outputs=[self.index[self.net.output]],
            operators=self.operators, name=self.net.name,
        )
        model = schema.ModelT(version=3, operatorCodes=self.codes, subgraphs=[graph], buffers=self.buffers)
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def write(net, ranges, folder):
    """Writes the file; returns its name."""
    file = folder / "litert.tflite"
    file.write_bytes(Writer(net, ranges).bytes())
    return file
