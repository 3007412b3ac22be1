"""``dicom:PATH`` on real files and on written ones: what of a header becomes a column, and that nothing else does."""

from pathlib import Path

import numpy as np
import pytest

from embedkit import images
from embedkit.datasets import burned_in, check, open_dataset
from embedkit.errors import EmbedkitError
from embedkit.extraction.privacy import warnings_of
from tests.datasets.making import image, write

pydicom = pytest.importorskip("pydicom", reason="DICOM needs embedkit[dicom]")


def dicom(path: Path, **elements: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data = pydicom.Dataset()
    data.file_meta = meta
    for name, value in elements.items():
        setattr(data, name, value)
    data.Rows = data.Columns = 2
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PixelData = np.arange(4, dtype=np.uint8).tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


def test_patient_study_and_a_few_facts_and_nothing_else(tmp_path: Path) -> None:
    person = {"PatientName": "Doe^Jane", "PatientBirthDate": "19700101", "InstitutionName": "Mercy"}
    dicom(tmp_path / "x/1.dcm", PatientID="P1", StudyInstanceUID="1.2", Modality="MG", ViewPosition="CC",
          ImageLaterality="L", PatientSex="F", PatientAge="054Y", Manufacturer="ACME", **person)  # fmt: skip
    dicom(tmp_path / "x/2", PatientID="P1", StudyInstanceUID="1.3", PatientAge="006M", **person)
    image(tmp_path / "x/3.png")
    opened = open_dataset(f"dicom:{tmp_path}")
    table = opened.table
    assert table["path"].tolist() == ["x/1.dcm", "x/2"]
    first = table.iloc[0]
    expected = {"group": "P1", "study": "1.2", "modality": "MG", "view": "CC", "laterality": "L", "sex": "F"}
    assert {**first[list(expected)]} == expected
    assert (first["age"], first["scanner"], table["age"][1]) == (54.0, "ACME", 0.5)
    written = table.to_csv()
    assert not [secret for secret in ("Doe", "1970", "Mercy") if secret in written]
    assert images.load(opened.addresses()[1])[0].shape == (2, 2, 3)


def test_labels_beside_the_files_by_study_patient_or_path(tmp_path: Path) -> None:
    dicom(tmp_path / "1.dcm", PatientID="P1", StudyInstanceUID="1.2")
    dicom(tmp_path / "2.dcm", PatientID="P2", StudyInstanceUID="1.3")
    for text in (
        "study,label,site\n1.2,benign,A\n",
        "group,label,site\nP1,benign,A\n",
        "path,label,site\n1.dcm,benign,A\n",
    ):
        write(tmp_path / "labels.csv", text)
        table = open_dataset(f"dicom:{tmp_path}").table
        assert table["label"].fillna("none").tolist() == ["benign", "none"]
        assert table["site"].fillna("none").tolist() == ["A", "none"]
    for text, message in {
        "label\nx\n": "needs one of the columns path, study, group",
        "study,label\n1.2,a\n1.2,b\n": "line 3: '1.2' stands further up too",
        "study,label\n9,a\n": "no study of it is in the folder",
    }.items():
        write(tmp_path / "labels.csv", text)
        with pytest.raises(EmbedkitError, match=message):
            open_dataset(f"dicom:{tmp_path}")


def test_text_burned_into_the_pixels_is_told_where_the_header_says_so(tmp_path: Path) -> None:
    dicom(tmp_path / "1.dcm", PatientID="P1", BurnedInAnnotation="YES")
    dicom(tmp_path / "2.dcm", PatientID="P2", BurnedInAnnotation="NO")
    dicom(tmp_path / "3.dcm", PatientID="P3")
    opened = open_dataset(f"dicom:{tmp_path}")
    assert opened.table["burned_in"].fillna("").tolist() == ["YES", "NO", ""]
    assert burned_in(opened) == ["1.dcm"]
    assert warnings_of(opened) == [
        f"{opened.name}: 1 images have text burned into their pixels, as their headers say, which may name patients: "
        "1.dcm (column burned_in)"
    ]
    (finding,) = [one for one in check(f"dicom:{tmp_path}").findings if "burned" in one.what]
    assert (finding.count, finding.examples) == (1, ("1.dcm",))
    (tmp_path / "1.dcm").unlink()
    assert warnings_of(open_dataset(f"dicom:{tmp_path}")) == []


def test_the_real_files(data_root: Path) -> None:
    table = open_dataset(f"dicom:{data_root / 'dicom'}").table.set_index("path")
    assert len({path.split("#")[0] for path in table.index}) == 7
    assert (table.loc["CT_small.dcm", "modality"], table.loc["MR_small.dcm", "modality"]) == ("CT", "MR")
    assert table.loc["CT_small.dcm", "group"] == "1CT1"


def test_a_folder_without_dicom(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    with pytest.raises(EmbedkitError, match=r"no DICOM files in .* write folder:"):
        open_dataset(f"dicom:{tmp_path}")
    with pytest.raises(EmbedkitError, match="there is no folder"):
        open_dataset(f"dicom:{tmp_path / 'x'}")


def test_an_npz_of_ones_own(tmp_path: Path) -> None:
    pixels = np.arange(5 * 9, dtype=np.uint8).reshape(5, 3, 3)
    np.savez(tmp_path / "a.npz", train_images=pixels, train_labels=np.array([[0], [2], [1], [0], [0]]))
    opened = open_dataset(f"npz:{tmp_path / 'a.npz'}")
    assert opened.table["label"].tolist() == ["0", "2", "1", "0", "0"]
    assert set(opened.table["split"]) == {"train"}
    assert images.load(opened.addresses()[3])[0][:, :, 0].tolist() == pixels[3].tolist()
    np.savez(tmp_path / "b.npz", test_images=pixels, test_labels=np.eye(5, 2, dtype=int))
    assert open_dataset(f"npz:{tmp_path / 'b.npz'}").targets == {"labels": ("label_0", "label_1")}
    np.savez(tmp_path / "c.npz", pictures=pixels)
    with pytest.raises(EmbedkitError, match=r"holds pictures.npy, no train_images"):
        open_dataset(f"npz:{tmp_path / 'c.npz'}")
