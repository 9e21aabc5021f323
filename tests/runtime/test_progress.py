"""What a person sees while it runs."""

import io
import re

import pytest

from tf_darts.runtime import progress as progress_lib
from tf_darts.runtime.progress import Progress, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (0.4, "0:00"), (42, "0:42"), (59.6, "1:00"), (725, "12:05"), (11220, "3:07:00")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


class Clock:
    """A clock that is set by hand."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(progress_lib.time, "monotonic", lambda: self.now)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_plain_lines_come_seldom_and_say_when_it_ends(clock, capsys):
    progress, lines = Progress("search", 100), []
    for done in range(10, 101, 10):
        clock.now += 5
        progress.update(done, f"loss {done}")
        lines.append(capsys.readouterr().err)
    # Every 20 seconds, and at the end. The pace is taken from the first ten units on: 2 a second.
    assert lines == [
        "search: 10/100 (10 %), ETA ?, loss 10\n",
        "", "", "",
        "search: 50/100 (50 %), ETA 0:25, loss 50\n",
        "", "", "",
        "search: 90/100 (90 %), ETA 0:05, loss 90\n",
        "search: 100/100 (100 %), ETA 0:00, loss 100\n",
    ]  # fmt: skip


def test_what_an_earlier_run_did_does_not_count_for_the_pace(clock, capsys):
    progress = Progress("train", 1000, done=900)
    clock.now += 100  # compiling
    progress.update(901)
    clock.now += 30
    progress.update(911)
    assert capsys.readouterr().err.splitlines()[-1] == "train: 911/1000 (91 %), ETA 4:27"


def test_on_a_terminal_one_line_renews_itself(clock, monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(progress_lib.sys, "stderr", terminal)
    progress = Progress("search", 4)
    progress.update(1, "a")
    clock.now += 0.1
    progress.update(2, "too soon")
    clock.now += 0.3
    progress.update(3, "b")
    progress.say("decided")
    clock.now += 1
    progress.update(4, "c")
    assert capsys.readouterr().out == "decided\n"
    written = re.sub(r", ETA [^,]*", "", terminal.getvalue())
    assert written == (
        "\r\x1b[2Ksearch: 1/4 (25 %), a"
        "\r\x1b[2Ksearch: 3/4 (75 %), b\n"
        "\r\x1b[2Ksearch: 4/4 (100 %), c\n"
    )  # fmt: skip


def test_closing_twice_writes_one_end(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(progress_lib.sys, "stderr", terminal)
    progress = Progress("search", 4)
    progress.close()
    assert terminal.getvalue() == ""
    progress.update(1)
    progress.close()
    progress.close()
    assert terminal.getvalue().count("\n") == 1
