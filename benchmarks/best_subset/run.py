"""Time best subsets against its peers, and show what a longer search buys.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/best_subset/run.py

One thread each; process CPU time; rounds alternate between the solvers and the ratio is that of
the medians. Errors are relative root mean squared errors, of least squares on the support found.
"""

import argparse
import csv
import logging
import os
import sys
import time
from functools import partial
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import numpy as np

from neuraldeps.best_subset import PROVEN, best_subsets
from neuraldeps.best_subset.columns import INDEPENDENT
from neuraldeps.covlasso import covlasso_path

sys.path.append(str(Path(__file__).parents[1] / "covlasso"))

from data import load_or_make, low_rank_gram
from timing import alternate

SIZE = 20
SHOWN = (2, 3, 4, 6, 10, 20)
SPLICING = {
    "abess": {},
    "abess, all sources": {"important_search": 0, "covariance_update": True},
}
log = logging.getLogger("benchmark")
log.propagate = False
log.addHandler(logging.StreamHandler())
log.setLevel(logging.INFO)


def pursue(gram, target):
    """Run scikit-learn's orthogonal matching pursuit; coefficients (n, SIZE) of every size."""
    from sklearn.linear_model import orthogonal_mp_gram

    without = gram.copy()
    without[target] = without[:, target] = 0
    cross = gram[target].copy()
    cross[target] = 0
    return orthogonal_mp_gram(without, cross, n_nonzero_coefs=SIZE, return_path=True)


def splice(design, target, size=None, **options):
    """Run abess over sizes 1 .. SIZE, or at one of them; coefficients without the target's."""
    from abess.linear import LinearRegression

    sizes = range(1, SIZE + 1) if size is None else [size]
    model = LinearRegression(
        support_size=sizes, fit_intercept=False, ic_type="loss", thread=1, **options
    )
    return model.fit(np.delete(design, target, 1), design[:, target]).coef_


def relative_error(gram, target, support):
    """Relative RMSE of least squares on the support."""
    coef = np.linalg.lstsq(gram[np.ix_(support, support)], gram[support, target])[0]
    return np.sqrt(max(0.0, 1 - coef @ gram[support, target] / gram[target, target]))


def errors_of_peers(gram, design, targets):
    """Mean relative RMSE of CovLasso's supports, of pursuit's and of abess' at the sizes shown."""
    path = covlasso_path(gram, targets=targets, max_support=SIZE, validate=False)
    found = {"covlasso, refitted": [], "orthogonal_mp_gram": []} | {name: [] for name in SPLICING}
    for size in SHOWN:
        lasso = path.at_support_size(size)
        rows = {name: [] for name in found}
        for row, target in enumerate(targets):
            used = lasso.support[row][: lasso.support_size[row]]
            rows["covlasso, refitted"].append(relative_error(gram, target, used))
            support = np.flatnonzero(pursue(gram, target)[:, size - 1])
            rows["orthogonal_mp_gram"].append(relative_error(gram, target, support))
            for name, options in SPLICING.items():
                support = np.flatnonzero(splice(design, target, size, **options))
                support += support >= target
                rows[name].append(relative_error(gram, target, support))
        for name, errors in rows.items():
            found[name].append(np.mean(errors))
    return found


def bench_peers(name, gram, design, rounds, n_sampled):
    """Rows of the table: time of all sizes to SIZE, and errors on the same sample of targets."""
    n = len(gram)
    targets = np.sort(np.random.default_rng(0).choice(n, n_sampled, replace=False))
    functions, count, errors = {}, {}, errors_of_peers(gram, design, targets)
    for width in (1, 2, 8):
        solver = f"ours, width {width}"
        given = {"max_support": SIZE, "width": width, "proven_size": 2, "validate": False}
        functions[solver] = partial(best_subsets, gram, **given)
        count[solver] = n
        found = best_subsets(gram, targets=targets, **given)
        moments = found.target_second_moment[:, None]
        relative = np.sqrt(found.squared_error / moments).mean(axis=0)
        errors[solver] = relative[np.subtract(SHOWN, 1)]
    functions["covlasso, refitted"] = partial(covlasso_path, gram, validate=False)
    functions["orthogonal_mp_gram"] = lambda: [pursue(gram, t) for t in targets]
    for peer, options in SPLICING.items():
        functions[peer] = lambda given=options: [splice(design, t, **given) for t in targets]
    count |= {"covlasso, refitted": n} | dict.fromkeys(["orthogonal_mp_gram", *SPLICING], n_sampled)
    seconds = alternate(functions, rounds)
    each = {solver: seconds[solver] / count[solver] for solver in functions}
    return [
        {
            "data": name,
            "solver": solver,
            "milliseconds_per_target": round(1e3 * each[solver], 3),
            "ratio_to_ours": round(each[solver] / each["ours, width 1"], 2),
        }
        | {f"error_{k}": round(100 * e, 2) for k, e in zip(SHOWN, errors[solver], strict=True)}
        for solver in functions
    ]


def sample(gram, n_sampled):
    """Draw the targets for which the best sets are proven."""
    return np.sort(np.random.default_rng(1).choice(len(gram), n_sampled, replace=False))


def bench_triples(name, gram, n_sampled):
    """What proving the best triple takes, and how often and by how much the search misses it."""
    targets = sample(gram, n_sampled)
    given = {"max_support": 3, "validate": False}
    seconds = []
    for some in (targets[:2], targets):
        best_subsets(gram, targets=some[:1], proven_size=3, **given)
        start = time.process_time()
        proven = best_subsets(gram, targets=some, proven_size=3, **given)
        seconds.append(time.process_time() - start)
    each = (seconds[1] - seconds[0]) / (n_sampled - 2)
    log.info(
        "%s: best triple of %d sources, %.1f ms per target and %.2f s once; %d of %d proven",
        *(name, len(gram), 1e3 * each, seconds[0] - 2 * each),
        *((proven.status[:, 2] == PROVEN).sum(), n_sampled),
    )
    for width in (1, 2, 4, 8):
        found = best_subsets(gram, targets=targets, width=width, proven_size=2, **given)
        excess = np.sqrt(found.squared_error[:, 2] / proven.squared_error[:, 2]) - 1
        log.info(
            "%s: width %d finds it for %d of %d; error above it by %.2f %% on average, %.1f %% at most",
            *(name, width, (excess < 1e-9).sum(), n_sampled),
            *(100 * excess.mean(), 100 * excess.max()),
        )


def explained_by_four(gram, targets, threads):
    """The most that four others explain of each target's second moment, by exhaustion.

    Given one source, the other three are the best triple of what is left after regression on it; of
    every four the first is taken, so that the further ones follow it.
    """
    most = np.zeros(len(targets))
    for i in range(len(gram) - 3):
        given = gram[i] / gram[i, i]
        left = gram - np.outer(given, gram[i])
        rest = np.arange(i + 1, len(gram))
        rest = rest[np.diagonal(left)[rest] > INDEPENDENT * np.diagonal(gram)[rest]]
        wanted = np.flatnonzero(targets != i)
        position = np.full(len(gram), -1)
        position[rest] = np.arange(len(rest))
        moments = np.diagonal(left)[targets[wanted]]
        found = best_subsets(
            left[np.ix_(rest, rest)],
            left[np.ix_(rest, targets[wanted])],
            moments,
            exclude_own=position[targets[wanted]],
            max_support=3,
            proven_size=3,
            n_threads=threads,
            validate=False,
        )
        by_rest = moments - found.squared_error[:, -1]
        by_first = gram[i, targets[wanted]] * given[targets[wanted]]
        most[wanted] = np.maximum(most[wanted], by_first + by_rest)
    return most


def bench_fours(name, gram, n_sampled, threads):
    """How far what is found at four sources is from the best four."""
    targets = sample(gram, n_sampled)
    start = time.perf_counter()
    least = np.diagonal(gram)[targets] - explained_by_four(gram, targets, threads)
    took = time.perf_counter() - start
    for width in (1, 2, 8):
        found = best_subsets(gram, targets=targets, max_support=4, width=width, validate=False)
        excess = np.sqrt(found.squared_error[:, -1] / least) - 1
        log.info(
            "%s, best four by exhaustion in %.0f s: width %d finds them for %d of %d; "
            "error above theirs by %.2f %% on average, %.1f %% at most",
            *(name, took, width, (excess < 1e-6).sum(), n_sampled),
            *(100 * excess.mean(), 100 * excess.max()),
        )


def bench_growth(sizes, supports, rounds, n_targets=32):
    """Time per target against n and k on random low-rank Grams."""
    rows = []
    for n in sizes:
        gram = low_rank_gram(n)
        targets = np.linspace(0, n - 1, n_targets).astype(int)
        few = {"validate": False, "proven_size": 1}
        functions = {
            f"{size}": partial(best_subsets, gram, max_support=size, targets=targets, **few)
            for size in supports
        }
        pairs = {"targets": targets, "max_support": supports[0], "validate": False}
        functions["pairs"] = partial(best_subsets, gram, proven_size=2, **pairs)
        seconds = alternate(functions, rounds)
        ms = {name: round(1e3 * value / n_targets, 3) for name, value in seconds.items()}
        rows.append({"n": n} | ms)
        log.info("%s", rows[-1])
    return rows


def bench_everything(n, threads):
    """Wall and CPU time and peak memory of every target at every size, on several threads."""
    gram = low_rank_gram(n)
    best_subsets(gram, targets=range(8), proven_size=1, validate=False)
    before = getrusage(RUSAGE_SELF).ru_maxrss / 1e6
    start = time.perf_counter(), time.process_time()
    best_subsets(gram, max_support=SIZE, n_threads=threads, validate=False)
    log.info(
        "%d categories to %d, %d threads: %.1f s, %.1f s of CPU, peak %.2f GB, %.2f before, Gram %.2f",
        *(n, SIZE, threads, time.perf_counter() - start[0], time.process_time() - start[1]),
        *(getrusage(RUSAGE_SELF).ru_maxrss / 1e6, before, gram.nbytes / 1e9),
    )


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
    for column in [name for name in rows[0] if name not in ("n", "pairs")]:
        values = [row[column] for row in rows]
        label = f"sizes to {column}"
        axes.plot([row["n"] for row in rows], values, "o-", label=label, ms=4)
    axes.set(xscale="log", yscale="log", xlabel="categories", ylabel="milliseconds per target")
    axes.legend(fontsize=7)
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out")
    parser.add_argument("--rounds", type=int, default=5, help="0 leaves out the peers")
    parser.add_argument("--sampled", type=int, default=40, help="targets for one-by-one peers")
    parser.add_argument(
        "--data",
        nargs="*",
        default=["rank513", "rank1000"],
        help="rank513, rank1000, or .npy files of logits (images x categories)",
    )
    parser.add_argument("--sizes", nargs="*", type=int, default=[250, 1000, 4000])
    parser.add_argument(
        "--four", type=int, metavar="TARGETS", help="prove the best four sources of so many targets"
    )
    parser.add_argument("--everything", type=int, help="every target of so many categories")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if os.environ.get("OMP_NUM_THREADS") != "1" or os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1: peers load their own pools")
    rows = []
    for name in options.data:
        design = load_or_make(name, options.out)
        gram = design.T @ design
        if options.rounds:
            rows += bench_peers(name, gram, design, options.rounds, options.sampled)
            write(rows, options.out / "peers.csv")
        bench_triples(name, gram, options.sampled)
        if options.four:
            bench_fours(name, gram, options.four, threads=2)
    for row in rows:
        log.info("%s", " ".join(map(str, row.values())))
    if options.sizes:
        growth = bench_growth(options.sizes, (5, 10, SIZE), max(3, options.rounds // 2))
        write(growth, options.out / "growth.csv")
        plot_growth(growth, options.out / "growth.svg")
    if options.everything:
        bench_everything(options.everything, threads=2)


if __name__ == "__main__":
    main()
