"""Time and memory of planning alone: all ordered pairs of many networks in one graph of jobs.

    python benchmarks/scale/plan.py --networks 16 --categories 1000

Logits are arrays with holes, of which planning reads the headers. Plans the whole run, and then its first
table alone, with nothing there.
"""

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).parents[2]
IMAGES = 2000


def write_project(folder: Path, n_networks: int, n_categories: int) -> None:
    """A configuration of imported logits, and their arrays."""
    splits = ("fit", "test")
    for name in splits:
        np.save(folder / f"{name}_labels.npy", np.arange(IMAGES) % n_categories)
    models = {}
    for number in range(n_networks):
        logits = {split: f"{number}_{split}.npy" for split in splits}
        for path in logits.values():
            shape = (IMAGES, n_categories)
            np.lib.format.open_memmap(folder / path, "w+", np.float32, shape).flush()
        labels = {split: f"{split}_labels.npy" for split in splits}
        models[f"network{number}"] = {"logits": logits, "labels": labels}
    dataset = {"kind": "logits", "n_categories": n_categories, "splits": {"fit": {}, "test": {}}}
    (folder / "config.yaml").write_text(yaml.safe_dump({"dataset": dataset, "models": models}))


def main() -> None:
    """Write jobs, seconds and peak memory of every plan to stdout."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--networks", type=int, default=16)
    parser.add_argument("--categories", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_project(folder, given.networks, given.categories)
        for targets in ([], ["results/tables/table1.csv"]):
            command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
            command += ["--cores", "2", "--dry-run", "--quiet", "rules", "--", *targets]
            began = time.perf_counter()
            run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            seconds = time.perf_counter() - began
            if run.returncode:
                sys.exit(run.stdout + run.stderr)
            jobs = re.search(r"^total +(\d+)", run.stdout + run.stderr, flags=re.M)
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            what = " ".join(targets) or "the whole run"
            print(
                f"{what}: {jobs and jobs[1]} jobs planned in {seconds:.1f} s, {peak / 1e3:.0f} MB"
            )


if __name__ == "__main__":
    main()
