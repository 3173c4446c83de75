"""A real, headless Firefox, driven by the protocol that it brings itself (Marionette: JSON over a socket)."""

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 60.0
_NAMES = ("firefox-esr", "firefox")
_PREFERENCES = {
    "marionette.port": 0,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "browser.aboutwelcome.enabled": False,
    "browser.startup.page": 0,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "intl.accept_languages": "en",
}
# What the pages' scripts raised and what the pages' policy had to keep out, as the browser's console has it.
_ERRORS = """
return Services.console.getMessageArray()
  .filter((each) => each instanceof Ci.nsIScriptError && (each.sourceName || "").startsWith(arguments[0]))
  .filter((each) => !(each.flags & Ci.nsIScriptError.warningFlag) || each.category.includes("CSP"))
  .filter((each) => !each.category.startsWith("CSS"))
  .map((each) => `${each.category}: ${each.errorMessage} (${each.sourceName}:${each.lineNumber})`);
"""


def find_firefox() -> str | None:
    """The system's Firefox; GLINT_FIREFOX names another."""
    return os.environ.get("GLINT_FIREFOX") or next(filter(None, map(shutil.which, _NAMES)), None)


class Firefox:
    """One window of a running Firefox."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self._stream = self._socket.makefile("rb")
        self._number = 0
        self._receive()
        self.command("WebDriver:NewSession", capabilities={"alwaysMatch": {}})

    def command(self, name: str, **given: object) -> Any:
        """Send a command; return what it gives.

        Raises:
            AssertionError: with Firefox's own words, when it could not be done.
        """
        self._number += 1
        data = json.dumps([0, self._number, name, given]).encode()
        self._socket.sendall(b"%d:%s" % (len(data), data))
        _, number, error, result = self._receive()
        assert number == self._number
        assert error is None, error
        return result.get("value") if isinstance(result, dict) and set(result) == {"value"} else result

    def open(self, url: str) -> None:
        """Go to a page, and wait until it is loaded."""
        self.command("WebDriver:Navigate", url=url)

    def run(self, script: str, *given: object) -> Any:
        """Run the body of a function in the page; return what it returns."""
        return self.command("WebDriver:ExecuteScript", script=script, args=list(given))

    def wait_for(self, script: str, *given: object) -> Any:
        """Wait until an expression is true in the page, whichever page that is by then; return its value."""
        last = time.monotonic() + SECONDS
        while time.monotonic() < last:
            try:
                if value := self.run(f"return ({script})", *given):
                    return value
            except AssertionError:
                # The page went away below the script; the next one is asked.
                time.sleep(0.02)
            time.sleep(0.05)
        raise AssertionError(f"not in {SECONDS:.0f} s: {script}")

    def press(self, *keys: str) -> None:
        """Press keys one after the other, in what has the focus."""
        ups_and_downs = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        keyboard = {"type": "key", "id": "keyboard", "actions": ups_and_downs}
        self.command("WebDriver:PerformActions", actions=[keyboard])

    def click(self, selector: str) -> None:
        """Click the first element that a selector finds."""
        found = self.command("WebDriver:FindElement", using="css selector", value=selector)
        self.command("WebDriver:ElementClick", id=next(iter(found.values())))

    def resize(self, width: int, height: int) -> None:
        """Give the page this many pixels."""
        for _ in range(2):
            extra = self.run("return [outerWidth - innerWidth, outerHeight - innerHeight]")
            self.command("WebDriver:SetWindowRect", width=width + extra[0], height=height + extra[1])
        self.wait_for("innerWidth == arguments[0] && innerHeight == arguments[1]", width, height)

    def screenshot(self, path: Path) -> None:
        """Write what the page shows as PNG."""
        path.write_bytes(base64.b64decode(self.command("WebDriver:TakeScreenshot", full=False)))

    def errors(self, origin: str) -> list[str]:
        """What the scripts of an origin raised, and what its policy kept out, since Firefox was started."""
        self.command("Marionette:SetContext", value="chrome")
        try:
            return list(self.run(_ERRORS, origin))
        finally:
            self.command("Marionette:SetContext", value="content")

    def close(self) -> None:
        """Hang up."""
        self._stream.close()
        self._socket.close()

    def _receive(self) -> Any:
        length = b""
        while (digit := self._stream.read(1)) != b":":
            assert digit, "Firefox hung up"
            length += digit
        return json.loads(self._stream.read(int(length)))


@contextmanager
def running_firefox(program: str) -> Iterator[Firefox]:
    """Start Firefox with a profile of its own; it ends with the block."""
    with tempfile.TemporaryDirectory(prefix="glint-firefox-", ignore_cleanup_errors=True) as home:
        profile = Path(home) / "profile"
        profile.mkdir()
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in _PREFERENCES.items()]
        (profile / "user.js").write_text("\n".join(lines))
        process = subprocess.Popen(
            [
                program,
                "--headless",
                "--marionette",
                "--remote-allow-system-access",
                "--no-remote",
                "--profile",
                str(profile),
            ],
            env={**os.environ, "HOME": home},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            firefox = Firefox(_port(profile, process))
            yield firefox
            firefox.close()
        finally:
            process.terminate()
            try:
                process.wait(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    """The port that Firefox chose, which it writes into its profile."""
    file, last = profile / "MarionetteActivePort", time.monotonic() + SECONDS
    while time.monotonic() < last:
        assert process.poll() is None, "Firefox ended before it could be driven"
        if file.exists() and (text := file.read_text().strip()):
            return int(text)
        time.sleep(0.1)
    raise AssertionError("Firefox could not be driven in time")
