"""int8 ncnn models: the files that ncnn's tools `ncnn2table` and `ncnn2int8` would write, as they are not in its wheel.

Convolutions are int8, with a scale for each output channel, 6 bits of weight for 3x3 at stride 1 (its int8 Winograd
needs that), and sums that become int8 again at once where only int8 convolutions read them. Everything else is float.
"""

import numpy as np

INT8_TAG = 0x000D4B38
FLOAT_TAG = 0
REQUANTISED = 100


def write(net, ranges, folder):
    """Writes the two files; returns their names."""
    readers = {}
    for layer in net.layers:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer)
    param, chunks = ["Input input 0 1 input"], []
    blobs, left = {"input"}, {}

    def produced(name):
        """A value that several layers read needs a Split, and a name for each of them."""
        blobs.add(name)
        count = len(readers.get(name, []))
        left[name] = [name] if count < 2 else [f"{name}.split{i}" for i in range(count)]
        if count > 1:
            blobs.update(left[name])
            param.append(f"Split {name}.split 1 {count} {name} {' '.join(left[name])}")

    def line(kind, name, inputs, output, **numbers):
        keys = " ".join(f"{key[1:]}={value}" for key, value in numbers.items())
        param.append(f"{kind} {name} {len(inputs)} 1 {' '.join(inputs)} {output} {keys}")

    produced("input")
    for layer in net.layers:
        name = layer.name
        inputs = [left[i].pop(0) for i in layer.inputs]
        sides = dict(_1=layer.kernel, _3=layer.stride, _4=layer.pad, _5=1)
        if layer.kind == "conv":
            weight, weight_scales = int8_weights(layer)
            scales = [weight_scales, [input_scale(ranges, layer)]]
            term, after = 2, readers.get(name, [])
            if after and all(reader.kind == "conv" for reader in after):
                term += REQUANTISED
                scales.append([input_scale(ranges, after[0])])
            sides.update(_8=term, _9=int(layer.relu))
            line("Convolution", name, inputs, name, _0=len(weight), _6=weight.size, **sides)
            chunks += [tagged(INT8_TAG, weight), floats(layer.bias), *map(floats, scales)]
        elif layer.kind == "transposed":
            weight = layer.weight.swapaxes(0, 1)
            line("Deconvolution", name, inputs, name, _0=len(weight), _6=weight.size, **sides)
            chunks += [tagged(FLOAT_TAG, weight.astype("<f4")), floats(layer.bias)]
        elif layer.kind == "max":
            line("Pooling", name, inputs, name, _0=0, _1=layer.kernel, _2=layer.stride, _5=0)
        elif layer.kind == "mean":
            line("Pooling", name, inputs, name, _0=1, _4=1)
        elif layer.kind == "concat":
            line("Concat", name, inputs, name, _0=0)
        else:
            blobs.add(name + ".sum")
            line("BinaryOp", name + ".sum", inputs, name + ".sum", _0=0)
            line("ReLU", name, [name + ".sum"], name)
        produced(name)

    files = folder / "ncnn.param", folder / "ncnn.bin"
    files[0].write_text("\n".join(["7767517", f"{len(param)} {len(blobs)}", *param]) + "\n")
    files[1].write_bytes(b"".join(chunks))
    return files


def int8_weights(layer):
    """Weights as int8, and their factor for each output channel."""
    limit = 31 if layer.kernel == 3 and layer.stride == 1 else 127
    scales = limit / np.abs(layer.weight).max(axis=(1, 2, 3))
    return np.rint(layer.weight * scales[:, None, None, None]).astype(np.int8), scales


def input_scale(ranges, layer):
    return 127 / max(map(abs, ranges[layer.inputs[0]]))


def tagged(tag, values):
    """Weights behind the tag of their type, filled up to whole words."""
    data = np.ascontiguousarray(values).tobytes()
    return tag.to_bytes(4, "little") + data + bytes(-len(data) % 4)


def floats(values):
    return np.asarray(values, "<f4").tobytes()
