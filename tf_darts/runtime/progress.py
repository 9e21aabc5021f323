"""How far long work has come, when it will end, and what it has found so far.

On a terminal a display of a few lines that renews itself; else plain lines, seldom; with `be_quiet` nothing.
"""

import atexit
import sys
import time

_quiet = False


def be_quiet(quiet: bool = True) -> None:
    """Whether all progress of this process is kept back; results and errors are not."""
    global _quiet
    _quiet = quiet


def duration(seconds: float) -> str:
    """As 0:42, 12:05 or 3:07:00."""
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
        self._begun, self._paced = done, None
        self._shown = float("-inf")
        self._facts: dict[str, str] = {}
        self._display = _display()

    def note(self, name: str, value: str) -> None:
        """A line for the display, until another of the same name: the last decision, say."""
        self._facts[name] = value

    def update(self, done: int, text: str = "") -> None:
        """Says that `done` units are finished; prints if enough time has passed or all is done."""
        now = time.monotonic()
        if self._paced is None and done > self._begun:
            self._paced = (done, now)
        pause = self.PLAIN_SECONDS if self._display is None else self.TERMINAL_SECONDS
        if _quiet or (now - self._shown < pause and done < self._total):
            return
        self._shown = now
        first, started = self._paced or (done, now)
        left = duration((now - started) / (done - first) * (self._total - done)) if done > first else "?"
        count = f"{done}/{self._total} ({100 * done // self._total} %)"
        if self._display is not None and done < self._total:
            self._display.show(self._name, done, self._total, f"{count}, ETA {left}", text, self._facts)
            return
        self.close()
        line = f"{self._name}: {count}, ETA {left}"
        sys.stderr.write(f"{line}, {text}\n" if text else f"{line}\n")
        sys.stderr.flush()

    def say(self, text: str) -> None:
        """Prints a line of its own."""
        if not _quiet:
            self.close()
            print(text, flush=True)

    def close(self) -> None:
        """Takes the display away; the next update brings it back."""
        if self._display is not None:
            self._display.stop()


def _display() -> "_Display | None":
    """The display, or None where standard error is no terminal that can renew lines."""
    if _quiet or not sys.stderr.isatty():
        return None
    display = _Display()
    return display if display.console.is_interactive else None


class _Display:
    """Lines at the end of a terminal that renew themselves; what else is printed goes above them."""

    def __init__(self):
        from rich.console import Console  # only where there is a terminal: it takes time to import

        self.console = Console(file=sys.stderr, highlight=False)
        self._live = None

    def show(self, name: str, done: int, total: int, count: str, text: str, facts: dict[str, str]) -> None:
        """Shows a bar with the count beside it, the text below, and the facts below that."""
        from rich.console import Group
        from rich.live import Live
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        head = Table.grid(padding=(0, 1))
        head.add_row(Text(name, style="bold"), ProgressBar(total, done, width=24), Text(count))
        below = Table.grid(padding=(0, 1))
        below.add_column(no_wrap=True)
        below.add_column(overflow="fold")
        if text:
            below.add_row(Text("now", style="dim"), Text(text))
        for fact, value in facts.items():
            below.add_row(Text(fact, style="dim"), Text(value))
        lines = Group(head, below)
        if self._live is None:
            self._live = Live(lines, console=self.console, auto_refresh=False, transient=True)
            self._live.start()
            atexit.register(self.stop)  # it hides the cursor
        self._live.update(lines, refresh=True)

    def stop(self) -> None:
        """Takes the lines away."""
        if self._live is not None:
            self._live.stop()
            self._live = None
            atexit.unregister(self.stop)
