"""Time and memory of every stage from logits to judged dependencies, at the size of ImageNet.

    python benchmarks/scale/run.py --folder /tmp/scale --out benchmarks/scale/out

Synthetic logits (`synthetic.py`) go through the workflow's own scripts, every stage in a process of its own,
as a job would be. `read f` reads and decodes all logits, on as many threads, and does nothing with them;
`read_mb_s` is how fast a stage got through the logits that it reads, as they are stored. With
`--device cuda` (or `cpu`: PyTorch's) reductions and evaluations come a second time, as stages `@cuda`.
`peak_mb` is the most memory that the process held at once (VmHWM), memory-mapped second moments
included, of which `private_mb` could not be shared with another process or dropped (RssAnon, looked
at 20 times a second); a GPU's own is in neither. `disk_mb` is what the stage wrote, `load_before` the
machine's load when it began, this benchmark's earlier stages included.
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
ON_DEVICE = ("reduce", "evaluate")  # stages that may use a device
REDUCED = ("write f", "read f", "reduce f--f", "write g", "reduce f--g")
SOLVED = ("solve f--g", "gather f--g", "subset f--g", "evaluate f--g")
BETWEEN = (*REDUCED, "reduce g--g", "solve f--f", *SOLVED)
WITHIN = ("write f", "read f", "reduce f--f")
WITHIN += ("solve f--f", "gather f--f", "subset f--f", "evaluate f--f")


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
    "1k-20k": Case(20_000, 1000, 256, BETWEEN),
    "5k-20k": Case(20_000, 5000, 1024, BETWEEN),
    "21k-2k": Case(2_500, 21_841, 1024, REDUCED),
    "21k-20k": Case(20_000, 21_841, 1024, (*WITHIN, "write g", "reduce f--g")),
}


def do_stage(stage: str, folder: Path, case: Case, threads: int) -> None:
    """Do one stage in this process; only what its job imports is imported."""
    action, what, device = re.fullmatch(r"(\w+) ([\w-]+)(?:@(.+))?", stage).groups()
    logits = {name: str(folder / f"logits/{name}/fit.zarr") for name in "fg"}
    if action == "write":
        from synthetic import write_logits

        write_logits(logits[what], what, case.n_images, case.n_categories, case.rank)
    elif action == "read":
        read_all(logits[what], threads)
    elif action == "reduce":
        from scripts.reduce_second_moment import main as reduce

        source, target = what.split("--")
        given = {"models": (source, target), "centering": "none", "scheduler": None}
        store = folder / f"moments{device or ''}/{what}.zarr"
        reduce(logits[source], logits[target], str(store), **given, threads=threads, device=device)
    else:
        judge_or_solve(action, what, folder, logits, threads, device)


def read_all(path: str, threads: int) -> None:
    """Read and decode every shard, as the reductions do."""
    from concurrent.futures import ThreadPoolExecutor

    import zarr

    from neuraldeps.logits.store import LogitsFile

    array, file = zarr.open_array(f"{path}/logits", mode="r"), LogitsFile(path)
    rows = array.shards[0]
    with ThreadPoolExecutor(threads) as pool:

        def read(first: int) -> None:
            file.stored(first, first + rows)

        list(pool.map(read, range(0, array.shape[0], rows)))


def judge_or_solve(
    action: str,
    what: str,
    folder: Path,
    logits: dict[str, str],
    threads: int,
    device: str | None,
) -> None:
    """Stages of an ordered pair."""
    source, target = what.split("--")
    within, own, pair = (
        str(folder / f"moments/{name}.zarr")
        for name in (f"{source}--{source}", f"{target}--{target}", what)
    )
    part, paths = (str(folder / f"covlasso/{what}{part}.zarr") for part in (".part0", ""))
    subsets = str(folder / f"best_subset/{what}.zarr")
    batch = {"models": (source, target), "batch": 0, "batches": 1, "threads": threads}
    batch |= {"max_support": 20, "exclude_own": True}
    if action == "solve":
        from scripts.solve_covlasso import main as solve

        penalties = {"alpha": [0.25, 2.5], "relative_alpha": [0.1, 0.03]}
        solve(within, own, pair, part, **batch, **penalties)
    elif action == "gather":
        from scripts.gather_covlasso import main as gather

        gather([part], paths)
    elif action == "subset":
        from scripts.gather_best_subset import main as gather_subsets
        from scripts.solve_best_subset import main as solve_subsets

        part = str(folder / f"best_subset/{what}.part0.zarr")
        solve_subsets(within, own, pair, part, **batch, width=1, proven_size=1)
        gather_subsets([part], subsets)
    elif action == "evaluate":
        from scripts.evaluate_dependencies import main as evaluate

        evaluation = str(folder / f"evaluation{device or ''}/{what}.zarr")
        given = {"splits": ["fit"], "dataset": "synthetic", "min_positives": 1}
        sides = [logits[source]], [logits[target]]
        judged = paths, subsets, within, pair, *sides, evaluation
        evaluate(*judged, **given, threads=threads, device=device)


def own_memory(key: str) -> float:
    """A field of this process's /proc/self/status, MB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"^{key}:\s+(\d+) kB", status, re.M)[1]) * 1024 / 1e6


def measure_here(stage: str, folder: Path, case: Case, threads: int) -> dict[str, float]:
    """Do a stage and say what it took."""
    private, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            private[0] = max(private[0], own_memory("RssAnon"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    try:
        do_stage(stage, folder, case, threads)
    finally:
        ended.set()
        watcher.join()
    wall = time.perf_counter() - began
    n_read = {"read": 1, "reduce": 1, "evaluate": 1}.get(stage.split()[0], 0)
    if "--" in stage:
        source, target = stage.split()[1].split("@")[0].split("--")
        n_read *= 1 + (source != target)
    logits_mb = n_read * 4 * case.n_images * case.n_categories / 1e6
    return {
        "wall_s": round(wall, 1),
        "read_mb_s": round(logits_mb / wall) if n_read else None,
        "cpu_s": round(time.process_time(), 1),
        "peak_mb": round(own_memory("VmHWM")),
        "private_mb": round(private[0]),
    }


def disk_mb(folder: Path) -> float:
    """Size of all the files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def with_device(stages: tuple[str, ...], device: str | None) -> list[str]:
    """Stages, those that a device can do a second time on it."""
    twice = ON_DEVICE if device else ()
    return [
        one
        for stage in stages
        for one in (stage, *([f"{stage}@{device}"] if stage.split()[0] in twice else []))
    ]


def measure(name: str, stage: str, folder: Path, threads: int) -> dict[str, object]:
    """A row of the table: a stage in a process of its own."""
    before, load = disk_mb(folder), os.getloadavg()[0]
    command = [sys.executable, __file__, "--folder", str(folder), "--stage", name, stage]
    command += ["--threads", str(threads)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    case = CASES[name]
    return {
        "images": case.n_images,
        "categories": case.n_categories,
        "stage": stage,
        "threads": threads,
        **json.loads(child.stdout.splitlines()[-1]),
        "disk_mb": round(disk_mb(folder) - before, 1),
        "load_before": round(load, 1),
    }


def gather_tables(out: Path) -> None:
    """Put the tables of all cases measured so far in one, as CSV and Markdown."""
    import pandas as pd

    tables = [pd.read_csv(path) for name in CASES if (path := out / f"{name}.csv").exists()]
    table = pd.concat(tables)
    table["read_mb_s"] = table.read_mb_s.astype("Int64")
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
    parser.add_argument("--threads", type=int, default=2, help="of every stage")
    parser.add_argument("--device", help="cpu, cuda or cuda:N: reduces and evaluates once more")
    parser.add_argument("--stage", nargs=2, metavar=("CASE", "STAGE"), help="do one, here")
    options = parser.parse_args()
    if options.stage:
        name, stage = options.stage
        with contextlib.redirect_stdout(sys.stderr):
            measured = measure_here(stage, options.folder, CASES[name], options.threads)
        print(json.dumps(measured))
        return
    from neuraldeps.devices import check_device

    check_device(options.device)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.cases:
        folder, rows = options.folder / name, []
        try:
            for stage in with_device(CASES[name].stages, options.device):
                folder.mkdir(parents=True, exist_ok=True)
                rows.append(measure(name, stage, folder, options.threads))
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
