"""The explorer in Firefox, driven by WebDriver BiDi over its own socket: no driver is needed."""

import base64
import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import time

import pytest

from tests.browser.conftest import PATIENCE
from tests.synthetic_explorer import names_of

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
CODES = names_of(60)[1]


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


@pytest.fixture
def firefox(tmp_path):
    if FIREFOX is None:
        pytest.skip("no Firefox: install firefox-esr")
    command = [FIREFOX, "--headless", "--no-remote", "--profile", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--remote-debugging-port", "0", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "HOME": str(tmp_path), "MOZ_DISABLE_CONTENT_SANDBOX": "1"},
    )
    try:
        yield Firefox(address_of(process))
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.stderr.close()


def test_firefox_opens_slides_searches_follows_and_goes_back(firefox, folder, tmp_path):
    address = (
        f"{(folder / 'index.html').as_uri()}#view=category&category={CODES[12].replace('+', '%2B')}"
    )
    firefox.send("browsingContext.navigate", context=firefox.context, url=address, wait="complete")
    settled = "document.getElementById('main').dataset.shown && document.getElementById('main').ariaBusy === 'false'"
    firefox.until(settled)
    rows = "document.querySelectorAll('.sources tbody tr').length"
    assert firefox.js(rows) == 4
    assert firefox.js("document.querySelectorAll('.star svg image').length") == 5
    firefox.js(
        "(document.getElementById('size').value = 8, document.getElementById('size').dispatchEvent(new Event('input')))"
    )
    firefox.until(f"{rows} === 9")
    name = firefox.js("document.querySelector('h2 bdi').textContent")
    firefox.js("document.querySelector('.sources a').click()")
    firefox.until(f"document.querySelector('h2 bdi').textContent !== {json.dumps(name)}")
    firefox.js("history.back()")
    firefox.until(f"document.querySelector('h2 bdi').textContent === {json.dumps(name)}")
    for view in ("compare", "table", "overview", "map"):
        firefox.js(f"(location.hash = '#view={view}', 1)")
        firefox.until(f"document.getElementById('main').dataset.shown === '{view}' && {settled}")
        width = firefox.js("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1]
    shot = firefox.send("browsingContext.captureScreenshot", context=firefox.context)["data"]
    pictures = os.environ.get("EXPLORER_SCREENSHOTS", str(tmp_path))
    with open(os.path.join(pictures, "map-firefox.png"), "wb") as file:
        file.write(base64.b64decode(shot))
    assert firefox.errors == []
