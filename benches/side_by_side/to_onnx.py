"""Float ONNX, the ranges of its values, and int8 ONNX by onnxruntime's quantiser."""

import logging

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization as q


def float_model(net, outputs=None):
    """The network in float; `outputs`: which values to return, by default the last."""
    nodes, constants = [], []

    def constant(name, values):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    for layer in net.layers:
        name, relu = layer.name, layer.relu
        out = name + ".before_relu" if relu else name
        inputs = list(layer.inputs)
        sides = dict(kernel_shape=[layer.kernel] * 2, strides=[layer.stride] * 2)
        if layer.kind in ("conv", "transposed"):
            inputs += [constant(name + ".weight", layer.weight), constant(name + ".bias", layer.bias)]
            op = "Conv" if layer.kind == "conv" else "ConvTranspose"
            nodes.append(helper.make_node(op, inputs, [out], name, pads=[layer.pad] * 4, **sides))
        elif layer.kind == "max":
            nodes.append(helper.make_node("MaxPool", inputs, [out], name, ceil_mode=1, **sides))
        elif layer.kind == "concat":
            nodes.append(helper.make_node("Concat", inputs, [out], name, axis=1))
        else:
            op = {"add": "Add", "mean": "GlobalAveragePool"}[layer.kind]
            nodes.append(helper.make_node(op, inputs, [out], name))
        if relu:
            nodes.append(helper.make_node("Relu", [out], [name], name + ".relu"))

    def value(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *net.shapes[name]])

    results = [value(name) for name in outputs or [net.output]]
    graph = helper.make_graph(nodes, net.name, [value("input")], results, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def ranges(net, inputs):
    """Smallest and largest value of the input and of every layer's output over all inputs, 0 among them."""
    names = [layer.name for layer in net.layers]
    session = ort.InferenceSession(float_model(net, names).SerializeToString())
    found = {}
    for x in inputs:
        for name, values in zip(["input", *names], [x, *session.run(names, {"input": x})]):
            low, high = found.get(name, (0.0, 0.0))
            found[name] = (min(low, float(values.min())), max(high, float(values.max())))
    return found


class Reader(q.CalibrationDataReader):
    def __init__(self, inputs):
        self.left = iter(inputs)

    def get_next(self):
        x = next(self.left, None)
        return None if x is None else {"input": x}


def quantised(model, inputs, folder):
    """As onnxruntime's documentation advises for x86 with VNNI: u8 activations, s8 weights, a scale for each output
    channel, QDQ. Returns the file."""
    source, file = folder / "float.onnx", folder / "onnxruntime.onnx"
    onnx.save(model, source)
    # It asks for a pass that would fold batch norms; there are none.
    logging.getLogger().setLevel(logging.ERROR)
    q.quantize_static(
        source,
        file,
        Reader(inputs),
        quant_format=q.QuantFormat.QDQ,
        activation_type=q.QuantType.QUInt8,
        weight_type=q.QuantType.QInt8,
        per_channel=True,
    )
    return file
