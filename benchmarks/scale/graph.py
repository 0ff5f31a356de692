"""Time and memory of the reduction's graph of tasks alone, at its largest: 14 million images x 21 841.

    python benchmarks/scale/graph.py

4096 steps of 36 blocks between two networks, on arrays of 24 categories: what is left is Dask's own.
"""

import resource
import tempfile
import time
from pathlib import Path

import dask
import zarr

from neuraldeps import moments


def main() -> None:
    """Write tasks, seconds, and peak memory before and after to stdout."""
    moments.BLOCK = 4
    with tempfile.TemporaryDirectory() as folder:
        for name in "fg":
            path = Path(folder) / name / "logits"
            shape = (moments.STEPS, 24)
            zarr.create_array(path, shape=shape, chunks=(1, 24), dtype="f4", fill_value=1)
        files = [moments.LogitsFile(f"{folder}/{name}") for name in "fg"]
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()

        def compute(sums):
            print(f"{len(sums.dask)} tasks, made in {time.perf_counter() - began:.1f} s")
            return dask.compute(sums, scheduler="threads", num_workers=2)

        moments.second_moment(*files, threads=2, compute=compute)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{time.perf_counter() - began:.1f} s, {before / 1e3:.0f} to {after / 1e3:.0f} MB")


if __name__ == "__main__":
    main()
