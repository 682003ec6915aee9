"""Headless Chromium, driven over its debugging pipe: no driver program and no further Python package is needed."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
MISSING = "the page is tested in a browser: apt-get install chromium"

START = """
import os, sys
read, write = (os.dup2(int(number), place) for number, place in zip(sys.argv[1:3], (30, 31)))
os.dup2(read, 3)
os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One browser; ``page`` opens a tab of a given size."""

    def __init__(self) -> None:
        assert CHROMIUM, MISSING
        self._folder = tempfile.mkdtemp(prefix="page-test-")
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        flags = ["--headless", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-dev-shm-usage"]
        flags += ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [CHROMIUM, *flags, f"--user-data-dir={self._folder}", "about:blank"]
        # The browser reads its orders from descriptor 3 and answers on 4.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", START, str(to_browser), str(from_browser), *command],
            pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, limit: float = 30.0, **params: Any) -> dict[str, Any]:
        """One order and its answer; events that come meanwhile are kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + limit
        while True:
            answer = self._next(until)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self.events.append(answer)

    def wait_for(self, method: str, session: str, limit: float = 30.0) -> None:
        """Wait for an event of a tab."""
        until = time.monotonic() + limit
        while not any(item.get("method") == method and item.get("sessionId") == session for item in self.events):
            self.events.append(self._next(until))

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._in], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError("the browser did not answer in time")
            piece = os.read(self._in, 1 << 20)
            if not piece:
                raise RuntimeError("the browser ended")
            self._buffer += piece
        message, self._buffer = self._buffer.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found

    def page(self, path: Path, width: int, height: int = 900, *, scheme: str = "light", media: str = "", scripts: bool = True) -> Page:
        """A file in a new tab of that size."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Page(self, session, target)
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable", session)
        self.call("Emulation.setDeviceMetricsOverride", session, width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", session, media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])
        tab.open(path)
        return tab

    def close(self) -> None:
        """End the browser and everything that it started."""
        os.close(self._out)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._in)
        shutil.rmtree(self._folder, ignore_errors=True)


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self.browser, self.session, self.target = browser, session, target
        self.seconds = 0.0
        """Until the page stood, by the clock."""
        self.work = 0.0
        """What its main thread worked for that, in seconds: other work on the machine does not count."""

    def open(self, path: Path) -> None:
        """Load a file and note how long it took until it stood."""
        self.browser.call("Performance.enable", self.session, timeDomain="threadTicks")
        begun = time.monotonic()
        self.browser.call("Page.navigate", self.session, url=path.as_uri())
        self.browser.wait_for("Page.loadEventFired", self.session)
        self.js("document.body.getBoundingClientRect().height")
        self.seconds = time.monotonic() - begun
        metrics = self.browser.call("Performance.getMetrics", self.session)["metrics"]
        self.work = next(item["value"] for item in metrics if item["name"] == "TaskDuration")

    def js(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self.browser.call("Runtime.evaluate", self.session, expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def key(self, name: str, code: int) -> None:
        """Press a key."""
        for kind in ("rawKeyDown", "keyUp"):
            self.browser.call("Input.dispatchKeyEvent", self.session, type=kind, key=name, code=name, windowsVirtualKeyCode=code)
        if name == "Enter":
            self.browser.call("Input.dispatchKeyEvent", self.session, type="char", text="\r")

    def screenshot(self, path: Path, whole: bool = True) -> None:
        """A picture of the whole page."""
        answer = self.browser.call("Page.captureScreenshot", self.session, format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self) -> bytes:
        """The page on paper."""
        return base64.b64decode(self.browser.call("Page.printToPDF", self.session, printBackground=True, preferCSSPageSize=True)["data"])

    def requests(self) -> list[str]:
        """Every address that the page asked for."""
        return [
            item["params"]["request"]["url"]
            for item in self.browser.events
            if item.get("method") == "Network.requestWillBeSent" and item.get("sessionId") == self.session
        ]

    def close(self) -> None:
        """Close the tab."""
        self.browser.call("Target.closeTarget", targetId=self.target)
