"""What a person sees while it runs."""

import io
import os
import re
import subprocess
import sys

import pytest

from tests.forking import ROOT
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


@pytest.fixture
def on_terminal(monkeypatch):
    """Makes standard error a terminal, when it is called: pytest sets it anew before each test's call."""

    def make():
        made = Terminal()
        monkeypatch.setattr(progress_lib.sys, "stderr", made)
        return made

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    yield make
    progress_lib.be_quiet(False)


def lines_of(terminal):
    """What the terminal was last sent, without the codes that move and colour."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    terminal.truncate(0)
    terminal.seek(0)
    return [line.rstrip() for line in text.replace("\r", "").splitlines() if line.strip()]


def test_on_a_terminal_the_display_renews_itself(clock, on_terminal, capsys):
    terminal = on_terminal()
    progress = Progress("search", 4)
    progress.update(1, "a")
    first = lines_of(terminal)
    assert first[0].startswith("search ") and first[0].endswith(" 1/4 (25 %), ETA ?")
    assert first[1:] == ["now a"]
    clock.now += 0.1
    progress.update(2, "too soon")
    assert lines_of(terminal) == []
    progress.note("genotype so far", "|none~0|")
    clock.now += 0.3
    progress.update(3, "b")
    second = lines_of(terminal)
    assert second[0].endswith(" 3/4 (75 %), ETA 0:00")
    assert [line.split(maxsplit=1) for line in second[1:]] == [["now", "b"], ["genotype", "so far |none~0|"]]


def screen_of(terminal):
    """What a person sees: the lines, after all movements of the cursor and erasures."""
    lines, row = [""], 0
    for code in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|.", terminal.getvalue(), re.DOTALL):
        if code == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif code == "\x1b[1A":
            row -= 1
        elif code == "\x1b[2K":
            lines[row] = ""
        elif not code.startswith("\x1b") and code != "\r":  # colours; columns do not matter after an erasure
            lines[row] += code
    return [line.rstrip() for line in lines if line.strip()]


def test_lines_of_their_own_stand_above_the_display(clock, on_terminal, monkeypatch):
    terminal = on_terminal()
    monkeypatch.setattr(progress_lib.sys, "stdout", terminal)
    progress = Progress("search", 4)
    progress.note("last decision", "3<-0: skip_connect")
    progress.update(1, "a")
    progress.say("decided once")
    clock.now += 1
    progress.update(2, "b")
    print("another's line")
    progress.say("decided twice")
    clock.now += 1
    progress.update(3, "c")
    said, (bar, *below) = screen_of(terminal)[:3], screen_of(terminal)[3:]
    assert said == ["decided once", "another's line", "decided twice"]
    assert bar.startswith("search ") and bar.endswith(" 3/4 (75 %), ETA 0:01")
    assert below == ["now           c", "last decision 3<-0: skip_connect"]
    clock.now += 1
    progress.update(4, "d")
    assert screen_of(terminal) == [*said, "search: 4/4 (100 %), ETA 0:00, d"]  # what stays


def test_what_others_print_goes_where_standard_output_goes(clock, on_terminal, capsys):
    terminal = on_terminal()
    progress = Progress("search", 4)
    progress.update(1, "a")
    print("to a file")
    progress.close()
    assert capsys.readouterr().out == "to a file\n" and "file" not in terminal.getvalue()


def test_a_name_is_shown_as_it_is(clock, on_terminal):
    terminal = on_terminal()
    Progress("train [bold]", 4).update(1, "[/]")
    assert screen_of(terminal)[0].startswith("train [bold] ") and screen_of(terminal)[1] == "now [/]"


def test_the_cursor_comes_back_even_if_nothing_is_closed(clock, on_terminal, monkeypatch):
    at_exit = []  # not the interpreter's own list: running that takes much else of the process down
    monkeypatch.setattr(progress_lib.atexit, "register", at_exit.append)
    terminal = on_terminal()
    progress = Progress("search", 4)
    progress.update(1)
    shown = terminal.getvalue()
    assert shown.rindex("\x1b[?25l") >= 0 and "\x1b[?25h" not in shown
    (end,) = at_exit
    end()
    assert "\x1b[?25h" in terminal.getvalue()
    progress.close()


def test_closing_twice_writes_one_end(clock, on_terminal):
    terminal = on_terminal()
    progress = Progress("search", 4)
    progress.close()
    assert terminal.getvalue() == ""
    progress.update(1)
    progress.close()
    progress.close()
    assert terminal.getvalue().count("\x1b[?25h") == 1


def test_a_terminal_that_cannot_renew_lines_gets_plain_ones(clock, on_terminal, monkeypatch):
    terminal = on_terminal()
    monkeypatch.setenv("TERM", "dumb")
    progress = Progress("search", 4)
    progress.note("genotype so far", "|none~0|")
    progress.update(1, "a")
    assert terminal.getvalue() == "search: 1/4 (25 %), ETA ?, a\n"


def test_without_a_terminal_rich_is_not_imported():
    program = """
import sys
from tf_darts.runtime.progress import Progress
Progress("search", 4).update(1)
assert "rich" not in sys.modules
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stderr == "search: 1/4 (25 %), ETA ?\n"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_quiet_says_nothing(clock, on_terminal, capsys, monkeypatch, is_terminal):
    terminal = on_terminal()
    monkeypatch.setattr(Terminal, "isatty", lambda self: is_terminal)
    progress_lib.be_quiet()
    progress = Progress("search", 4)
    progress.update(1, "a")
    progress.say("decided")
    clock.now += 100
    progress.update(4, "b")
    progress.close()
    assert terminal.getvalue() == "" and capsys.readouterr().out == ""
