"""Firefox, driven by WebDriver BiDi over its own socket: no driver is needed."""

import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import time

import pytest

PATIENCE = 120  # seconds that anything may take
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    """One tab of a Firefox that listens."""

    def __init__(self, address):
        from websocket import create_connection

        self.socket = create_connection(
            f"{address}/session", timeout=PATIENCE, suppress_origin=True
        )
        self.number, self.errors = 0, []
        self.send("session.new", capabilities={})
        self.send("session.subscribe", events=["log.entryAdded"])
        self.context = self.send("browsingContext.getTree")["contexts"][0]["context"]

    def send(self, method, **params):
        """Send a command; what is logged meanwhile is kept if it is an error."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("method") == "log.entryAdded":
                entry = message["params"]
                self.errors += [entry["text"]] if entry["level"] == "error" else []
            if message.get("id") == self.number:
                assert message["type"] == "success", message
                return message["result"]

    def js(self, code):
        """Value of an expression, as JSON can say it."""
        given = {"target": {"context": self.context}, "awaitPromise": True}
        found = self.send("script.evaluate", expression=f"JSON.stringify({code})", **given)
        assert found["type"] == "success", found
        return json.loads(found["result"].get("value", "null"))

    def until(self, code):
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.js(f"Boolean({code})"):
            assert time.monotonic() < end, code
            time.sleep(0.05)


def address_of(process):
    """Where it listens, which it says on stderr."""
    end, said = time.monotonic() + PATIENCE, ""
    while time.monotonic() < end and process.poll() is None:
        if select.select([process.stderr], [], [], 1)[0]:
            said += os.read(process.stderr.fileno(), 4096).decode(errors="replace")
        if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", said):
            return found[1]
    pytest.skip(f"Firefox does not listen: {said[-300:]}")


@contextlib.contextmanager
def listening(profile):
    """Start a Firefox of its own; gives where it listens."""
    if FIREFOX is None:
        pytest.skip("no Firefox: install firefox-esr")
    command = [FIREFOX, "--headless", "--no-remote", "--profile", str(profile)]
    process = subprocess.Popen(
        [*command, "--remote-debugging-port", "0", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "HOME": str(profile), "MOZ_DISABLE_CONTENT_SANDBOX": "1"},
    )
    try:
        yield address_of(process)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.stderr.close()
