"""Sizes and times of the explorer in a real browser: what is loaded at first and by a click, and a slider's step.

    python benchmarks/explorer/run.py --categories 1000 --networks 4
    python benchmarks/explorer/run.py --categories 21841 --networks 1

needs chromium and chromium-driver, and `pip install -e '.[test]'`.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from neuraldeps.explorer import make_explorer  # noqa: E402
from tests.browser.conftest import BROWSER, DRIVER, IS_SETTLED, OPTIONS  # noqa: E402
from tests.synthetic_explorer import write_run  # noqa: E402

PATIENCE = 120
# from the slider's event to the frame after the last change that it leads to
STEP = """
const [size, done] = arguments;
const slider = document.getElementById("size");
const main = document.getElementById("main");
const begin = performance.now();
slider.value = size - 1;
slider.dispatchEvent(new Event("input", { bubbles: true }));
const look = () => {
  const shown = document.querySelector(".slider output").textContent === String(size);
  const rows = document.querySelectorAll(".sources tbody tr").length === size;
  const nodes = document.querySelector(".star svg .mark-rect")?.querySelectorAll("path").length === size + 1;
  if (shown && rows && nodes && main.getAttribute("aria-busy") === "false") {
    requestAnimationFrame(() => done(performance.now() - begin));
  } else setTimeout(look, 1);
};
look();
"""


def start():
    """A browser that tells which files it reads."""
    options = Options()
    options.binary_location = BROWSER
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(PATIENCE)
    driver.set_script_timeout(PATIENCE)
    return driver


def settle(driver):
    """Seconds until what the address says is shown."""
    begin = time.monotonic()
    while not driver.execute_script(IS_SETTLED):
        if time.monotonic() > begin + PATIENCE:
            raise TimeoutError("the page does not settle")
        time.sleep(0.01)
    return time.monotonic() - begin


def bytes_read(driver):
    """Bytes of the files asked for since this was last called, each once."""
    time.sleep(0.3)
    events = [json.loads(one["message"])["message"] for one in driver.get_log("performance")]
    urls = {
        one["params"]["request"]["url"].split("#")[0]
        for one in events
        if one["method"] == "Network.requestWillBeSent"
    }
    paths = [Path(url.removeprefix("file://")) for url in urls if url.startswith("file:")]
    return sum(path.stat().st_size for path in paths), len(paths)


def measure(folder, n, steps):
    """What opens, clicks and steps cost."""
    driver = start()
    page = (folder / "index.html").as_uri()
    try:
        begin = time.monotonic()
        driver.get(f"{page}#view=category")
        settle(driver)
        print(f"first paint: {time.monotonic() - begin:.2f} s", end=", ")
        print("{:,} bytes in {} files".format(*bytes_read(driver)))
        clicks = []
        for at in np.random.default_rng(0).choice(n, 12, replace=False):
            code = f"location.hash = '#view=category&size=20&category=' + explorer.categories.key({at})"
            driver.execute_script(f"{code}.replace('+', '%2B')")
            time.sleep(0.02)
            took = settle(driver)
            clicks.append((*bytes_read(driver), took))
        size, files, took = np.array(clicks).T
        print(f"click: at most {size.max():,.0f} bytes in {files.max():.0f} files", end=", ")
        print(f"{1000 * np.median(took):.0f} ms, at most {1000 * took.max():.0f} ms")
        times = [
            driver.execute_async_script(STEP, int(1 + step % 20)) for step in range(3, 3 + steps)
        ]
        quantiles = np.quantile(times, [0.5, 0.95, 1])
        print("slider: {:.0f} ms, 95 % within {:.0f} ms, at most {:.0f} ms".format(*quantiles))
        for view in ("table", "overview", "map"):
            begin = time.monotonic()
            driver.execute_script(f"location.hash = '#view={view}'")
            time.sleep(0.02)
            settle(driver)
            took = time.monotonic() - begin
            print(f"{view}: {took:.2f} s, {{:,}} bytes in {{}} files".format(*bytes_read(driver)))
    finally:
        driver.quit()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--categories", type=int, default=1000)
    parser.add_argument("--networks", type=int, default=4)
    parser.add_argument("--sizes", type=int, default=20)
    parser.add_argument("--max-images", type=int, default=40_000)
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = [f"net{number}" for number in range(given.networks)]
        run = write_run(Path(folder), models, given.categories, given.sizes)
        begin = time.monotonic()
        made = Path(folder) / "explorer"
        files = {"cards": run.cards, "stability": run.stability, "controls": run.controls}
        make_explorer(
            str(made),
            run.evaluations,
            **files,
            images=run.images,
            splits={"fit": "fit", "test": "test"},
            max_images=given.max_images,
        )
        print(f"{given.categories} categories, {len(run.evaluations)} pairs", end=": ")
        print(f"made in {time.monotonic() - begin:.0f} s", end=", ")
        every = [one for one in made.rglob("*") if one.is_file()]
        print(f"{sum(one.stat().st_size for one in every) / 2**20:.0f} MiB in {len(every)} files")
        measure(made, given.categories, given.steps)


if __name__ == "__main__":
    main()
