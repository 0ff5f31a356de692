"""Time and memory of every stage from logits to judged dependencies, at the size of ImageNet.

    python benchmarks/scale/run.py --folder /tmp/scale --out benchmarks/scale/out

Synthetic logits (`synthetic.py`) go through the workflow's own scripts, every stage in a process of its own,
as a job would be. `peak_mb` is the most memory that the process held at once (VmHWM), memory-mapped
second moments included, of which `private_mb` could not be shared with another process or dropped
(RssAnon, looked at 20 times a second). `disk_mb` is what the stage wrote, `load_before` the machine's
load when it began, this benchmark's earlier stages included.
"""

import argparse
import contextlib
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).parents[2]
THREADS = 2
REDUCED = ("write f", "reduce f--f", "write g", "reduce f--g")
BETWEEN = (*REDUCED, "reduce g--g", "solve f--f", "solve f--g", "gather f--g", "evaluate f--g")
WITHIN = ("write f", "reduce f--f", "solve f--f", "gather f--f", "evaluate f--f")


@dataclass(frozen=True)
class Case:
    """A size, and the stages that are measured at it, in order."""

    n_images: int
    n_categories: int
    rank: int
    stages: tuple[str, ...]


CASES = {
    "1k-80k": Case(80_000, 1000, 512, BETWEEN),
    "1k-320k": Case(320_000, 1000, 512, REDUCED),
    "1k-1280k": Case(1_280_000, 1000, 512, BETWEEN),
    "5k-20k": Case(20_000, 5000, 1024, BETWEEN),
    "21k-2k": Case(2_500, 21_841, 1024, REDUCED),
    "21k-20k": Case(20_000, 21_841, 1024, (*WITHIN, "write g", "reduce f--g")),
}


def do_stage(stage: str, folder: Path, case: Case) -> None:
    """Do one stage in this process; only what its job imports is imported."""
    action, what = stage.split()
    logits = {name: str(folder / f"logits/{name}/fit.zarr") for name in "fg"}
    if action == "write":
        from synthetic import write_logits

        write_logits(logits[what], what, case.n_images, case.n_categories, case.rank)
        return
    source, target = what.split("--")
    within, own, pair = (
        str(folder / f"moments/{name}.zarr")
        for name in (f"{source}--{source}", f"{target}--{target}", what)
    )
    part, paths = (str(folder / f"covlasso/{what}{part}.zarr") for part in (".part0", ""))
    models = (source, target)
    if action == "reduce":
        from scripts.reduce_second_moment import main as reduce

        given = {"models": models, "centering": "none", "scheduler": None, "threads": THREADS}
        reduce(logits[source], logits[target], pair, **given)
    elif action == "solve":
        from scripts.solve_covlasso import main as solve

        solve(
            *(within, own, pair, part),
            models=models,
            batch=0,
            batches=1,
            max_support=20,
            exclude_own=True,
            alpha=[0.25, 2.5],
            relative_alpha=[0.1, 0.03],
            threads=THREADS,
        )
    elif action == "gather":
        from scripts.gather_covlasso import main as gather

        gather([part], paths)
    elif action == "evaluate":
        from scripts.evaluate_dependencies import main as evaluate

        evaluation = str(folder / f"evaluation/{what}.zarr")
        given = {"splits": ["fit"], "dataset": "synthetic", "threads": THREADS}
        evaluate(paths, within, pair, [logits[source]], [logits[target]], evaluation, **given)


def own_memory(key: str) -> float:
    """A field of this process's /proc/self/status, MB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"^{key}:\s+(\d+) kB", status, re.M)[1]) * 1024 / 1e6


def measure_here(stage: str, folder: Path, case: Case) -> dict[str, float]:
    """Do a stage and say what it took."""
    private, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            private[0] = max(private[0], own_memory("RssAnon"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    try:
        do_stage(stage, folder, case)
    finally:
        ended.set()
        watcher.join()
    return {
        "wall_s": round(time.perf_counter() - began, 1),
        "cpu_s": round(time.process_time(), 1),
        "peak_mb": round(own_memory("VmHWM")),
        "private_mb": round(private[0]),
    }


def disk_mb(folder: Path) -> float:
    """Size of all the files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def measure(name: str, stage: str, folder: Path) -> dict[str, object]:
    """A row of the table: a stage in a process of its own."""
    before, load = disk_mb(folder), os.getloadavg()[0]
    command = [sys.executable, __file__, "--folder", str(folder), "--stage", name, stage]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    case = CASES[name]
    return {
        "images": case.n_images,
        "categories": case.n_categories,
        "stage": stage,
        **json.loads(child.stdout.splitlines()[-1]),
        "disk_mb": round(disk_mb(folder) - before, 1),
        "load_before": round(load, 1),
    }


def gather_tables(out: Path) -> None:
    """Put the tables of all cases measured so far in one, as CSV and Markdown."""
    import pandas as pd

    tables = [pd.read_csv(path) for name in CASES if (path := out / f"{name}.csv").exists()]
    table = pd.concat(tables)
    table.to_csv(out / "measured.csv", index=False)
    table.to_markdown(out / "measured.md", index=False)
    plot_growth(table[table.stage.str.startswith("reduce")], out / "growth.svg")


def plot_growth(table: "pd.DataFrame", path: Path) -> None:
    """Peak memory and CPU time of the reduction against the number of images."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(7.5, 3), layout="constrained")
    for (n, stage), part in table.groupby(["categories", "stage"]):
        if stage != "reduce g--g":
            kind = "within a network" if stage == "reduce f--f" else "between networks"
            for axis, column in zip(axes, ("peak_mb", "cpu_s"), strict=True):
                axis.plot(part.images, part[column], "o-", ms=4, label=f"{n} categories, {kind}")
    axes[0].set(ylabel="peak memory, MB", ylim=(0, None))
    axes[1].set(ylabel="CPU time, s", yscale="log")
    for axis in axes:
        axis.set(xscale="log", xlabel="images")
    axes[0].legend(fontsize=6)
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    """Measure the cases; the table grows with every stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("/tmp/scale"), help="for the stores")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out")
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--stage", nargs=2, metavar=("CASE", "STAGE"), help="do one, here")
    options = parser.parse_args()
    if options.stage:
        name, stage = options.stage
        with contextlib.redirect_stdout(sys.stderr):
            measured = measure_here(stage, options.folder, CASES[name])
        print(json.dumps(measured))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.cases:
        folder, rows = options.folder / name, []
        try:
            for stage in CASES[name].stages:
                folder.mkdir(parents=True, exist_ok=True)
                rows.append(measure(name, stage, folder))
                print(*rows[-1].values(), flush=True)
                with (options.out / f"{name}.csv").open("w", newline="") as file:
                    table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
                    table.writeheader()
                    table.writerows(rows)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    gather_tables(options.out)


if __name__ == "__main__":
    main()
