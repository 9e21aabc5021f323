"""TensorBoard events: what a run that is continued leaves."""

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from tf_darts.workdir import events
from tf_darts.workdir.events import Events


def scalars(folder):
    """(tag, step, value) of all scalars, in the file's order."""
    return [
        (v.tag, event.step, float(tensor_util.make_ndarray(v.tensor)))
        for event in events.read(folder)
        for v in event.summary.value
    ]


def write(folder, values, keep=lambda tag, step: False):
    made = Events(folder, keep)
    for tag, step, value in values:
        made.scalar(tag, value, step)
    made.close()


def test_what_came_after_the_checkpoint_is_written_once(tmp_path):
    write(tmp_path, [("a", 1, 0.5), ("b", 1, 2.0), ("a", 2, 0.25), ("a", 3, 9.0)])
    write(tmp_path, [("a", 3, 0.125), ("a", 4, 0.0625)], keep=lambda tag, step: step <= 2)
    expected = [("a", 1, 0.5), ("b", 1, 2.0), ("a", 2, 0.25), ("a", 3, 0.125), ("a", 4, 0.0625)]
    assert scalars(tmp_path) == expected
    read = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    read.Reload()  # TensorBoard's own reader
    assert [e.step for e in read.Tensors("a")] == [1, 2, 3, 4]


def test_what_is_kept_is_not_written_again(tmp_path):
    write(tmp_path, [("a", 1, 0.5), ("a", 2, 0.25)])
    write(tmp_path, [("a", 2, 7.0), ("a", 2, 8.0), ("b", 2, 1.0), ("b", 2, 3.0)], keep=lambda tag, step: True)
    assert scalars(tmp_path) == [("a", 1, 0.5), ("a", 2, 0.25), ("b", 2, 1.0)]


def test_groups_may_be_kept_by_another_count(tmp_path):
    write(tmp_path, [("steps/a", 9, 1.0), ("decisions/a", 1, 2.0), ("decisions/a", 2, 3.0)])
    write(tmp_path, [], keep=lambda tag, step: step <= {"steps": 9, "decisions": 1}[tag.split("/")[0]])
    assert scalars(tmp_path) == [("steps/a", 9, 1.0), ("decisions/a", 1, 2.0)]


def test_a_file_that_was_cut_off_keeps_what_is_whole(tmp_path):
    write(tmp_path, [("a", 1, 0.5), ("a", 2, 0.25)])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    write(tmp_path, [("a", 2, 0.25), ("a", 3, 1.0)], keep=lambda tag, step: True)
    assert scalars(tmp_path) == [("a", 1, 0.5), ("a", 2, 0.25), ("a", 3, 1.0)]


def test_files_of_one_second_are_read_in_the_order_in_which_they_were_made(tmp_path):
    for number in (9, 10):
        write(tmp_path / "made", [("a", number, 0.5)])
        (path,) = (tmp_path / "made").iterdir()
        path.rename(tmp_path / f"events.out.tfevents.1790000000.host.7.{number}")
    assert scalars(tmp_path) == [("a", 9, 0.5), ("a", 10, 0.5)]
    write(tmp_path, [("a", 11, 0.5)], keep=lambda tag, step: True)
    assert [step for _, step, _ in scalars(tmp_path)] == [9, 10, 11]


def test_nothing_kept_leaves_nothing_of_before(tmp_path):
    write(tmp_path, [("a", 1, 0.5)])
    (tmp_path / "deeper").mkdir()
    write(tmp_path / "deeper", [("a", 1, 0.5)])
    write(tmp_path, [("b", 1, 0.5)])
    assert scalars(tmp_path) == [("b", 1, 0.5)]
    assert scalars(tmp_path / "deeper") == [("a", 1, 0.5)]  # another folder's are its own


@pytest.mark.parametrize("sides", [(3, 2), (700, 300)])
def test_pictures_have_their_sides_and_bytes(tmp_path, sides):
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", sides, "red").save(file, "png")
    made = Events(tmp_path)
    made.image("picture", file.getvalue(), 3)
    made.close()
    (event,) = events.read(tmp_path)
    width, height, png = tensor_util.make_ndarray(event.summary.value[0].tensor)
    assert (int(width), int(height), png) == (*sides, file.getvalue())
    assert event.summary.value[0].metadata.plugin_data.plugin_name == "images"


def test_histograms_count_every_number(tmp_path):
    made = Events(tmp_path)
    made.histogram("h", np.float32([0.0, 0.5, 0.5, 1.0]), 1)
    made.close()
    (event,) = events.read(tmp_path)
    buckets = tensor_util.make_ndarray(event.summary.value[0].tensor)
    assert buckets[:, 2].sum() == 4 and buckets[0, 0] == 0.0 and buckets[-1, 1] == 1.0
