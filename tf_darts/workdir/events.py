"""TensorBoard events of one folder, which a run that is continued leaves as if it had never been interrupted.

Events are written as protocol buffers from NumPy values: no TensorFlow operation runs, no random number is
drawn. A run that goes on from a checkpoint first takes out of the folder's files what came after it.
TensorBoard's own purge, a record of a restart and its step, would not do: the reader that it usually takes
passes over that record, and the other one compares all with one step, though some events are numbered by
decisions, and shows twice what is of step 0.
"""

import io
import pathlib
import time
from collections.abc import Callable, Iterator

import numpy as np
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

from tf_darts.workdir.files import write_atomically

_BUCKETS = 30
_FLUSH_SECONDS = 10


class Events:
    """Writes events, each pair of tag and step once.

    Args:
      folder: where the event file goes.
      keep: called with tag and step of each event that is there; those that it refuses are taken out.
    """

    def __init__(self, folder: pathlib.Path, keep: Callable[[str, int], bool] = lambda tag, step: False):
        self._written = _take_out(folder, keep)
        self._writer = EventFileWriter(str(folder), flush_secs=_FLUSH_SECONDS)

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Write a number."""
        self._add(tag, step, lambda: scalar_pb(tag, value))

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """Write the distribution of some numbers."""
        self._add(tag, step, lambda: histogram_pb(tag, values, buckets=_BUCKETS))

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """Write a text panel."""
        self._add(tag, step, lambda: text_pb(tag, markdown))

    def image(self, tag: str, png: bytes, step: int) -> None:
        """Write a picture, from the bytes of a PNG file."""
        self._add(tag, step, lambda: _image_pb(tag, png))

    def summary(self, summary: Summary, step: int = 0) -> None:
        """Write what a plugin of TensorBoard has made, with one value."""
        self._add(summary.value[0].tag, step, lambda: summary)

    def flush(self) -> None:
        """Put the events so far into the file before this returns."""
        self._writer.flush()

    def close(self) -> None:
        """Flush, and end the file."""
        self._writer.close()

    def _add(self, tag: str, step: int, make: Callable[[], Summary]) -> None:
        if (tag, step) in self._written:
            return
        self._written.add((tag, step))
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=make()))


def read(folder: pathlib.Path) -> Iterator[Event]:
    """Yield the events with a summary of a folder's own files, in their order; a broken end is left out."""
    for path in _files(folder):
        for serialized in RawEventFileLoader(str(path)).Load():
            event = Event.FromString(serialized)
            if event.HasField("summary"):
                yield event


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return event files in TensorBoard's order; not those that a profiler leaves, which are empty."""
    return sorted(p for p in folder.glob("events.out.tfevents.*") if not p.name.endswith("profile-empty"))


def _take_out(folder: pathlib.Path, keep: Callable[[str, int], bool]) -> set[tuple[str, int]]:
    """Leave the events that may stay, in one file; return their tags and steps."""
    before, kept = _files(folder), {}
    if not before:
        return set()
    for event in read(folder):
        for value in event.summary.value:
            if keep(value.tag, event.step):
                kept[value.tag, event.step] = event
    now, file = time.time(), io.BytesIO()
    records = RecordWriter(file)
    version = Event(wall_time=now, file_version="brain.Event:2")
    # For a TensorBoard that is open: at the second start that it meets it drops what it has read before.
    start = Event(wall_time=now, step=0, session_log=SessionLog(status=SessionLog.START))
    once = {id(event): event for event in kept.values()}.values()  # one may hold several values
    for event in (version, start, start, *sorted(once, key=lambda event: event.step)):
        records.write(event.SerializeToString())
    # The name comes before that of the file that is written next, which has the second and then the host.
    merged = folder / f"events.out.tfevents.{int(now):010}..kept"
    write_atomically(merged, file.getvalue())
    for path in before:
        if path != merged:
            path.unlink()
    return set(kept)


def _image_pb(tag: str, png: bytes) -> Summary:
    # A PNG file begins with a signature of 8 bytes and the header's length and name; then its sides.
    width, height = (str(int.from_bytes(png[i : i + 4], "big")).encode() for i in (16, 20))
    summary = Summary()
    summary.value.add(
        tag=tag,
        metadata=image_metadata.create_summary_metadata(display_name=None, description=None),
        tensor=make_tensor_proto([width, height, png], dtype=np.object_),
    )
    return summary
