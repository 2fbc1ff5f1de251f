"""Adds up a profile of count.c by function: python3 profile.py PROGRAM PROFILE [FUNCTION]

With part of a function's name, prints its instructions instead. Needs aarch64-linux-gnu-objdump and -nm.
"""

import bisect
import collections
import subprocess
import sys

# The base address of position-independent programs under qemu-aarch64.
BASE = 0x5500000000


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def main(program, profile, wanted=None):
    counts = collections.Counter()
    for line in open(profile):
        address, times = line.split()
        counts[int(address, 16) - BASE] += int(times)
    symbols = []
    for line in run("aarch64-linux-gnu-nm", "-C", "--defined-only", program):
        address, kind, name = line.split(" ", 2)
        if kind in "tTwW":
            symbols.append((int(address, 16), name))
    symbols.sort()
    starts = [address for address, _ in symbols]
    if wanted is None:
        functions = collections.Counter()
        for address, times in counts.items():
            at = bisect.bisect_right(starts, address) - 1
            outside = at < 0 or address > starts[-1] + (1 << 20)
            functions["elsewhere" if outside else symbols[at][1]] += times
        for name, times in functions.most_common(25):
            print(f"{times:14} {name}")
        return
    for at, (start, name) in enumerate(symbols):
        if wanted in name:
            stop = symbols[at + 1][0]
            listing = run("aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", f"--start-address={start}",
                          f"--stop-address={stop}", program)
            for line in listing:
                address = line.split(":")[0].strip()
                try:
                    times = counts[int(address, 16)]
                except ValueError:
                    continue
                print(f"{times:12} {line}")


main(*sys.argv[1:])
