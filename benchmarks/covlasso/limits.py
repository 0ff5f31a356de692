"""How far a path to 50 is from what the machine can do: multiplying, adding, and reading the Gram.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONPATH=. python benchmarks/covlasso/limits.py rank513

Multiply-adds that no certified path on a Gram can do without are counted from the paths found: the
correlations of every category at every knot, once, and a triangular solve with two right-hand sides
for every segment. Bytes are the rows of the Gram of each category that a path ever uses, read once: they
stay in the second-level cache. What the machine can do is measured beside the paths, in rounds that
alternate: multiply-adds of the certificate's own kernel on 32 rows of the Gram, those of BLAS
multiplying matrices, and reading rows of the Gram at random.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from numba import njit

from neuraldeps.covlasso import covlasso_path
from neuraldeps.covlasso.certificate import GROUP
from neuraldeps.covlasso.kernels import aligned, largest_above, subtract_rows_from_four

from data import load_or_make
from peers import Peers
from timing import alternate

RESIDENT, REPEATS = 32, 500  # rows of the Gram in the kernel's trial, and how often
MULTIPLIED = 800  # order of BLAS's matrices


def count_work(path, n):
    """Multiply-adds and bytes that no certified path is free of; the average target."""
    known = np.arange(path.alpha.shape[1]) < path.n_knots[:, np.newaxis]
    sizes = path.support_size[known].astype(float)
    n_targets = len(path.targets)
    rows_read = sum(
        np.unique(support).size - 1 for support in path.support
    )  # one of them is padding
    return {
        "knots": known.sum() / n_targets,
        "multiply-adds of certificates": n * sizes.sum() / n_targets,
        "multiply-adds of coefficients": (sizes**2).sum() / n_targets,
        "bytes": 8 * n * rows_read / n_targets,
    }


@njit
def multiply_add_rows(out, weight, matrix, index, repeats):
    for _ in range(repeats):
        subtract_rows_from_four(out, weight, matrix, index, index.size, 0, out.shape[1])


@njit
def read_rows(matrix, rows):
    total = 0.0
    for row in rows:
        total = max(total, largest_above(matrix[row], 1e300))
    return total


def trials(gram):
    """What shows the machine's limits, as functions to time, and how much each of them does."""
    rng = np.random.default_rng(0)
    n = len(gram)
    out, lined_up = aligned(GROUP, n)[:, :n], aligned(n, n)[:, :n]
    lined_up[:] = gram
    weight, some = rng.random((GROUP, RESIDENT)) / n, rng.permutation(n)[:RESIDENT]
    a, b = rng.random((2, MULTIPLIED, MULTIPLIED))
    rows = rng.permutation(np.tile(np.arange(n), 20))
    functions = {
        "certificate's kernel": lambda: multiply_add_rows(out, weight, lined_up, some, REPEATS),
        "BLAS": lambda: a @ b,
        "read": lambda: read_rows(lined_up, rows),
    }
    amounts = GROUP * n * RESIDENT * REPEATS, MULTIPLIED**3, 8 * n * len(rows)
    return functions, dict(zip(functions, amounts, strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="as in run.py")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out")
    parser.add_argument("--size", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    design = load_or_make(options.data, options.out)
    gram = design.T @ design
    n = len(gram)
    work = count_work(covlasso_path(gram, max_support=options.size), n)
    functions, amounts = trials(gram)
    functions["path"] = lambda: covlasso_path(gram, max_support=options.size, validate=False)
    functions["SPAMS"] = partial(Peers(gram, design).spams_all, max_support=options.size)
    seconds = alternate(functions, options.rounds)
    rate = {name: amounts[name] / seconds[name] for name in amounts}
    ours, spams = 1e6 * seconds["path"] / n, 1e6 * seconds["SPAMS"] / n
    for name, amount in work.items():
        print(f"{name}: {amount:.4g} per target")
    reading = 1e6 * work["bytes"] / rate.pop("read")
    needed = work["multiply-adds of certificates"] + work["multiply-adds of coefficients"]
    for name, per_second in rate.items():
        print(
            f"{name}: {per_second / 1e9:.1f} multiply-adds per ns, {1e6 * needed / per_second:.0f} us"
        )
    print(f"reading: {work['bytes'] / reading / 1e3:.1f} GB/s, {reading:.0f} us")
    print(f"ours {ours:.0f} us, SPAMS {spams:.0f} us: a third of it is {spams / 3:.0f} us")


if __name__ == "__main__":
    main()
