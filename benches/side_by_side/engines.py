"""One engine in a process of its own:

    engines.py ENGINE FOLDER OUTPUT THREADS

loads the int8 model that compare.py left in FOLDER, writes the answer for FOLDER/input.npy to OUTPUT as floats, NCHW,
and prints `ready`. For each number that comes in on a line, it makes as many inferences after one that does not count,
and prints their times in milliseconds. Input and output stay where the engine wants them: only inferences are timed.
"""

import sys
import time
from pathlib import Path

import numpy as np


def onnxruntime(folder, x, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(folder / "onnxruntime.onnx", options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input("input", x)
    binding.bind_output(session.get_outputs()[0].name)
    return lambda: session.run_with_iobinding(binding), lambda: binding.copy_outputs_to_cpu()[0]


def openvino(folder, x, threads):
    import openvino as ov

    config = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
    request = ov.Core().compile_model(folder / "openvino.xml", "CPU", config).create_infer_request()
    request.set_input_tensor(ov.Tensor(x))
    return request.infer, lambda: request.get_output_tensor().data


def ncnn(folder, x, threads):
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    if net.load_param(str(folder / "ncnn.param")) or net.load_model(str(folder / "ncnn.bin")):
        raise RuntimeError("ncnn cannot load the model")
    output = (folder / "ncnn.param").read_text().split("\n")[-2].split()[1]
    values, found = ncnn.Mat(x[0]).clone(), []  # a Mat does not keep the array alive

    def infer():
        extractor = net.create_extractor()
        extractor.input("input", values)
        found[:] = extractor.extract(output)

    return infer, lambda: np.array(found[1])


def litert(folder, x, threads):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(folder / "litert.tflite"), num_threads=threads)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = source["quantization"]
    codes = np.rint(x.transpose(0, 2, 3, 1) / scale) + zero
    interpreter.set_tensor(source["index"], codes.clip(-128, 127).astype(np.int8))

    def answer():
        scale, zero = result["quantization"]
        return ((interpreter.get_tensor(result["index"]).astype(np.float32) - zero) * scale).transpose(0, 3, 1, 2)

    return interpreter.invoke, answer


ENGINES = dict(onnxruntime=onnxruntime, openvino=openvino, ncnn=ncnn, litert=litert)


def main():
    engine, folder, output, threads = sys.argv[1:]
    folder = Path(folder)
    infer, answer = ENGINES[engine](folder, np.load(folder / "input.npy"), int(threads))
    infer()
    np.asarray(answer(), "<f4").tofile(output)
    print("ready", flush=True)
    for line in sys.stdin:
        infer()
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            infer()
            times.append(time.perf_counter() - start)
        print(*(f"{1e3 * t:.4f}" for t in times), flush=True)


if __name__ == "__main__":
    main()
