"""A real browser, without a network, on an explorer that lies on the disk; skipped where there is none."""

import json
import os
import shutil
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest

from tests.browser.firefox import PATIENCE, Firefox, listening
from tests.synthetic_explorer import explored

BROWSER = next(
    (path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None
)
DRIVER = shutil.which("chromedriver")
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
OPTIONS += ("--disable-background-networking", "--disable-component-update", "--hide-scrollbars")
OFFLINE = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
# a package that brings axe-core, whose rules these are
AXE = (Path(find_spec("axe_playwright_python").origin).parent / "axe.min.js").read_text("utf-8")
IS_SETTLED = """
const main = document.getElementById("main");
return Boolean(main.dataset.shown) && main.getAttribute("aria-busy") === "false";
"""


def number_of(text):
    """A number as the page writes it."""
    return float(text.replace("\N{MINUS SIGN}", "-"))


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A made-up run of two networks."""
    return explored(tmp_path_factory.getbasetemp())[0]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Its explorer."""
    return explored(tmp_path_factory.getbasetemp())[1]


class Page:
    """The explorer in a browser."""

    def __init__(self, driver, folder: Path, pictures: Path, downloads: Path) -> None:
        self.driver, self.folder, self.pictures, self.downloads = (
            driver,
            folder,
            pictures,
            downloads,
        )

    def open(self, **state):
        """Load the page at a state."""
        self.driver.get("about:blank")
        self.driver.get(f"{(self.folder / 'index.html').as_uri()}#{urlencode(state)}")
        return self.settle()

    def settle(self):
        """Wait until what the address says is shown."""
        self.until(lambda: self.js(IS_SETTLED))
        return self

    def until(self, happens):
        """Wait for something that is true at last."""
        end = time.monotonic() + PATIENCE
        while not (found := happens()):
            assert time.monotonic() < end, self.text("main")
            time.sleep(0.03)
        return found

    def js(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        return self.driver.find_element("css selector", selector)

    def text(self, selector):
        return self.one(selector).text

    def texts(self, selector):
        """All texts at once, as they stand in the document."""
        code = "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent);"
        return self.js(code, selector)

    def state(self):
        return dict(parse_qsl(self.js("return location.hash").removeprefix("#")))

    def asked(self):
        """Addresses that the browser has asked for since this was last called."""
        events = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        sent = [one["params"] for one in events if one["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in sent]

    def errors(self):
        return [entry for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def resize(self, width, height=900):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, name):
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def keep(self, name):
        """Keep a picture of the page."""
        self.driver.save_screenshot(str(self.pictures / f"{name}.png"))


@pytest.fixture(scope="session")
def opened(folder, tmp_path_factory):
    """The browser, for all tests."""
    if BROWSER is None or DRIVER is None:
        pytest.skip("no browser: install chromium and chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    downloads = tmp_path_factory.mktemp("downloads")
    options = Options()
    options.binary_location = BROWSER
    for option in OPTIONS:
        options.add_argument(option)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        driver.set_page_load_timeout(PATIENCE)
        driver.set_script_timeout(PATIENCE)
        driver.execute_cdp_cmd("Network.enable", {})
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", OFFLINE)
        pictures = os.environ.get("EXPLORER_SCREENSHOTS")
        kept = Path(pictures) if pictures else tmp_path_factory.mktemp("screenshots")
        kept.mkdir(parents=True, exist_ok=True)
        yield Page(driver, folder, kept, downloads)
    finally:
        driver.quit()


@pytest.fixture
def page(opened):
    """The browser as every test finds it."""
    opened.resize(1280)
    opened.scheme("light")
    opened.errors(), opened.asked()  # those of the last test
    return opened


@pytest.fixture
def firefox(tmp_path):
    """A Firefox, for one test."""
    with listening(tmp_path) as address:
        yield Firefox(address)
