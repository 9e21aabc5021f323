"""Image files as people have them: turned, of many kinds, in sub-folders, broken; in memory and streamed."""

import collections
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_darts import config as config_lib
from tf_darts.data import image_file, sources
from tf_darts.data.crop import Crop
from tf_darts.data.transform import Transform
from tf_darts.errors import UserError
from tf_darts.export import predicting

# Red, green, blue and white quarters; by EXIF's numbers, what is done to them so that the number undoes it.
SHOWN = np.zeros((16, 16, 3), np.uint8)
SHOWN[:8, :8, 0] = SHOWN[:8, 8:, 1] = SHOWN[8:, :8, 2] = 255
SHOWN[8:, 8:] = 255
STORED = {
    1: SHOWN,
    2: SHOWN[:, ::-1],
    3: SHOWN[::-1, ::-1],
    4: SHOWN[::-1],
    5: SHOWN.transpose(1, 0, 2),
    6: np.rot90(SHOWN),
    7: np.rot90(SHOWN, 2).transpose(1, 0, 2),
    8: np.rot90(SHOWN, -1),
}


def encoded(array, kind, orientation=None):
    out, exif = io.BytesIO(), Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    options = (
        {"quality": 95, "subsampling": 0} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    )
    Image.fromarray(np.ascontiguousarray(array)).save(out, kind, exif=exif, **options)
    return out.getvalue()


def settings(path, **fields):
    data = config_lib.default().data
    data.update({"source": "folder", "path": str(path), "image_size": 16, "test_fraction": 0.5, **fields})
    return data


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_reader_turns_an_image_as_its_orientation_says(tmp_path, kind):
    crop = Crop(16, 16)
    for orientation, stored in STORED.items():
        content = encoded(stored, kind, orientation)
        path = tmp_path / f"{orientation}.jpg"
        path.write_bytes(content)
        read = [
            image_file.decode(str(path), (16, 16, 3)),
            crop.test(tf.constant(content)).numpy(),
            predicting.Classifier(lambda images: images, (16, 16, 3), 1, 0, ()).classify([str(path)])[0],
            predicting.Classifier(lambda images: images, (16, 16, 3), 1, 16, ()).classify([str(path)])[0],
        ]
        for image in read:
            np.testing.assert_allclose(
                image[3::9, 3::9], SHOWN[3::9, 3::9], atol=12, err_msg=str(orientation)
            )


def test_training_crops_are_of_the_upright_image():
    wide = np.concatenate([np.full((60, 60, 3), 250, np.uint8), np.full((60, 60, 3), 5, np.uint8)], 1)
    upright, turned = encoded(wide, "JPEG"), encoded(np.rot90(wide), "JPEG", 6)
    for seed in range(5):
        crops = [Crop(8, 8).train(tf.constant(c), tf.constant([seed, 1])).numpy() for c in (upright, turned)]
        np.testing.assert_allclose(crops[0].astype(int), crops[1], atol=20)


def test_broken_metadata_is_no_reason_to_refuse_an_image(tmp_path):
    content = encoded(SHOWN, "JPEG", 6)
    at = content.index(b"Exif\0\0") + 6
    for damage in (b"XXXX", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff"):
        path = tmp_path / "a.jpg"
        path.write_bytes(content[:at] + damage + content[at + len(damage) :])
        assert image_file.decode(str(path), (16, 16, 3)).shape == (16, 16, 3)
        assert Crop(16, 16).test(tf.constant(path.read_bytes())).shape == (16, 16, 3)


@pytest.fixture
def classes(tmp_path):
    """A folder with two classes of four images, each of one shade, its number."""
    for c, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for i in range(4):
            Image.new("RGB", (16, 16), (10 * c + i,) * 3).save(tmp_path / name / f"{i}.png")
    return tmp_path


def shades_of(data):
    labels, images = np.concatenate([data.y_train, data.y_test]), np.concatenate([data.x_train, data.x_test])
    return sorted(zip(labels.tolist(), images[:, 8, 8, 0].tolist(), strict=True))


def test_images_in_sub_folders_and_of_every_kind_are_of_their_class(classes, capsys):
    place = classes / "dog" / "monday" / "early"
    place.mkdir(parents=True)
    kinds = {"webp": "WEBP", "bmp": "BMP", "gif": "GIF", "tif": "TIFF", "tiff": "TIFF", "jfif": "JPEG"}
    kinds |= {"jpe": "JPEG", "ppm": "PPM", "PNG": "PNG"}
    for k, (ending, kind) in enumerate(kinds.items()):
        (place / f"x.{ending}").write_bytes(encoded(np.full((16, 16, 3), 100 + k, np.uint8), kind))
    data = sources.load(settings(classes), 0)
    found = [shade for label, shade in shades_of(data) if label == 1]
    assert found[:4] == [10, 11, 12, 13] and len(found) == 4 + len(kinds)
    np.testing.assert_allclose(found[4:], np.arange(100, 100 + len(kinds)), atol=1)
    assert capsys.readouterr().err == ""  # nothing was left out
    stream = sources.load(settings(classes, stream=True, test_resize=16), 0)
    assert stream.train.size + stream.test.size == 8 + len(kinds)
    for part in stream.sets(config_lib.default().data, 0, Transform(stream.mean, stream.std), 0):
        for images, labels in part.batches("p", 0, 0, 4, augment=False):
            for image, label in zip(images.numpy(), labels.numpy(), strict=True):
                assert (image[8, 8, 0] >= 10) == label


def test_what_is_left_out_is_counted_and_named(classes, capsys):
    for name in ("a.heic", "b.heic", "notes.txt", "Makefile", ".hidden", "Thumbs.db"):
        (classes / "cat" / name).write_bytes(b"x")
    (classes / "readme.md").write_text("x")
    (classes / "__MACOSX" / "cat").mkdir(parents=True)
    (classes / "cat" / "again").symlink_to("../dog")
    data = sources.load(settings(classes), 0)
    assert len(shades_of(data)) == 8 and data.class_names == ("cat", "dog")
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "warning" in err
    for part in ("skipped: 6 (", "2 .heic", "1 .txt", "1 without an ending", "1 links", "1 beside the class"):
        assert part in err


def test_of_several_frames_the_first_is_read_and_it_is_said(classes, capsys):
    frames = [Image.new("RGB", (16, 16), (shade,) * 3) for shade in (200, 100)]
    frames[0].save(classes / "dog" / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save(classes / "dog" / "pages.tif", save_all=True, append_images=frames[1:])
    data = sources.load(settings(classes), 0)
    assert [s for _, s in shades_of(data)][-2:] == [200, 200]
    assert "2 images have several frames (dog/moving.gif, dog/pages.tif)" in "".join(
        capsys.readouterr().err.split("'")
    )


def test_parts_by_another_name_are_no_classes(tmp_path):
    for part in ("Train", "Test"):
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("RGB", (4, 4)).save(tmp_path / part / name / "a.png")
    with pytest.raises(UserError, match="Test, Train with folders in it is no class"):
        sources.load(settings(tmp_path), 0)
    (tmp_path / "Train").rename(tmp_path / "train")
    (tmp_path / "Test").rename(tmp_path / "val")
    with pytest.raises(UserError, match=r"has no folder test.*as data.test_split=val"):
        sources.load(settings(tmp_path), 0)


GOOD_JPEG = encoded(np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8), "JPEG")
GOOD_PNG = encoded(np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8), "PNG")
BROKEN = {
    "zero.jpg": (b"", "empty"),
    "page.png": (b"<html>404</html>", "no image, or of an unknown kind"),
    "half.jpg": (GOOD_JPEG[: len(GOOD_JPEG) // 2], ""),
    "half.png": (GOOD_PNG[: len(GOOD_PNG) // 2], ""),
    "flipped.png": (GOOD_PNG[:900] + bytes([GOOD_PNG[900] ^ 4]) + GOOD_PNG[901:], ""),
    "half.webp": (encoded(SHOWN, "WEBP")[:60], ""),
    "deep.png": (None, "more than 8 bits"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_file_is_named_with_its_fault_before_the_first_step(classes, name, stream):
    content, fault = BROKEN[name]
    path = classes / "dog" / name
    if content is None:
        Image.new("I;16", (4, 4), 40000).save(path)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError) as error:
        sources.load(settings(classes, stream=stream), 0)
    assert f"dog/{name} ({fault}" in str(error.value) and "\n" not in str(error.value)


def test_a_good_file_is_not_suspected(classes):
    (classes / "dog" / "tail.jpg").write_bytes(GOOD_JPEG + b"rubbish" * 50)
    (classes / "dog" / "named.png").write_bytes(GOOD_JPEG)
    (classes / "dog" / "cmyk.jpg").write_bytes(b"")
    Image.new("CMYK", (8, 8)).save(classes / "dog" / "cmyk.jpg")
    data = sources.load(settings(classes, stream=True), 0)
    for part in data.sets(config_lib.default().data, 0, Transform(data.mean, data.std), 0):
        for augment in (False, True):
            assert sum(len(x) for x, _ in part.batches("p", 0, 0, 4, augment)) == part.size


def test_a_long_look_at_files_says_how_long(classes, monkeypatch, capsys):
    from tf_darts.data import image_folder

    monkeypatch.setattr(image_folder, "SOON", -1.0)
    monkeypatch.setattr(image_file, "fault", lambda path: None)
    assert image_folder._faults(["a"] * 2500) == {}
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("data: looking at 2500 image files, ")


def test_counts_are_cut_where_they_are_many():
    many = collections.Counter({f".{k}": 1 for k in range(30)})
    assert image_file.count_text(many).startswith("30 (1 .0, ") and image_file.count_text(many).endswith(
        ", ...)"
    )


@pytest.mark.parametrize("fit", ["squeeze", "crop", "pad"])
def test_an_image_of_another_shape_is_fitted_as_asked(tmp_path, fit):
    """A wide image: a quarter of white at each end, the rest half dark and half light; 16x8 to 4x4."""
    pixels = np.full((8, 16, 3), 255, np.uint8)
    pixels[:, 4:8], pixels[:, 8:12] = 10, 200
    path = tmp_path / "wide.png"
    Image.fromarray(pixels).save(path)
    image = image_file.decode(str(path), (4, 4, 3), fit=fit)[..., 0].astype(int)
    if fit == "squeeze":  # all of it, and no row is another
        assert image[0, 0] > 200 < image[0, 3] and image[0, 1] < 80 < 150 < image[0, 2]
        assert (image == image[0]).all()
    elif fit == "crop":  # the middle alone
        assert (image[:, 0] < 60).all() and (image[:, 3] > 180).all() and (image == image[0]).all()
    else:  # bars above and below
        assert (image[[0, 3]] == 0).all() and image[1, 0] > 200 and image[1, 1] < 80


def test_fit_is_a_field_of_folders_in_memory(classes):
    wide = np.full((8, 16, 3), 255, np.uint8)
    wide[:, 4:12] = 0
    for name in ("cat", "dog"):
        for file in sorted((classes / name).iterdir()):
            Image.fromarray(wide).save(file)
    data = sources.load(settings(classes, fit="crop"), 0)
    assert data.x_train.max() < 100
    assert sources.load(settings(classes), 0).x_train.max() > 200
    config = config_lib.default()
    config.data = settings(classes, fit="crop", stream=True, crop_padding=0)
    with pytest.raises(UserError, match="data.fit is 'crop' with data.stream; allowed: 'squeeze'"):
        config_lib.validate(config)
