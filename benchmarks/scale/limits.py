"""How far the judgement of dependencies is from what the machine can do: reading, and multiplying and adding.

    python benchmarks/scale/limits.py

Synthetic logits of two networks; of every target as many predictors as the workflow judges (three
estimators at every size to 20, two at four penalties), of sources drawn at random. In one process
and on one thread, one after the other and `--repeats` times over: a pass that only reads, decodes and
checks the logits; BLAS multiplying matrices, for its multiply-adds per second; the judgement. CPU time,
medians: other work on the machine takes none of it, but slows all three down.

A bound adds what the reading pass took to what the judgement's multiply-adds would take at BLAS's
speed. The judgement rounds products and sums apart, as its bytes promise, which takes two operations
where BLAS has one: hence the second bound. Its comparisons and its sums of errors are in neither.
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from synthetic import write_logits
from threadpoolctl import threadpool_limits

from neuraldeps.dependencies.candidates import Candidates
from neuraldeps.dependencies.scoring import _chunk, _read, evaluate
from neuraldeps.logits.store import LogitsFile, labels_of

MAX_SUPPORT = 20
PENALTIES = (3, 6, 10, 15)  # sizes of the supports at four penalties


def draw_candidates(n: int) -> Candidates:
    """Predictors of every category: nested supports, the same for the first two estimators."""
    rng = np.random.default_rng(0)
    order = np.argsort(rng.random((n, n)), axis=1).astype(np.int32)

    def of_sizes(sizes, first: int) -> Candidates:
        place = np.arange(MAX_SUPPORT)
        taken = place < np.array(sizes)[:, np.newaxis]
        support = np.where(taken, order[:, np.newaxis, first : first + MAX_SUPPORT], -1)
        return Candidates.from_padded(np.arange(n), support, rng.normal(0, 0.3, support.shape))

    along = range(1, MAX_SUPPORT + 1)
    parts = [of_sizes(along, first) for first in (0, 0, n // 2)]
    return Candidates.concatenate([*parts, *(of_sizes(PENALTIES, 0) for _ in range(2))])


def cpu_time(function: Callable[[], object]) -> float:
    """CPU seconds of this process, all threads."""
    began = time.process_time()
    function()
    return time.process_time() - began


def main() -> None:
    """Write the table to stdout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--categories", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    candidates = draw_candidates(options.categories)
    needed = len(candidates.support) * options.images
    multiplied = 1500
    operands = {
        dtype: [np.random.default_rng(0).random((multiplied,) * 2).astype(dtype) for _ in "ab"]
        for dtype in ("float32", "float64")
    }
    taken = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        files = [LogitsFile(str(Path(folder) / f"{name}.zarr")) for name in "fg"]
        for file, name in zip(files, "fg", strict=True):
            write_logits(file.path, name, options.images, options.categories, 256)
        label, scale = labels_of(files[1].path), np.full(options.categories, 2.5)
        judge = lambda: evaluate(*files, candidates, label, scale=scale)  # noqa: E731
        judge()  # compiles
        for _ in range(options.repeats):
            taken["read"].append(cpu_time(lambda: [None for _ in _read(*files, label)]))
            arranged = cpu_time(lambda: [_chunk(*one) and None for one in _read(*files, label)])
            taken["read and arrange"].append(arranged)
            for dtype, (a, b) in operands.items():
                rate = multiplied**3 / cpu_time(lambda a=a, b=b: a @ b)
                taken[f"multiply-adds at BLAS's {dtype}"].append(needed / rate)
            taken["judge"].append(cpu_time(judge))
    median = {name: statistics.median(values) for name, values in taken.items()}
    print(
        f"{options.images} images, {options.categories} categories, {needed / 1e9:.1f}e9 multiply-adds"
    )
    for name, seconds in median.items():
        low, high = min(taken[name]), max(taken[name])
        print(f"{name}: {seconds:.2f} s ({low:.2f} to {high:.2f})")
    fused = median["multiply-adds at BLAS's float64"]
    for words, factor in (("as BLAS does", 1), ("multiplied and added apart", 2)):
        bound = median["read"] + factor * fused
        print(f"distance from reading and multiply-adds {words}: {median['judge'] / bound:.2f}")


if __name__ == "__main__":
    main()
