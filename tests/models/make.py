"""Makes the models beside it, without any package: `python3 make.py`."""

import struct
from pathlib import Path

HERE = Path(__file__).parent


# Flatbuffers: a table is a dict of (field number: part); a part is bytes of a number, ("v", size, bytes), a str, a table, or a list of tables.
def append(part, out):
    holes = []

    def count(n, alignment):
        out.extend(b"\0" * (-(len(out) + 4) % alignment))
        start = len(out)
        out.extend(struct.pack("<I", n))
        return start

    if isinstance(part, tuple):
        _, size, data = part
        start = count(len(data) // size, 8)
        out.extend(data)
    elif isinstance(part, str):
        start = count(len(part), 4)
        out.extend(part.encode() + b"\0")
    elif isinstance(part, list):
        start = count(len(part), 4)
        holes = [(start + 4 + 4 * i, table) for i, table in enumerate(part)]
        out.extend(b"\0" * 4 * len(part))
    else:
        fields = max(part, default=-1) + 1
        out.extend(b"\0" * (len(out) % 2))
        vtable = len(out)
        out.extend(b"\0" * (4 + 2 * fields))
        out.extend(b"\0" * (-len(out) % 8))
        start = len(out)
        out.extend(struct.pack("<i", start - vtable))
        for number, field in part.items():
            size = len(field) if isinstance(field, bytes) else 4
            out.extend(b"\0" * (-len(out) % size))
            struct.pack_into("<H", out, vtable + 4 + 2 * number, len(out) - start)
            if isinstance(field, bytes):
                out.extend(field)
            else:
                holes.append((len(out), field))
                out.extend(b"\0" * 4)
        struct.pack_into("<HH", out, vtable, 4 + 2 * fields, len(out) - start)
    for hole, field in holes:
        struct.pack_into("<I", out, hole, append(field, out) - hole)
    return start


def byte(n):
    return struct.pack("<B", n)


def ints(*numbers):
    return ("v", 4, struct.pack(f"<{len(numbers)}i", *numbers))


def int32(n):
    return struct.pack("<i", n)


def tflite(path, description, tensors, inputs, outputs, operators):
    buffers, tables = [{}], []
    for name, kind, shape, scale, zero_point, data in tensors:
        table = {0: ints(*shape), 1: byte(kind), 2: int32(len(buffers) if data else 0), 3: name}
        if data:
            buffers.append({0: ("v", 1, data)})
        if scale:
            table[4] = {2: ("v", 4, struct.pack("<f", scale)), 3: ("v", 8, struct.pack("<q", zero_point))}
        tables.append(table)
    codes = [{0: byte(code), 2: int32(1), 3: int32(code)} for code, *_ in operators]
    nodes = []
    for i, (_, reads, makes, tag, options) in enumerate(operators):
        nodes.append({0: int32(i), 1: ints(*reads), 2: ints(*makes), 3: byte(tag), 4: options})
    graph = {0: tables, 1: ints(*inputs), 2: ints(*outputs), 3: nodes}
    out = bytearray(b"\0\0\0\0TFL3")
    root = append({0: int32(3), 1: codes, 2: [graph], 3: description, 4: buffers}, out)
    struct.pack_into("<I", out, 0, root)
    (HERE / path).write_bytes(out)


UINT8, INT8, INT32 = 3, 9, 2


def signed(values):
    return struct.pack(f"<{len(values)}b", *values)


# Scales 0.5 * 0.5 / 0.25: every result is a sum of products. Conv2D 1x1 from 2 to 3 channels, then dense from 4x3x3 to 4 classes, and the best of them.
CONV = [1, -1, 2, 0, 0, 3]
DENSE = [(7 * i * i + 3 * i) % 5 - 2 for i in range(4 * 36)]
tflite(
    "tiny_int8.tflite",
    "made by make.py",
    [
        ("serving_default_image:0", UINT8, [1, 4, 3, 2], 0.5, 131, None),
        ("quantized", INT8, [1, 4, 3, 2], 0.5, 3, None),
        ("net/conv/weights", INT8, [3, 1, 1, 2], 0.5, 0, signed(CONV)),
        ("net/conv/bias", INT32, [3], 0.25, 0, struct.pack("<3i", 10, -5, 0)),
        ("net/conv/Relu;net/conv/BiasAdd;net/bn/FusedBatchNorm", INT8, [1, 4, 3, 3], 0.25, -100, None),
        ("flat", INT8, [1, 36], 0.25, -100, None),
        ("shape", INT32, [2], None, 0, struct.pack("<2i", -1, 36)),
        ("net/dense/weights", INT8, [4, 36], 0.5, 0, signed(DENSE)),
        ("StatefulPartitionedCall:0", INT8, [1, 4], 2.0, -7, None),
        ("axis", INT32, [1], None, 0, struct.pack("<i", -1)),
        ("StatefulPartitionedCall:1", INT32, [1], None, 0, None),
    ],
    [0],
    [8, 10],
    [
        (114, [0], [1], 94, {}),
        (3, [1, 2, 3], [4], 1, {0: byte(1), 1: int32(1), 2: int32(1), 3: byte(1), 4: int32(1), 5: int32(1)}),
        (22, [4, 6], [5], 17, {0: ints(-1, 36)}),
        (9, [5, 7, -1], [8], 8, {0: byte(0)}),
        (56, [8, 9], [10], 40, {0: byte(2)}),
    ],
)


# Protocol buffers: a message is a list of (field number, int, bytes, text, or message).
def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def message(fields):
    out = bytearray()
    for number, field in fields:
        if isinstance(field, int):
            out += varint(number << 3) + varint(field)
            continue
        data = field if isinstance(field, bytes) else field.encode() if isinstance(field, str) else message(field)
        out += varint(number << 3 | 2) + varint(len(data)) + data
    return bytes(out)


def value(name, *shape):
    dims = [(1, [(1, size)]) for size in shape]
    return [(1, name), (2, [(1, [(1, 1), (2, dims)])])]


def node(kind, reads, makes):
    return [(1, name) for name in reads] + [(2, name) for name in makes] + [(3, f"/{kind}"), (4, kind)]


def onnx(path, nodes, inputs, outputs):
    graph = [(1, n) for n in nodes] + [(2, "tiny")] + [(11, v) for v in inputs] + [(12, v) for v in outputs]
    (HERE / path).write_bytes(message([(1, 8), (2, "make.py"), (7, graph), (8, [(1, ""), (2, 13)])]))


# relu(image + offsets), channels first, and its mean over the map.
onnx(
    "tiny.onnx",
    [
        node("Add", ["image", "offsets"], ["/Add_output_0"]),
        node("Relu", ["/Add_output_0"], ["map"]),
        node("GlobalAveragePool", ["map"], ["mean"]),
    ],
    [value("image", 1, 2, 3, 4), value("offsets", 1, 2, 1, 1)],
    [value("map", 1, 2, 3, 4), value("mean", 1, 2, 1, 1)],
)
