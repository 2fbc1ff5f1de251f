"""Writes `scans/`: small volumes as NIfTI and as a DICOM series, and `table.tsv`, what SimpleITK reads of them, turned to LPS.

    python scans.py

Needs nibabel, SimpleITK, pydicom and numpy. Columns of the table: file or folder; size, spacing, origin and axes in the order of
`niello_imaging::scan::Geometry` (slices, rows, columns); SHA-256 of the voxels as float32, slices first.
"""

import hashlib
import pathlib
import tempfile

import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

HERE = pathlib.Path(__file__).parent / "scans"
ROTATION = np.array([[0.9362934, -0.2896295, 0.1986693], [0.3129918, 0.9447025, -0.0978434], [-0.1593451, 0.1537920, 0.9751703]])
ROTATION = np.linalg.qr(ROTATION)[0] * -1


def affine(axes, spacing=(0.7, 0.9, 2.5), origin=(-31.5, 12.25, 100.5)):
    """`axes`: a letter for the direction of each axis of the file, or a rotation."""
    matrix = np.eye(4)
    for i in range(3):
        column = axes[:, i] if isinstance(axes, np.ndarray) else np.zeros(3)
        if isinstance(axes, str):
            place = ["LR", "PA", "IS"].index(next(p for p in ("LR", "PA", "IS") if axes[i] in p))
            column[place] = 1 if axes[i] in "RAS" else -1
        matrix[:3, i] = column * spacing[i]
    matrix[:3, 3] = origin
    return matrix


def values(kind):
    array = np.arange(5 * 4 * 3).reshape(5, 4, 3) * 2.0
    if np.dtype(kind).kind != "u":
        array -= 50
    return array.astype(kind)


def nifti(name, kind="i2", axes="LPS", forms=(1, 1), slope=None, big=False, units="mm", version=1):
    image, header = [(nibabel.Nifti1Image, nibabel.Nifti1Header), (nibabel.Nifti2Image, nibabel.Nifti2Header)][version - 1]
    header = header(endianness=">" if big else "<")
    header.set_data_dtype(np.dtype(kind))
    image = image(values(kind), affine(axes), header, dtype=np.dtype(kind))
    image.header.set_xyzt_units(units)
    image.set_qform(affine(axes), forms[0])
    image.set_sform(affine(axes), forms[1])
    image.to_filename(HERE / name)
    if slope or big:
        path = HERE / name
        data = bytearray(path.read_bytes())
        if slope:
            data[112:120] = np.array(slope, ">f4" if big else "<f4").tobytes()
        path.write_bytes(data)


def series(name, rotation):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    normal = np.cross(rotation[:, 0], rotation[:, 1])
    for i, z in enumerate([3, 0, 2, 1]):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = uid.CTImageStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"1.2.3.4.{i + 1}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3", "1.2.3.1", "1.2.3.2"
        ds.PatientName, ds.PatientID, ds.Modality = "", "", "CT"
        ds.InstanceNumber = i + 1
        ds.ImagePositionPatient = [f"{v:.6f}" for v in np.array([-12.5, 30, 7]) + 2.5 * z * normal]
        ds.ImageOrientationPatient = [f"{v:.8f}" for v in rotation[:, :2].T.ravel()]
        ds.PixelSpacing, ds.SliceThickness = [0.8, 0.6], 2.5
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 4, 5, 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
        ds.PixelData = (np.arange(20) * 7 + 100 * z).astype("<u2").tobytes()
        ds["PixelData"].VR = "OW"
        ds.save_as(folder / f"{i}.dcm", enforce_file_format=True)


def row(path):
    if path.is_dir():
        image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            source = str(path)
            if path.name.startswith("second"):
                # SimpleITK reads the first version only, to which nibabel converts.
                source = f"{folder}/first.nii"
                nibabel.Nifti1Image.from_image(nibabel.load(path)).to_filename(source)
            image = sitk.ReadImage(source)
        image = sitk.DICOMOrient(image, "LPS")
    numbers = lambda v: ",".join(f"{x:.9g}" for x in v)
    directions = np.array(image.GetDirection()).reshape(3, 3).T[::-1].ravel()
    digest = hashlib.sha256(sitk.GetArrayFromImage(image).astype("<f4").tobytes()).hexdigest()
    columns = [numbers(image.GetSize()[::-1]), numbers(image.GetSpacing()[::-1]), numbers(image.GetOrigin()), numbers(directions)]
    return "\t".join([path.name, *columns, digest])


HERE.mkdir(exist_ok=True)
for kind in ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]:
    nifti(f"{kind}.nii", kind)
nifti("gz.nii.gz")
nifti("slope.nii", "i2", slope=(0.5, -3))
nifti("slope_big.nii", "i2", slope=(2, 1), big=True)
nifti("big_f4.nii", "f4", big=True)
for axes in ["RAS", "LAS", "LPI", "ASL", "PIR", "SRP", "IAL"]:
    nifti(f"{axes.lower()}.nii", axes=axes)
nifti("oblique.nii", axes=ROTATION)
nifti("qform.nii", axes=ROTATION, forms=(1, 0))
nifti("sform.nii", axes=ROTATION[:, [1, 0, 2]], forms=(0, 2))
nifti("qform_flipped.nii", axes=ROTATION[:, [1, 0, 2]], forms=(1, 0))
nifti("second.nii", "f4", version=2)
nifti("second_big.nii", "i2", axes=ROTATION, big=True, version=2)
nifti("second_qform.nii.gz", "u2", axes="PIR", forms=(1, 0), version=2)
series("axial", np.eye(3))
series("oblique", ROTATION * np.sign(np.linalg.det(ROTATION)))
paths = sorted(path for path in HERE.iterdir() if path.suffix != ".tsv")
(HERE / "table.tsv").write_text("".join(row(path) + "\n" for path in paths))
