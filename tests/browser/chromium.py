"""A headless Chromium, driven by its DevTools protocol over two pipes: nothing else has to be installed."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
INSTALL = "make browser-tools"  # on Debian: apt-get install chromium
SECONDS = 30.0  # until something is given up that should have come
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--password-store=basic",
)
# The browser reads commands at descriptor 3 and writes answers at 4; a process of its own puts them there.
AT_3_AND_4 = (
    "import os, sys; r, w = map(int, sys.argv[1:3]); os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])"
)
KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), "ArrowDown": (40, ""), "ArrowUp": (38, "")}


def program() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """Commands with their answers, and events of pages by session."""

    def __init__(self, commands: BinaryIO, answers: BinaryIO) -> None:
        self._commands = commands
        self._answers = answers
        self._ids = count(1)
        self._waiting: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self.listeners: dict[str, Callable[[str, dict[str, Any]], None]] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, method: str, session: str = "", **parameters: Any) -> Any:
        id = next(self._ids)
        answer: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._waiting[id] = answer
        message = {"id": id, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        given = answer.get(timeout=SECONDS)
        if "error" in given:
            raise RuntimeError(f"{method}: {given['error']['message']}")
        return given["result"]

    def _listen(self) -> None:
        held = b""
        while piece := self._answers.read1(1 << 20):  # type: ignore[attr-defined]
            *whole, held = (held + piece).split(b"\0")
            for message in map(json.loads, whole):
                if "id" in message:
                    self._waiting.pop(message["id"]).put(message)
                elif listener := self.listeners.get(message.get("sessionId", "")):
                    listener(message["method"], message["params"])

    @contextmanager
    def page(self, url: str, *, width: int = 1280, height: int = 900, phone: bool = False) -> Iterator[Page]:
        """A page in a profile of its own."""
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        self.listeners[session] = page.heard
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.ask(f"{domain}.enable")
        page.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1.5 if phone else 1,
            mobile=phone,
        )
        if phone:
            page.ask("Emulation.setTouchEmulationEnabled", enabled=True)
        try:
            page.go(url)
            yield page
        finally:
            self.ask("Target.disposeBrowserContext", browserContextId=context)
            del self.listeners[session]


class Page:
    """What a person does with a page, and what it did meanwhile."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.requests: list[str] = []  # addresses that were asked for
        self.complaints: list[str] = []  # errors of scripts, and what the policy of the page refused

    def ask(self, method: str, **parameters: Any) -> Any:
        return self._browser.ask(method, self._session, **parameters)

    def heard(self, event: str, values: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            details = values["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif event == "Log.entryAdded" and values["entry"]["source"] in ("security", "javascript", "violation"):
            self.complaints.append(values["entry"]["text"])

    def go(self, url: str) -> None:
        self.ask("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of an expression; a promise is awaited."""
        given = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in given:
            raise AssertionError(given["exceptionDetails"]["exception"].get("description", given["exceptionDetails"]))
        return given["result"].get("value")

    def until(self, condition: str) -> Any:
        """The value of *condition* once it holds."""
        end = time.monotonic() + SECONDS
        value: Any = None
        while time.monotonic() < end:
            with suppress(RuntimeError, AssertionError):  # the page is just being replaced
                value = self.run(condition)
                if value not in (None, False, "", 0):
                    return value
            time.sleep(0.03)
        raise AssertionError(f"not within {SECONDS:g} s: {condition}; the page shows {self.text()[:2000]!r}")

    def sees(self, text: str, within: str = "body") -> None:
        self.until(f"document.querySelector({json.dumps(within)})?.innerText.includes({json.dumps(text)})")

    def text(self, selector: str = "body") -> str:
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def texts(self, selector: str) -> list[str]:
        """Of all there are, also of those that are not drawn yet."""
        return list(self.run(f"[...document.querySelectorAll({json.dumps(selector)})].map(each => each.textContent)"))

    def count(self, selector: str) -> int:
        return int(self.run(f"document.querySelectorAll({json.dumps(selector)}).length"))

    def address(self) -> str:
        return str(self.run("location.hash"))

    def click(self, selector: str, text: str = "") -> None:
        """With the mouse, where the first element that is seen, has *text*, and matches *selector* is."""
        box = self.until(
            f"(found => {{ found?.scrollIntoView({{block: 'center', behavior: 'instant'}});"
            " return found && found.getBoundingClientRect().toJSON() })"
            f"([...document.querySelectorAll({json.dumps(selector)})]"
            f".find(each => each.checkVisibility() && each.innerText.includes({json.dumps(text)})))"
        )
        self.mouse(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def mouse(self, x: float, y: float, *, press: bool = True) -> None:
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if press else ():
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        self.ask("Input.insertText", text=text)

    def fill(self, selector: str, text: str) -> None:
        self.click(selector)
        self.run(f"document.querySelector({json.dumps(selector)}).select?.()")
        self.type(text)

    def choose(self, selector: str, value: str) -> None:
        """An option of a select."""
        self.until(f"document.querySelector({json.dumps(selector)}) !== null")
        tell = "control.dispatchEvent(new Event('change', {bubbles: true}))"
        chosen = f"(control => {{ control.value = {json.dumps(value)}; {tell} }})"
        self.run(f"{chosen}(document.querySelector({json.dumps(selector)}))")

    def press(self, key: str) -> None:
        code, text = KEYS.get(key, (ord(key.upper()), key) if len(key) == 1 else (0, ""))
        more = {"text": text} if text else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **more)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def prefers(self, scheme: str) -> None:
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self) -> bytes:
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    found = program()
    assert found, f"there is no Chromium; install it with: {INSTALL}"
    ours_to_it, it_to_us = os.pipe(), os.pipe()
    reads, writes = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (ours_to_it[0], it_to_us[1]))
    flags = [*FLAGS, f"--user-data-dir={profile}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    process = subprocess.Popen(
        [sys.executable, "-c", AT_3_AND_4, str(reads), str(writes), found, *flags],
        pass_fds=(reads, writes),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for end in (ours_to_it[0], it_to_us[1], reads, writes):
        os.close(end)
    with os.fdopen(ours_to_it[1], "wb") as commands, os.fdopen(it_to_us[0], "rb") as answers:
        browser = Browser(commands, answers)
        try:
            browser.ask("Browser.getVersion")
            yield browser
        finally:
            with suppress(Exception):
                browser.ask("Browser.close")
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
