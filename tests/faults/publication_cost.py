"""What durable publication costs a finished run: ``python -m tests.faults.publication_cost FOLDER``.

FOLDER holds `results/` and `logs/benchmarks/`. Everything that was published is copied to a temporary
folder in it, or in a second folder that is named, and there given its checksums, synced and moved; only
that is timed, and compared with the seconds of all the run's jobs. The copies are read once against
their checksums, too.
"""

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from neuraldeps.stores.checksums import LIST, write_checksums
from neuraldeps.stores.publish import beside, move
from neuraldeps.stores.verify import verify_store


def published(results):
    """Stores and files that a run's jobs have made."""
    stores = [path for path in results.rglob("*.zarr") if path.is_dir()]
    files = [
        path
        for path in results.rglob("*")
        if path.is_file() and not any(store in path.parents for store in stores)
    ]
    return [path for path in stores + files if not path.name.startswith(".")]


def cost(folder):
    seconds = {"publish": 0.0, "read": 0.0}
    n_bytes, found = 0, published(folder / "results")
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if sys.argv[2:] else folder) as copies:
        for number, path in enumerate(found):
            to = Path(copies, str(number), path.name)
            with beside(to) as work:
                (shutil.copytree if path.is_dir() else shutil.copyfile)(path, work)
                began = time.perf_counter()
                if path.is_dir():
                    (work / LIST).unlink(missing_ok=True)
                    write_checksums(work)
                move(work, to)
                seconds["publish"] += time.perf_counter() - began
            began = time.perf_counter()
            if path.is_dir():
                verify_store(to)
                n_bytes += sum(file.stat().st_size for file in to.rglob("*") if file.is_file())
            seconds["read"] += time.perf_counter() - began
    jobs = sum(
        float(pd.read_csv(table, sep="\t")["s"].sum())
        for table in (folder / "logs/benchmarks").rglob("*.tsv")
    )
    return {
        "published": len(found),
        "MB in stores": round(n_bytes / 1e6),
        "seconds of all jobs": round(jobs),
        "seconds to publish": round(seconds["publish"], 1),
        "share in %": round(100 * seconds["publish"] / jobs, 2),
        "seconds to verify once": round(seconds["read"], 1),
    }


if __name__ == "__main__":
    print(json.dumps(cost(Path(sys.argv[1]))))
