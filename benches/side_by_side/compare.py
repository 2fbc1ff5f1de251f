"""Makes one int8 model for each engine from the same weights and slices, and times all of them in turns."""

import argparse
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
from safetensors.numpy import load_file

import inputs
import networks
import to_ncnn
import to_niello
import to_onnx
import to_openvino
import to_tflite

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ASSETS = ROOT / "models/assets"
RIVALS = dict(
    onnxruntime="onnxruntime", openvino="openvino", ncnn="ncnn", litert="ai-edge-litert"
)  # name of the engine, name of its package
# Inferences in a row, each time that an engine's turn comes.
IN_A_ROW = dict(squeezenet1_0=5, anam_net=1)
# Threads of the engine before may still be waiting for work, actively, for a while.
PAUSE_SECONDS = 0.05
# The least agreement with the float network's answer.
EQUAL_CLASSES = 0.99


class Engine:
    """A process that infers on request."""

    def __init__(self, name, command, log):
        self.name = name
        self.times = []
        pipe = subprocess.PIPE
        with log.open("w") as errors:
            self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True)
        if self.process.stdout.readline().strip() != "ready":
            sys.exit(f"{name} does not start:\n{log.read_text()}")

    def turn(self, count):
        print(count, file=self.process.stdin, flush=True)
        self.times += [float(ms) for ms in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def prepare(name, folder, rivals):
    """The network, its weights, inputs and float answer, and in `folder` an int8 model for each rival."""
    if name == "anam_net":
        weights = load_file(ASSETS / "anam_net/weights.f16.safetensors")
        weights = {key: values.astype(np.float32) for key, values in weights.items()}
    else:
        weights = networks.random_squeezenet()
    net = getattr(networks, name)(weights)
    slices = inputs.inputs(name, ASSETS / "ct")
    np.save(folder / "input.npy", slices[0])
    slices[0].transpose(0, 2, 3, 1).astype("<f4").tofile(folder / "input.f32")
    model = to_onnx.float_model(net)
    answer = ort.InferenceSession(model.SerializeToString()).run(None, {"input": slices[0]})[0]
    ranges = to_onnx.ranges(net, slices)
    to_onnx.quantised(model, slices, folder)
    if "openvino" in rivals:
        to_openvino.quantised(folder / "float.onnx", slices, folder)
    if "ncnn" in rivals:
        to_ncnn.write(net, ranges, folder)
    if "litert" in rivals:
        to_tflite.write(net, ranges, folder)
    return net, weights, slices, answer[0]


def agreement(net, file, reference, last_axis):
    """In words, how the answer in that file compares with the float network's; an error if it does not."""
    c, h, w = reference.shape
    values = np.fromfile(file, "<f4")
    values = values.reshape(h, w, c).transpose(2, 0, 1) if last_axis else values.reshape(c, h, w)
    equal = np.mean(values.argmax(0) == reference.argmax(0))
    if equal < EQUAL_CLASSES:
        sys.exit(f"{file}: only {equal:.1%} of classes are those of the float network")
    if h * w > 1:
        return f"{equal:.2%} of pixels"
    error = np.abs(values - reference).max() / np.abs(reference).max()
    return f"the class; scores within {error:.1%}"


def measure(name, folder, rivals, threads, rounds):
    """Lines of a table."""
    net, weights, slices, reference = prepare(name, folder, rivals)
    timed, answers = {}, {}
    for count in threads:
        program = to_niello.build(net, weights, slices, folder, count)
        commands = {"niello": [program, str(count), folder / "input.f32", folder / "niello.f32"]}
        for rival in rivals:
            arguments = [rival, folder, folder / f"{rival}.f32", str(count)]
            commands[rival] = [sys.executable, HERE / "engines.py", *arguments]
        engines = [Engine(engine, command, folder / f"{engine}.log") for engine, command in commands.items()]
        for engine in engines:
            file = folder / f"{engine.name}.f32"
            answers[engine.name] = agreement(net, file, reference, engine.name == "niello")
        for turn in range(rounds):
            first = turn % len(engines)
            for engine in engines[first:] + engines[:first]:
                time.sleep(PAUSE_SECONDS)
                engine.turn(IN_A_ROW[name])
        for engine in engines:
            engine.close()
        timed[count] = {engine.name: engine for engine in engines}
        print(f"{name}, threads: {count}, done", file=sys.stderr)
    size = "x".join(map(str, net.input))
    return [f"### {name}, {size}, {net.macs / 1e6:,.0f} M multiply-accumulates, int8", "", *table(timed, answers)]


def table(timed, answers):
    """Markdown: fastest and median of each engine, and its fastest over niello's."""
    head, rule = "| engine |", "|---|"
    for count in timed:
        head += f" {count} thread{'s' * (count > 1)}: min / median, ms | times niello's |"
        rule += "---|---|"
    lines = [head + " as the float network |", rule + "---|"]
    for name, answer in answers.items():
        line = f"| {label(name)} |"
        for engines in timed.values():
            times = engines[name].times
            ratio = min(times) / min(engines["niello"].times)
            line += f" {min(times):.2f} / {statistics.median(times):.2f} | {ratio:.2f} |"
        lines.append(f"{line} {answer} |")
    return lines


def label(name):
    return name if name == "niello" else f"{name} {importlib.metadata.version(RIVALS[name])}"


def machine():
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default="squeezenet1_0,anam_net")
    parser.add_argument("--engines", default=",".join(RIVALS), help="rivals")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--work", type=Path, default=ROOT / "target/side_by_side", help="folder of models and result")
    arguments = parser.parse_args()
    rivals = arguments.engines.split(",")
    threads = [int(count) for count in arguments.threads.split(",")]
    lines = [f"{machine()}, {os.cpu_count()} processors; {arguments.rounds} rounds"]
    for name in arguments.networks.split(","):
        folder = (arguments.work / name).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        lines += ["", *measure(name, folder, rivals, threads, arguments.rounds)]
    text = "\n".join(lines) + "\n"
    (arguments.work / "result.md").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
