"""int8 for OpenVINO by NNCF, the tool that its documentation names."""

import contextlib
import logging
import sys

import nncf
import openvino as ov


def quantised(float_file, inputs, folder):
    """Post-training quantisation with NNCF's own settings. Returns the file."""
    nncf.set_log_level(logging.WARNING)
    model = ov.Core().read_model(float_file)
    with contextlib.redirect_stdout(sys.stderr):  # progress bars
        model = nncf.quantize(model, nncf.Dataset(inputs), subset_size=len(inputs))
    file = folder / "openvino.xml"
    ov.save_model(model, file, compress_to_fp16=False)
    return file
