"""Writes `dicom/`: a small file of each transfer syntax and kind of pixels, by encoders of other people.

    python dicom_files.py && python dicom_table.py dicom > dicom/table.tsv

Needs what `dicom_table.py` needs, and DCMTK's `dcmcjpeg`.
"""

import io
import pathlib
import subprocess
import tempfile

import numpy as np
import pydicom
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended

HERE = pathlib.Path(__file__).parent / "dicom"
H, W = 13, 18
# OpenJPEG's encoder wants more.
LARGE = 33, 38


def pixels(bits, signed=False, samples=1, frames=1, size=(H, W)):
    """A ramp with some noise, a flat corner for runs, and both ends of the range."""
    random = np.random.default_rng(bits + 100 * samples + frames)
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    top = 2**bits - 1
    array = np.stack([[(x * (3 + s) + y * 5 + f * 7) * top // (9 * sum(size)) for s in range(samples)] for f in range(frames)])
    array = array + random.integers(0, top // 40 + 2, array.shape)
    array = np.clip(np.moveaxis(array, 1, -1), 0, top)
    array[:, 8:, 9:] = top // 3
    array[:, 0, 0], array[:, 0, 1] = 0, top
    return array - (2 ** (bits - 1) if signed else 0)


def dataset(array, bits, signed=False, photometric=None):
    frames, h, w, samples = array.shape
    allocated = 8 if bits <= 8 else 16
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = uid.SecondaryCaptureImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3.4"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    ds.PatientName, ds.PatientID = "", ""
    ds.Modality = "OT"
    ds.SamplesPerPixel = samples
    ds.PhotometricInterpretation = photometric or ("RGB" if samples == 3 else "MONOCHROME2")
    if samples == 3:
        ds.PlanarConfiguration = 0
    if frames > 1:
        ds.NumberOfFrames = frames
    ds.Rows, ds.Columns = h, w
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = allocated, bits, bits - 1
    ds.PixelRepresentation = int(signed)
    kind = f"<{'i' if signed else 'u'}{allocated // 8}"
    data = array.astype(kind).tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB" if allocated == 8 else "OW"
    return ds


def save(name, ds, **options):
    ds.save_as(HERE / f"{name}.dcm", enforce_file_format=True, **options)


def encoded(name, ds, syntax, frames, extended=False, fragments=1, offsets=True):
    ds.file_meta.TransferSyntaxUID = syntax
    if extended:
        ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(frames)
    else:
        ds.PixelData = encapsulate(frames, fragments_per_frame=fragments, has_bot=offsets)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    save(name, ds)


def compressed(name, ds, syntax, **options):
    ds.compress(syntax, generate_instance_uid=False, **options)
    save(name, ds)


def jpeg(array, **options):
    out = io.BytesIO()
    Image.fromarray(array.astype(np.uint8).squeeze()).save(out, format="JPEG", **options)
    return out.getvalue()


def dcmcjpeg(name, ds, *options):
    with tempfile.TemporaryDirectory() as folder:
        plain = pathlib.Path(folder) / "plain.dcm"
        ds.save_as(plain, enforce_file_format=True)
        subprocess.run(["dcmcjpeg", "-q", "+ua", *options, plain, HERE / f"{name}.dcm"], check=True)
        # Without the name of the encoder's version and the new identifiers.
        made = pydicom.dcmread(HERE / f"{name}.dcm")
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = "1.2.3.4"
        for keyword in ("DerivationDescription", "SourceImageSequence", "DerivationCodeSequence"):
            made.pop(keyword, None)
        save(name, made)


def plain():
    for name, bits, signed in [("u8", 8, False), ("u12", 12, False), ("s12", 12, True), ("s16", 16, True)]:
        save(name, dataset(pixels(bits, signed), bits, signed))
    big = dataset(pixels(12, True), 12, True)
    big.PixelData = pixels(12, True).astype(">i2").tobytes()
    big.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    save("big_s12", big)
    words = dataset(pixels(8, samples=3)[:, :, :17], 8)
    data = words.PixelData
    words.PixelData = b"".join(data[i : i + 2][::-1] for i in range(0, len(data), 2))
    words["PixelData"].VR = "OW"
    words.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    save("big_rgb_words", words)
    deflated = dataset(pixels(12), 12)
    deflated.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    save("deflated_u12", deflated)
    frames = pixels(12, frames=3)
    save("frames_u12", dataset(frames, 12))
    encoded("encapsulated_frames_u12", dataset(frames, 12), "1.2.840.10008.1.2.1.98", [f.astype("<u2").tobytes() for f in frames])
    single = dataset(pixels(8, frames=2), 8)
    single.BitsAllocated, single.BitsStored, single.HighBit = 1, 1, 0
    single.PixelData = np.packbits((pixels(8, frames=2) > 90).ravel(), bitorder="little").tobytes()
    save("bits_1", single)
    wide = dataset(pixels(16), 16)
    wide.BitsAllocated, wide.BitsStored, wide.HighBit = 32, 32, 31
    wide.PixelData = (pixels(16).astype("<u4") * 65537).tobytes()
    save("u32", wide)
    real = dataset(pixels(16), 16)
    del real.PixelData, real.BitsStored, real.HighBit, real.PixelRepresentation
    real.BitsAllocated = 32
    real.FloatPixelData = (pixels(16) / 7).astype("<f4").tobytes()
    save("float", real)


def colours():
    rgb = pixels(8, samples=3)
    planar = dataset(rgb, 8)
    planar.PlanarConfiguration = 1
    planar.PixelData = np.moveaxis(rgb, -1, 1).astype(np.uint8).tobytes()
    save("rgb_planar", planar)
    save("ybr_full", dataset(rgb, 8, photometric="YBR_FULL"))
    half = dataset(rgb, 8, photometric="YBR_FULL_422")
    half.PixelData = np.concatenate([rgb[..., 0].reshape(-1, 2), rgb[:, :, ::2, 1:].reshape(-1, 2)], -1).astype(np.uint8).tobytes()
    save("ybr_422", half)
    palette = dataset(pixels(8), 8, photometric="PALETTE COLOR")
    for i, colour in enumerate(["Red", "Green", "Blue"]):
        setattr(palette, f"{colour}PaletteColorLookupTableDescriptor", [200, 20, 16])
        entries = ((np.arange(200) * (i + 1) * 257) % 65536).astype("<u2").tobytes()
        setattr(palette, f"{colour}PaletteColorLookupTableData", entries)
    save("palette", palette)


def codecs():
    for name, bits, signed, samples in [("u8", 8, False, 1), ("s12", 12, True, 1), ("u16", 16, False, 1), ("rgb", 8, False, 3)]:
        array = pixels(bits, signed, samples)
        make = lambda: dataset(array, bits, signed)
        compressed(f"rle_{name}", make(), uid.RLELossless)
        compressed(f"jpeg_ls_{name}", make(), uid.JPEGLSLossless)
        compressed(f"jpeg_ls_near_{name}", make(), uid.JPEGLSNearLossless, jls_error=3)
        compressed(f"jpeg2000_{name}", dataset(pixels(bits, signed, samples, size=LARGE), bits, signed), uid.JPEG2000Lossless)
    unsigned = dataset(pixels(12, size=LARGE), 12)
    compressed("jpeg2000_sign", unsigned, uid.JPEG2000Lossless)
    unsigned.PixelRepresentation = 1
    save("jpeg2000_sign", unsigned)
    compressed("jpeg2000_lossy_u12", dataset(pixels(12, size=LARGE), 12), uid.JPEG2000, j2k_psnr=[50])
    import jpeg_ls

    for name, mode in [("plane", 0), ("line", 1), ("sample", 2)]:
        for near in [0, 2]:
            rgb = np.ascontiguousarray(pixels(8, samples=3)[0].astype(np.uint8))
            source = np.ascontiguousarray(np.moveaxis(rgb, -1, 0)) if mode == 0 else rgb
            frame = bytes(jpeg_ls.encode_array(source, lossy_error=near, interleave_mode=mode))
            syntax = uid.JPEGLSNearLossless if near else uid.JPEGLSLossless
            encoded(f"jpeg_ls_{name}_{near}", dataset(rgb[None], 8), syntax, [frame])
    for name, options in [("444", {"subsampling": 0}), ("422", {"subsampling": 1}), ("420", {"subsampling": 2})]:
        rgb = pixels(8, samples=3)
        photometric = "YBR_FULL" if name == "444" else "YBR_FULL_422"
        encoded(f"jpeg_{name}", dataset(rgb, 8, photometric=photometric), uid.JPEGBaseline8Bit, [jpeg(rgb, quality=80, **options)])
    gray = pixels(8)
    encoded("jpeg_gray", dataset(gray, 8), uid.JPEGBaseline8Bit, [jpeg(gray, quality=90)])
    dcmcjpeg("jpeg_extended_u12", dataset(pixels(12), 12), "+ee")
    for predictor in range(1, 8):
        dcmcjpeg(f"jpeg_lossless_{predictor}_u12", dataset(pixels(12), 12), "+el", "+sv", str(predictor))
    dcmcjpeg("jpeg_lossless_1_u16", dataset(pixels(16), 16), "+e1")
    dcmcjpeg("jpeg_lossless_1_s16", dataset(pixels(16, True), 16, True), "+e1")
    dcmcjpeg("jpeg_lossless_1_rgb", dataset(pixels(8, samples=3), 8), "+e1", "+cn")


def fragments():
    frames = pixels(8, frames=3)
    coded = [jpeg(f, quality=90) for f in frames]
    make = lambda: dataset(frames, 8)
    encoded("frames_basic", make(), uid.JPEGBaseline8Bit, coded)
    encoded("frames_fragments", make(), uid.JPEGBaseline8Bit, coded, fragments=2)
    encoded("frames_no_table", make(), uid.JPEGBaseline8Bit, coded, offsets=False)
    encoded("frames_fragments_no_table", make(), uid.JPEGBaseline8Bit, coded, fragments=2, offsets=False)
    encoded("frames_extended", make(), uid.JPEGBaseline8Bit, coded, extended=True)


HERE.mkdir(exist_ok=True)
plain()
colours()
codecs()
fragments()
