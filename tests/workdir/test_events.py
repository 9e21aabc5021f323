"""TensorBoard events: what a run that is continued leaves."""

import time

import numpy as np
import pytest
from tensorboard import context
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.data import server_ingester
from tensorboard.util import grpc_util, tensor_util

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
    assert slow(tmp_path) == {"a": [1, 2, 3, 4], "b": [1]}


def test_what_is_kept_is_not_written_again(tmp_path):
    write(tmp_path, [("a", 1, 0.5), ("a", 2, 0.25)])
    write(tmp_path, [("a", 2, 7.0), ("a", 2, 8.0), ("b", 2, 1.0), ("b", 2, 3.0)], keep=lambda tag, step: True)
    assert scalars(tmp_path) == [("a", 1, 0.5), ("a", 2, 0.25), ("b", 2, 1.0)]


def test_groups_may_be_kept_by_another_count(tmp_path):
    write(tmp_path, [("steps/a", 9, 1.0), ("decisions/a", 1, 2.0), ("decisions/a", 2, 3.0)])
    write(tmp_path, [], keep=lambda tag, step: step <= {"steps": 9, "decisions": 1}[tag.split("/")[0]])
    assert scalars(tmp_path) == [("decisions/a", 1, 2.0), ("steps/a", 9, 1.0)]


def test_a_file_that_was_cut_off_keeps_what_is_whole(tmp_path):
    write(tmp_path, [("a", 1, 0.5), ("a", 2, 0.25)])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    write(tmp_path, [("a", 2, 0.25), ("a", 3, 1.0)], keep=lambda tag, step: True)
    assert scalars(tmp_path) == [("a", 1, 0.5), ("a", 2, 0.25), ("a", 3, 1.0)]


def test_the_order_of_files_is_not_that_of_steps(tmp_path):
    for number in (9, 10):  # as a version before had them in one second: by name the tenth is the first
        write(tmp_path / "made", [("a", number, 0.5)])
        (path,) = (tmp_path / "made").iterdir()
        path.rename(tmp_path / f"events.out.tfevents.1790000000.host.7.{number}")
    write(tmp_path, [("a", 11, 0.5)], keep=lambda tag, step: True)
    assert [step for _, step, _ in scalars(tmp_path)] == [9, 10, 11]


def accumulator(folder):
    """TensorBoard's slower reader, which it takes with --load_fast=false and where it has no other."""
    return EventAccumulator(str(folder), size_guidance={"tensors": 0})


def slow(folder):
    """Steps by tag, as the slower reader has them."""
    read = accumulator(folder)
    read.Reload()
    return {tag: [event.step for event in read.Tensors(tag)] for tag in read.Tags()["tensors"]}


def fast(folder):
    """Steps by tag of the scalars, as TensorBoard's usual reader has them."""
    try:
        binary = server_ingester.get_server_binary()
    except server_ingester.NoDataServerError:
        pytest.skip("no fast reader for this machine")
    local = grpc_util.ChannelCredsType.LOCAL
    reader = server_ingester.SubprocessServerDataIngester(
        binary, str(folder), reload_interval=0, channel_creds_type=local
    )
    reader.start()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = reader.data_provider.read_scalars(
            context.RequestContext(), experiment_id="", plugin_name="scalars", downsample=1000
        )
        if found:
            return {tag: [point.step for point in points] for tag, points in found["."].items()}
        time.sleep(0.1)
    raise AssertionError("it reads nothing")


STEPS, DECISIONS = "selection/loss", "selection_decisions/lead"


def write_and_stop(folder):
    """Checkpoints at step 20 and the first decision, at step 40 and the second, and events after each."""
    write(folder, [(DECISIONS, 1, 1.0), *((STEPS, step, 1.0) for step in (10, 20, 25)), (DECISIONS, 2, 1.0)])
    first = {STEPS: 20, DECISIONS: 1}
    more = [(STEPS, step, 2.0) for step in (30, 40, 45)]
    write(folder, [*more, (DECISIONS, 2, 2.0), (DECISIONS, 3, 2.0)], lambda tag, step: step <= first[tag])
    return {STEPS: 40, DECISIONS: 2}


@pytest.mark.parametrize("reader", [fast, slow])
@pytest.mark.parametrize("clock", [0.0, -86400.0])
def test_tensorboard_shows_a_run_that_was_stopped_as_one_that_was_not(tmp_path, monkeypatch, reader, clock):
    done = write_and_stop(tmp_path)
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now + clock)
        # What is kept decides, not what is written again: calls may have another number of steps now.
        write(tmp_path, [(STEPS, 47, 3.0), (DECISIONS, 3, 3.0)], lambda tag, step: step <= done[tag])
    assert reader(tmp_path) == {STEPS: [10, 20, 30, 40, 47], DECISIONS: [1, 2, 3]}


def test_a_tensorboard_that_is_open_shows_it_so_too(tmp_path):
    read = accumulator(tmp_path)
    made = Events(tmp_path)
    for step in (10, 20):
        made.scalar(STEPS, 1.0, step)
    made.flush()
    read.Reload()
    for kept in (10, 20):
        time.sleep(1.1)  # names of files have the second
        made.close()
        made = Events(tmp_path, lambda tag, step, kept=kept: step <= kept)
        made.scalar(STEPS, 2.0, kept + 10)
        made.scalar(STEPS, 2.0, kept + 15)
        made.flush()
        read.Reload()
        assert [event.step for event in read.Tensors(STEPS)] == [*range(10, kept + 11, 10), kept + 15]
    made.close()


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
