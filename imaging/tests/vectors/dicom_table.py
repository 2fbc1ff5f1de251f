"""Hashes of the stored samples of DICOM files, as pydicom decodes them: the table `dicom_table.tsv`.

    python dicom_table.py FOLDER... > dicom_table.tsv

Needs pydicom with pylibjpeg, pylibjpeg-libjpeg, pylibjpeg-openjpeg, pyjpegls, python-gdcm and Pillow. Folders are walked; the name in the
table is the file's path below its folder. Columns: name, transfer syntax, frames x rows x columns x samples, SHA-256 of the samples (little
endian, by pixel, in the bytes that are allocated), their sum, and the decoder that was asked. Files that pydicom cannot read are left out.
"""

import hashlib
import pathlib
import sys
import warnings

import gdcm
import numpy as np
import pydicom

# Decoders of JPEG with losses do not agree with each other; the first is libjpeg, as in most viewers. pydicom does not let GDCM decode 12 bits.
ORDER = {"JPEG": ["gdcm", "GDCM", "pylibjpeg"], "JPEG2000": ["pylibjpeg", "gdcm", "pillow"], "": ["", "gdcm", "pylibjpeg", "pyjpegls"]}


def own_gdcm(path, dataset):
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    data = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")
    assert dataset.PixelRepresentation == 0
    return np.frombuffer(data, f"<u{dataset.BitsAllocated // 8}")


def samples(path, dataset, plugin):
    options = {"decoding_plugin": plugin} if plugin else {}
    array = own_gdcm(path, dataset) if plugin == "GDCM" else pydicom.pixels.pixel_array(dataset, raw=True, **options)
    if "PixelData" in dataset:
        signed = dataset.get("PixelRepresentation", 0) == 1
        width = max(dataset.BitsAllocated // 8, 1)
        array = array.astype(np.dtype(f"<{'i' if signed else 'u'}{width}"))
    frames = int(dataset.get("NumberOfFrames") or 1)
    shape = [frames, dataset.Rows, dataset.Columns, dataset.get("SamplesPerPixel", 1)]
    return array.reshape(shape)


def main():
    warnings.simplefilter("ignore")
    for folder in map(pathlib.Path, sys.argv[1:]):
        for path in sorted(folder.rglob("*")):
            try:
                dataset = pydicom.dcmread(path)
                syntax = dataset.file_meta.TransferSyntaxUID
                dataset.Rows
            except Exception:
                continue
            if syntax.name.startswith("JPEG 2000"):
                kind = "JPEG2000"
            else:
                kind = "JPEG" if syntax in pydicom.uid.JPEGTransferSyntaxes else ""
            for plugin in ORDER[kind]:
                try:
                    array = samples(path, dataset, plugin)
                except Exception:
                    continue
                digest = hashlib.sha256(array.tobytes()).hexdigest()
                size = "x".join(map(str, array.shape))
                print(path.relative_to(folder), syntax, size, digest, array.sum(dtype=np.int64), plugin or "default", sep="\t")
                break


main()
