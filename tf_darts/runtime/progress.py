"""A line that says how far long work has come and when it will end."""

import sys
import time


def duration(seconds: float) -> str:
    """As 0:42, 12:05 or 3:07:00."""
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Progress:
    """Progress of `total` units of work; on a terminal one line that renews itself, else plain lines.

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
        self._terminal = sys.stderr.isatty()
        self._open_line = False

    def update(self, done: int, text: str = "") -> None:
        """Says that `done` units are finished; prints if enough time has passed or all is done."""
        now = time.monotonic()
        if self._paced is None and done > self._begun:
            self._paced = (done, now)
        pause = self.TERMINAL_SECONDS if self._terminal else self.PLAIN_SECONDS
        if now - self._shown < pause and done < self._total:
            return
        self._shown = now
        first, started = self._paced or (done, now)
        left = duration((now - started) / (done - first) * (self._total - done)) if done > first else "?"
        line = f"{self._name}: {done}/{self._total} ({100 * done // self._total} %), ETA {left}"
        line += f", {text}" if text else ""
        if self._terminal:
            sys.stderr.write(f"\r\x1b[2K{line}")
            self._open_line = True
            if done >= self._total:
                self.close()
        else:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def say(self, text: str) -> None:
        """Prints a line of its own."""
        self.close()
        print(text, flush=True)

    def close(self) -> None:
        """Ends an open line."""
        if self._open_line:
            sys.stderr.write("\n")
            sys.stderr.flush()
            self._open_line = False
