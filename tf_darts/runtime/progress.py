"""How far long work has come, when it will end, and what it has found so far.

On a terminal rich's progress display, with facts below it; else plain lines, seldom; with `be_quiet` nothing.
"""

import atexit
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rich.progress
    from rich.console import RenderableType

_quiet = False


def be_quiet(quiet: bool = True) -> None:
    """Keep back all progress of this process, or no longer; results and errors are said anyhow."""
    global _quiet
    _quiet = quiet


def tell(text: str) -> None:
    """Print a fact about what is going on to standard error, unless the process is quiet."""
    if not _quiet:
        print(text, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Return seconds as 0:42, 12:05 or 3:07:00."""
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Progress:
    """Progress of `total` units of work.

    Args:
      name: what is going on.
      total: units in all.
      done: units finished by an earlier run.
    """

    TERMINAL_SECONDS, PLAIN_SECONDS = 0.2, 20.0

    def __init__(self, name: str, total: int, done: int = 0):
        self._name, self._total = name, total
        # The pace is measured from the first update on: what comes before it includes compiling.
        self._begun = done
        self._paced: tuple[int, float] | None = None
        self._shown = float("-inf")
        self._facts: dict[str, str] = {}
        self._display = _display(name, total)

    def note(self, name: str, value: str) -> None:
        """Set a line of the display, until another of the same name: the last decision, say."""
        self._facts[name] = value

    def update(self, done: int, text: str = "") -> None:
        """Say that `done` units are finished; prints if enough time has passed or all is done."""
        now = time.monotonic()
        if self._paced is None and done > self._begun:
            self._paced = (done, now)
        pause = self.PLAIN_SECONDS if self._display is None else self.TERMINAL_SECONDS
        if _quiet or (now - self._shown < pause and done < self._total):
            return
        self._shown = now
        first, started = self._paced or (done, now)
        left = duration((now - started) / (done - first) * (self._total - done)) if done > first else "?"
        count = f"{done}/{self._total} ({100 * done // self._total} %), ETA {left}"
        if self._display is not None and done < self._total:
            if not self._display.live.is_started:
                self._display.live.start()
                atexit.register(self.close)  # it hides the cursor
            facts = ({"now": text} if text else {}) | self._facts
            (task,) = self._display.task_ids
            self._display.update(task, completed=done, count=count, facts=facts, refresh=True)
            return
        self.close()
        line = f"{self._name}: {count}"
        sys.stderr.write(f"{line}, {text}\n" if text else f"{line}\n")
        sys.stderr.flush()

    def say(self, text: str) -> None:
        """Print a line of its own."""
        if not _quiet:
            self.close()
            print(text, flush=True)

    def close(self) -> None:
        """Take the display away; the next update brings it back."""
        if self._display is not None and self._display.live.is_started:
            self._display.stop()
            atexit.unregister(self.close)
            self._display = _display(self._name, self._total)  # rich's erases lines above it if restarted


def _display(name: str, total: int) -> "rich.progress.Progress | None":
    """Return rich's display, or None where standard error is no terminal that can renew lines."""
    if _quiet or not sys.stderr.isatty():
        return None
    from rich.console import Console  # only where there is a terminal: it takes time to import
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column, Table
    from rich.text import Text

    class Display(Progress):
        """The bar, with the count beside it, and the facts below."""

        def get_renderables(self) -> Iterator["RenderableType"]:
            yield from super().get_renderables()
            for task in self.tasks:
                facts = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 1))
                for name, value in task.fields["facts"].items():
                    facts.add_row(Text(name, style="dim"), Text(value))
                yield facts

    display = Display(
        TextColumn("{task.description}", style="bold", markup=False),
        BarColumn(24),
        TextColumn("{task.fields[count]}", markup=False),
        console=Console(file=sys.stderr, highlight=False),
        auto_refresh=False,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # else what is printed would not go where standard output does
    )
    display.add_task(name, total=total)
    return display if display.console.is_interactive else None
