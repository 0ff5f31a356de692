"""The whole workflow on 21 841 categories and 2500 synthetic images of one network.

    python benchmarks/scale/whole.py --folder /tmp/whole

writes logits, labels and a configuration into the folder and runs every rule that applies to them.
It takes half an hour of CPU, 10 GB of memory and 5 GB of disk; `logs/benchmarks/` in the folder has the
time and the memory of every job.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml
from synthetic import Network

ROOT = Path(__file__).parents[2]
ROWS = 250  # images at a time
CONFIG = {
    "dataset": {"kind": "logits", "splits": {"fit": {}}},
    "roles": {"fit": "fit", "test": "fit"},
    "models": {"f": {"logits": {"fit": "f.npy"}, "labels": {"fit": "label.npy"}}},
    "theory": {"redundancy": False},
    "stability": {"enabled": False},
    "controls": {"enabled": False},
}


def main() -> None:
    """Write what the workflow starts from, and run it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, default=2500)
    parser.add_argument("--categories", type=int, default=21_841)
    parser.add_argument("--cores", default="all")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    network = Network("f", options.categories, rank=512)
    shape = (options.images, options.categories)
    logits = np.lib.format.open_memmap(options.folder / "f.npy", "w+", np.float32, shape)
    labels = np.empty(options.images, np.int32)
    for first in range(0, options.images, ROWS):
        rows = slice(first, min(first + ROWS, options.images))
        logits[rows], labels[rows] = network.logits(first, rows.stop - first)
    logits.flush()
    np.save(options.folder / "label.npy", labels)
    config = {**CONFIG, "resources": {"targets_per_job": options.categories}}
    config["dataset"] = {**CONFIG["dataset"], "n_categories": options.categories}
    (options.folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(options.folder), "--cores", options.cores]
    command += ["--configfile", str(options.folder / "config.yaml")]
    raise SystemExit(subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}).returncode)


if __name__ == "__main__":
    main()
