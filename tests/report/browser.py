"""A headless Chromium that is started once and opens many pages, driven through its own debugging pipe."""

import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time
from typing import Any

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-extensions", "--no-first-run")
_SECONDS = 240.0
# What the page itself says, whatever the level: a page of ours says nothing.
_SAID = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")


class Browser:
    """Commands go in as JSON, ended by a zero byte; answers and events come out in the same way."""

    def __init__(self):
        self._profile = tempfile.TemporaryDirectory()
        inside, self._commands = os.pipe()
        self._answers, outside = os.pipe()
        # The browser reads from descriptor 3 and writes to 4.
        shell = f'exec "$0" "$@" 3<&{inside} 4>&{outside}'
        self._process = subprocess.Popen(
            [
                *("bash", "-c", shell, CHROMIUM, *_FLAGS),
                *("--remote-debugging-pipe", f"--user-data-dir={self._profile.name}", "about:blank"),
            ],
            pass_fds=(inside, outside),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(inside)
        os.close(outside)
        self._buffer, self._number, self._session, self._loaded = b"", 0, None, False
        self.console: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def open(self, address: str, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        """Open a page and wait until it is loaded; `console` is then what it said meanwhile.

        Args:
          address: its URL.
          width: of the window, pixels.
          height: of the window, pixels.
          dark: whether the reader's system is.
        """
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self.console = []
        self._loaded = False
        answer = self._call("Page.navigate", url=address)
        while not self._loaded and "loaderId" in answer:  # without: another place in the page that is there
            self._read()

    def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression in the page, after what it promises."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, script: str, seconds: float = 60.0) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < until, f"not true after {seconds} s: {script}"
            time.sleep(0.5)

    def picture(self, path: pathlib.Path, whole: bool = False) -> None:
        """Write what is seen as a PNG file; with `whole` the page to its end."""
        answer = self._call("Page.captureScreenshot", captureBeyondViewport=whole, **self._clip(whole))
        path.write_bytes(base64.b64decode(answer["data"]))

    def _clip(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def printed(self, path: pathlib.Path) -> None:
        """Write the page as it is printed, a PDF file of A4 pages."""
        answer = self._call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=False)
        path.write_bytes(base64.b64decode(answer["data"]))

    def close(self) -> None:
        """End the browser."""
        self._session = None
        self._call("Browser.close")
        self._process.wait(timeout=_SECONDS)
        os.close(self._commands)
        os.close(self._answers)
        self._profile.cleanup()

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while True:
            message = self._read()
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]

    def _read(self) -> dict[str, Any]:
        """Return the next message; remember what the page says and that it is loaded."""
        while b"\0" not in self._buffer:
            assert select.select([self._answers], [], [], _SECONDS)[0], "the browser does not answer"
            got = os.read(self._answers, 1 << 16)
            assert got, "the browser has ended"
            self._buffer += got
        text, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(text)
        if message.get("method") in _SAID:
            self.console.append(json.dumps(message["params"]))
        self._loaded |= message.get("method") == "Page.loadEventFired"
        return message
