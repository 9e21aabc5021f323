"""What a stage keeps of its images, and the stages that find others."""

import dataclasses
import json

import numpy as np
import pytest

from tests.search import tiny
from tf_darts.data import image_stream
from tf_darts.data.image_data import ImageData
from tf_darts.data.image_stream import Files
from tf_darts.errors import UserError
from tf_darts.workdir.data_record import NAME, DataRecord
from tf_darts.workdir.stage_folder import StageFolder

X = np.arange(6 * 4 * 4 * 3, dtype=np.uint8).reshape(6, 4, 4, 3)
Y = np.array([0, 1, 0, 1, 1, 1], np.int32)


def data(x=X, y=Y, names=("cat", "dog"), x_test=X[:2], y_test=Y[:2]):
    return ImageData(x, y, x_test, y_test, names)


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = data().record
    record.write(tmp_path)
    read = DataRecord.read(tmp_path)
    assert (read.class_names, read.image_shape) == (("cat", "dog"), (4, 4, 3))
    assert (read.train, read.test) == (record.train, record.test)
    assert read.train.images == 6 and read.train.of_class == (2, 4)
    for name in ("mean", "std"):
        kept = getattr(read, name)
        assert kept.dtype == np.float32
        np.testing.assert_array_equal(kept, getattr(data(), name).astype(np.float32))  # to the bit
    assert record.changes(read) == []
    assert DataRecord.read(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"names": ("cat", "wolf")}, ["the classes are now without dog and with wolf"]),
        ({"names": ("dog", "cat")}, ["the classes are now in another order"]),
        ({"x": X[:5], "y": Y[:5]}, ["training images are 3 of class dog, and were 4"]),
        ({"x": X + 1}, ["the training images have changed, or their order"]),
        ({"x": X[::-1]}, ["the training images have changed, or their order"]),
        ({"y": Y[::-1].copy()}, ["the training images have changed, or their order"]),
        ({"x_test": X[2:4]}, ["the test images have changed, or their order"]),
    ],
)
def test_what_changed_is_named(changed, said):
    assert data().record.changes(data(**changed).record) == said


def test_many_changes_are_cut_short():
    names = tuple(f"class {k}" for k in range(1000))
    labels = np.arange(1000, dtype=np.int32)
    one, other = (data(np.repeat(X[:1], n, 0), np.tile(labels, n // 1000), names) for n in (1000, 2000))
    (said,) = one.record.changes(other.record)
    assert "2 of class class 0, and were 1" in said and "; ... (1000 in all)" in said and len(said) < 300


def test_a_damaged_record_is_named(tmp_path):
    data().record.write(tmp_path)
    content = json.loads((tmp_path / NAME).read_text())
    (tmp_path / NAME).write_text(json.dumps(content | {"mean": [0.5]}))
    with pytest.raises(UserError, match=r"data\.json is damaged: ValueError: mean and std"):
        DataRecord.read(tmp_path)


def files(folder, contents):
    folder.mkdir()
    paths = [folder / f"{number}.png" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return Files([str(path) for path in paths], np.arange(len(contents), dtype=np.int32) % 2)


def test_files_are_known_by_their_content_wherever_they_are(tmp_path, monkeypatch):
    first = files(tmp_path / "a", [b"one", b"two"]).record(2)
    assert first == files(tmp_path / "b", [b"one", b"two"]).record(2)
    assert (first.images, first.of_class) == (2, (1, 1))
    others = ([b"one", b"two"], [b"two", b"one"], [b"one"], [b"one", b"twos"])
    found = {files(tmp_path / f"other {k}", contents).record(2).sha256 for k, contents in enumerate(others)}
    assert len(found) == 4 and first.sha256 in found
    # Of very many bytes some are read, and the sizes of all.
    monkeypatch.setattr(image_stream, "FINGERPRINT_BYTES", 3)
    few = files(tmp_path / "c", [b"one", b"two"]).record(2)
    assert few == files(tmp_path / "d", [b"one", b"tow"]).record(2)
    assert few.sha256 != files(tmp_path / "e", [b"one", b"three"]).record(2).sha256


def stage(workdir, name="search", sections=("data", "search"), **fields):
    return StageFolder(workdir, name, tiny.config(**fields), sections)


def test_a_stage_is_continued_with_the_same_images_wherever_they_are(tmp_path):
    at = {"data__source": "folder", "data__image_size": 4}
    stage(tmp_path, data__path="here", **at).open(data().record)
    stage(tmp_path, data__path="there", **at).open(data().record)
    other = data(X + 1).record
    for path in ("here", "there"):
        with pytest.raises(UserError, match="made with other images: the training images have changed"):
            stage(tmp_path, data__path=path, **at).open(other)
    assert DataRecord.read(tmp_path / "search").changes(data().record) == []


def test_a_stage_of_version_1_0_which_kept_nothing_is_of_one_place(tmp_path):
    at = {"data__source": "folder", "data__image_size": 4}
    stage(tmp_path, data__path="here", **at).open()
    stage(tmp_path, data__path="here", **at).check(data().record)
    with pytest.raises(UserError, match="another config: data.path"):
        stage(tmp_path, data__path="there", **at).check(data().record)


def test_a_later_stage_notices_that_the_images_changed(tmp_path):
    stage(tmp_path).open(data().record)
    training = {"name": "training/x", "sections": ("data", "training")}
    stage(tmp_path, **training).open(data().record)
    with pytest.raises(UserError, match="search was made with other images"):
        stage(tmp_path, name="training/y", sections=("data", "training")).open(data(X + 1).record)
    assert not (tmp_path / "training" / "y").exists()
    # A training on another data set, or another draw of its test images, is somebody's intention.
    limit = {"data__limit_train": 20}
    stage(tmp_path, name="training/z", sections=("data", "training"), **limit).open(data(X + 1).record)
    stage(tmp_path, name="training/s", sections=("data", "training"), seed=7).open(data(X + 1).record)


def test_the_record_is_among_the_checksums_of_a_finished_stage(tmp_path):
    from tf_darts.workdir.records import finish

    folder = stage(tmp_path).open(data().record)
    finish(folder / "result.json", b"{}")
    record = dataclasses.replace(data().record, class_names=("a", "b"))
    record.write(folder)
    with pytest.raises(UserError, match=r"data\.json is damaged or was changed"):
        DataRecord.read(folder)
