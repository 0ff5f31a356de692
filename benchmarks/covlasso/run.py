"""Time CovLasso against its peers at equal certified gap.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/covlasso/run.py --out benchmarks/covlasso/out

One thread each; process CPU time; rounds alternate between the solvers and the ratio is that of
the medians. A peer's tolerance is the loosest at which every answer's duality gap is within 1e-10
of the target's second moment, the gap being computed here, in the same way for all.
"""

import argparse
import csv
import logging
import os
import time
import warnings
from functools import partial
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import numpy as np

from neuraldeps.covlasso import covlasso_path, solve_covlasso

from data import load_or_make, low_rank_gram
from peers import ON_A_GRID, ONE_BY_ONE, Peers
from timing import alternate

GOAL = 1e-10
log = logging.getLogger("benchmark")
log.propagate = False
log.addHandler(logging.StreamHandler())
log.setLevel(logging.INFO)


def relative_gap(gram, target, alpha, coef):
    used = np.flatnonzero(coef)
    cross = gram[target]
    correlation = cross - coef[used] @ gram[used]
    correlation[target] = 0
    correlated = coef[used] @ correlation[used]
    error = max(gram[target, target] - coef @ cross - correlated, 0.0)
    kappa = alpha / max(alpha, np.abs(correlation).max())
    gap = (1 - kappa) ** 2 / 2 * error + alpha * np.abs(coef).sum() - kappa * correlated
    return gap / gram[target, target]


def certified_tolerance(gram, solve, tolerances, problems, patience=60.0):
    """The loosest tolerance whose answers all meet GOAL, or None, and the largest gap of its answers.

    A problem is a target and its penalties; `solve(target, alphas, tolerance)` has a row for each.
    """
    best = np.inf
    for tolerance in tolerances:
        start = time.process_time()
        largest = max(
            relative_gap(gram, target, alpha, coef)
            for target, alphas in problems
            for alpha, coef in zip(alphas, solve(target, alphas, tolerance), strict=True)
        )
        best = np.fmin(best, largest)
        if largest <= GOAL:
            return tolerance, largest
        if time.process_time() - start > patience:
            break
    return None, best


def at_goal(peers, names, problems, *, one_penalty):
    """The peers that reach GOAL, at the loosest tolerance that does, as functions to time."""
    functions = {}
    for name, tolerances in names.items():
        peer = getattr(peers, name)
        solve = (lambda t, a, tol, p=peer: [p(t, a[0], tol)]) if one_penalty else peer
        tolerance, gap = certified_tolerance(peers.gram, solve, tolerances, problems)
        outcome = "does not reach the goal" if tolerance is None else f"tolerance {tolerance:g}"
        log.info("%s: %s, largest gap %.1e", name, outcome, gap)
        if tolerance is not None:
            functions[name] = lambda s=solve, tol=tolerance: [s(*one, tol) for one in problems]
    return functions


def bench_penalty(name, gram, design, alpha, rounds, n_sampled):
    """Rows of the table for one penalty: all targets for SPAMS and us, a sample for the rest."""
    n = len(gram)
    peers = Peers(gram, design)
    targets = np.sort(np.random.default_rng(0).choice(n, n_sampled, replace=False))
    ours = solve_covlasso(gram, alpha=alpha)
    spams = np.asarray(peers.spams_all(alpha=alpha).toarray()).T
    spams_gap = max(relative_gap(gram, t, alpha, spams[t]) for t in targets)
    functions = {
        "ours": lambda: solve_covlasso(gram, alpha=alpha, validate=False),
        "spams": lambda: peers.spams_all(alpha=alpha),
    }
    log.info("%s alpha %g: spams gap %.1e", name, alpha, spams_gap)
    sampled = at_goal(
        peers, ONE_BY_ONE, [(t, np.array([alpha])) for t in targets], one_penalty=True
    )
    count = dict.fromkeys(functions, n) | dict.fromkeys(sampled, n_sampled)
    functions |= sampled
    seconds = alternate(functions, rounds)
    each = {solver: seconds[solver] / count[solver] for solver in seconds}
    return [
        {
            "data": name,
            "problem": f"alpha={alpha:g}",
            "median_support": int(np.median(ours.support_size)),
            "solver": solver,
            "microseconds_per_target": round(1e6 * each[solver], 1),
            "ratio_to_ours": round(each[solver] / each["ours"], 2),
        }
        for solver in ["ours", "spams", *ONE_BY_ONE]
        if solver in each
    ]


def bench_path(name, gram, design, size, rounds, n_sampled):
    """Rows of the table for whole paths to `size` non-zeros.

    A peer that follows a grid of penalties gets as many as the path has knots, over the same range.
    """
    n = len(gram)
    peers = Peers(gram, design)
    targets = np.sort(np.random.default_rng(0).choice(n, n_sampled, replace=False))
    path = covlasso_path(gram, max_support=size)
    knots = path.n_knots
    log.info("%s path to %d: %.0f knots", name, size, knots.mean())
    functions = {
        "ours": lambda: covlasso_path(gram, max_support=size, validate=False),
        "spams": lambda: peers.spams_all(max_support=size),
        "sklearn_lars": lambda: [peers.lars_path(t, max_iter=int(knots[t] - 1)) for t in targets],
    }
    ends = path.alpha[targets, 0], path.alpha[targets, knots[targets] - 1]
    grids = [
        np.geomspace(high, low, k)[1:] for high, low, k in zip(*ends, knots[targets], strict=True)
    ]
    problems = list(zip(targets, grids, strict=True))
    sampled = at_goal(peers, ON_A_GRID, problems, one_penalty=False)
    count = dict.fromkeys(functions, n) | dict.fromkeys(["sklearn_lars", *sampled], n_sampled)
    functions |= sampled
    seconds = alternate(functions, rounds)
    each = {solver: seconds[solver] / count[solver] for solver in seconds}
    return [
        {
            "data": name,
            "problem": f"path to {size}",
            "median_support": size,
            "solver": solver,
            "microseconds_per_target": round(1e6 * each[solver], 1),
            "ratio_to_ours": round(each[solver] / each["ours"], 2),
        }
        for solver in functions
    ]


def read_rows(gram, picked):
    """Read as many rows of the Gram as a support has categories: what no solver can avoid."""
    return [gram[rows].sum() for rows in picked]


def bench_everything(n, size, threads):
    """Wall and CPU time and peak memory of every target's path, on several threads."""
    gram = low_rank_gram(n)
    covlasso_path(gram, max_support=size, targets=range(8), validate=False)
    before = getrusage(RUSAGE_SELF).ru_maxrss / 1e6
    start = time.perf_counter(), time.process_time()
    solve_covlasso(gram, support_size=size, n_threads=threads, validate=False)
    log.info(
        "%d categories, support %d, %d threads: %.1f s, %.1f s of CPU, peak %.2f GB, %.2f before",
        *(n, size, threads, time.perf_counter() - start[0], time.process_time() - start[1]),
        *(getrusage(RUSAGE_SELF).ru_maxrss / 1e6, before),
    )


def bench_growth(sizes, supports, rounds, n_targets=64):
    """Time per target against n and k on random low-rank Grams, beside reading k Gram rows once."""
    rows = []
    for n in sizes:
        generator, gram = np.random.default_rng(n), low_rank_gram(n)
        targets = np.linspace(0, n - 1, n_targets).astype(int)
        for size in supports:
            pick = generator.integers(0, n, (n_targets, size))
            given = {"targets": targets, "validate": False}
            functions = {
                "path": partial(covlasso_path, gram, max_support=size, **given),
                "read_rows": partial(read_rows, gram, pick),
            }
            seconds = alternate(functions, rounds)
            rows.append(
                {"n": n, "support": size}
                | {f"{k}_us": round(1e6 * v / n_targets, 1) for k, v in seconds.items()}
            )
            log.info("%s", rows[-1])
    return rows


def write(rows, path):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def plot_growth(rows, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.5), layout="constrained")
    for size, colour in zip(sorted({row["support"] for row in rows}), ("C0", "C1"), strict=False):
        part = [row for row in rows if row["support"] == size]
        for column, style in (("path", "o-"), ("read_rows", ":")):
            label = f"{column.replace('_', ' ')}, {size}"
            values = [row[f"{column}_us"] for row in part]
            axes.plot([row["n"] for row in part], values, style, color=colour, label=label, ms=4)
    axes.set(xscale="log", yscale="log", xlabel="categories", ylabel="microseconds per target")
    axes.legend(fontsize=7)
    figure.savefig(path)


def run(options):
    """Run what the options ask for; tables are written as they grow."""
    rows = []
    for name in options.data:
        design = load_or_make(name, options.out)
        gram = design.T @ design
        for alpha in options.alphas:
            rows += bench_penalty(name, gram, design, alpha, options.rounds, options.sampled)
            write(rows, options.out / "peers.csv")
        for size in (20, 50):
            rows += bench_path(name, gram, design, size, options.rounds, options.sampled)
            write(rows, options.out / "peers.csv")
    for row in rows:
        log.info("%s", " ".join(map(str, row.values())))
    if options.everything:
        bench_everything(options.everything, size=20, threads=2)
    if options.sizes:
        growth = bench_growth(options.sizes, (20, 50), max(3, options.rounds // 2))
        write(growth, options.out / "growth.csv")
        plot_growth(growth, options.out / "growth.svg")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sampled", type=int, default=20, help="targets for one-by-one peers")
    parser.add_argument(
        "--data",
        nargs="*",
        default=["rank513", "rank1000"],
        help="rank513, rank1000, or .npy files of logits (images x categories)",
    )
    parser.add_argument("--alphas", nargs="*", type=float, default=[1.5, 0.5, 0.2])
    parser.add_argument("--sizes", nargs="*", type=int, default=[250, 1000, 4000, 10_000])
    parser.add_argument("--everything", type=int, help="every target of so many categories")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    options.out.mkdir(parents=True, exist_ok=True)
    if os.environ.get("OMP_NUM_THREADS") != "1" or os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1: peers load their own pools")
    run(options)


if __name__ == "__main__":
    main()
