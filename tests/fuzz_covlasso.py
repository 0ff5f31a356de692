"""Fuzz CovLasso with problems rich in ties, duplicates and dependent categories.

    python tests/fuzz_covlasso.py --seconds 3600

Every answer is certified a second time, here, in plain NumPy. An answer that the solver refuses, or
whose own certificate this one contradicts, is printed with the seed that makes its problem again.
"""

import argparse
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from neuraldeps.covlasso import (
    UncertifiedError,
    batch,
    covlasso_path,
    solve_covlasso,
    working_set,
)

FRACTIONS = (0.7, 0.5, 1 / 3, 0.2, 0.05, 1e-4)
TOLERANCE = 1e-12  # of the target's second moment
ROUNDING = 1e-15  # relative, of one float64 correlation


def _with_copies(design):
    n = design.shape[1]
    return np.hstack([design, design[:, : n // 2], -design[:, : n // 3]])


def _equicorrelated(generator, n):
    blocks = np.kron(np.eye(max(1, n // 4)), np.ones((1, 4)))[:, :n]
    blocks = np.pad(blocks, ((0, 0), (0, n - blocks.shape[1])))
    own = 0.5 * np.eye(n)[: generator.integers(0, n + 1)]
    return np.vstack([blocks, np.ones((1, n)), own])


DESIGNS = {
    "binary": lambda g, rank, n: g.integers(0, 2, (rank, n)).astype(float),
    "ternary": lambda g, rank, n: g.integers(-1, 2, (rank, n)).astype(float),
    "signs": lambda g, rank, n: g.choice([-1.0, 1.0], (rank, n)),
    "integer": lambda g, rank, n: g.integers(-3, 4, (rank, n)).astype(float),
    "blocks": lambda g, rank, n: _equicorrelated(g, n),
    "copies": lambda g, rank, n: _with_copies(g.integers(-2, 3, (rank, n)).astype(float)),
    "normal": lambda g, rank, n: g.standard_normal((rank, n)),
    "scaled": lambda g, rank, n: g.standard_normal((rank, n)) * 10.0 ** g.uniform(-3, 3, n),
    "shifted": lambda g, rank, n: g.standard_normal((rank, n)) + 2 * g.standard_normal((rank, 1)),
    "near copies": lambda g, rank, n: (
        _with_copies(d := g.standard_normal((rank, n)))
        + 10.0 ** g.uniform(-9, -1) * g.standard_normal(_with_copies(d).shape)
    ),
}


@dataclass
class Tally:
    """What a run saw."""

    problems: int = 0
    answers: int = 0
    worst: float = 0.0
    not_interpolated: int = 0
    failures: list = field(default_factory=list)


def relative_gap(second_moment, cross_moment, moment, own, alpha, coef):
    """Duality gap of `coef` in plain NumPy, less its own rounding, over the second moment.

    Two dual points are tried: the residual of `coef`, and that of `coef` after a least squares
    correction on its support; the better one bounds the distance to the minimum.
    """
    used = np.flatnonzero(coef)
    correlation = cross_moment - second_moment @ coef
    error = max(moment - (cross_moment + correlation) @ coef, 0.0)
    block = second_moment[np.ix_(used, used)]
    correction = np.zeros_like(coef)
    correction[used] = np.linalg.lstsq(block, (correlation - alpha * np.sign(coef))[used])[0]
    gaps = []
    for step in (np.zeros_like(coef), correction):
        dual = correlation - second_moment @ step
        if own >= 0:
            dual[own] = 0.0
        kappa = alpha / max(np.abs(dual).max(), alpha)
        moved = (1 - kappa) * error**0.5 + kappa * max(step @ second_moment @ step, 0.0) ** 0.5
        gaps.append(moved**2 / 2 + alpha * np.abs(coef).sum() - kappa * (dual @ coef))
    magnitude = np.abs(cross_moment) + np.abs(second_moment) @ np.abs(coef)
    gap = min(gaps) - ROUNDING * np.abs(coef).sum() * magnitude.max()
    return gap / moment if moment > 0 else gap


def make_problem(seed):
    """Second moment of a random design, and the moments of random targets (or None: within)."""
    generator = np.random.default_rng(seed)
    name = generator.choice(list(DESIGNS))
    design = DESIGNS[name](
        generator, int(generator.integers(1, 16)), int(generator.integers(2, 26))
    )
    rows = len(design)
    second_moment = design.T @ design / rows
    if generator.random() < 0.7:
        return name, second_moment, None, None
    n_targets = int(generator.integers(1, 8))
    mixing = generator.integers(-1, 2, (design.shape[1], n_targets)).astype(float)
    targets = design @ mixing + generator.integers(-1, 2, (rows, n_targets))
    return name, second_moment, design.T @ targets / rows, (targets**2).mean(axis=0)


def check_problem(seed, tally):
    """Solve one problem along its path and at several penalties; record what is wrong."""
    name, second_moment, cross_moment, moments = make_problem(seed)
    within = cross_moment is None
    cross = second_moment if within else cross_moment
    moment = np.diag(second_moment) if within else moments
    n_sources, n_targets = cross.shape
    tally.problems += 1

    def verify(solution, label):
        coef = solution.to_sparse(n_sources).toarray()
        for row, target in enumerate(solution.targets):
            own = target if target < n_sources else -1
            gap = relative_gap(
                second_moment, cross[:, target], moment[target], own, solution.alpha[row], coef[row]
            )
            tally.answers += 1
            tally.worst = max(tally.worst, gap)
            if not gap <= TOLERANCE or coef[row, own] * (own >= 0):
                tally.failures.append((seed, name, int(target), label, f"gap {gap:.2e}"))

    for target in range(n_targets):
        largest = np.abs(np.delete(cross[:, target], target if target < n_sources else [])).max(
            initial=0.0
        )
        for fraction in FRACTIONS if largest > 0 else ():
            arguments = {"targets": [target], "alpha": fraction * largest, "validate": False}
            try:
                verify(solve_covlasso(second_moment, cross_moment, moments, **arguments), fraction)
            except UncertifiedError as error:
                tally.failures.append((seed, name, target, fraction, str(error)))
        try:
            path = covlasso_path(
                second_moment, cross_moment, moments, targets=[target], max_support=n_sources,
                alpha_min=1e-4 * largest, validate=False,
            )  # fmt: skip
        except UncertifiedError as error:
            tally.failures.append((seed, name, target, "path", str(error)))
            continue
        knots = path.alpha[0, : path.n_knots[0]]
        for alpha in np.concatenate([knots, (knots[1:] + knots[:-1]) / 2]):
            if alpha > 0:
                try:
                    verify(path.at_alpha(alpha), f"path {alpha:.3g}")
                except UncertifiedError:
                    tally.not_interpolated += 1


@contextmanager
def few_columns(all_columns, first_columns, room):
    """Working sets so small that these problems need to widen them."""
    before = working_set.ALL_COLUMNS, working_set.FIRST_COLUMNS, batch._COLUMNS
    working_set.ALL_COLUMNS, working_set.FIRST_COLUMNS = all_columns, first_columns
    batch._COLUMNS = room
    try:
        yield
    finally:
        working_set.ALL_COLUMNS, working_set.FIRST_COLUMNS, batch._COLUMNS = before


def fuzz(seconds, first_seed=0):
    """Check problems of consecutive seeds until the time is over, every other on few columns."""
    tally = Tally()
    end = time.monotonic() + seconds
    seed = first_seed
    while time.monotonic() < end:
        if seed % 2:
            with few_columns(2, (1, 2), room=seed % 3):
                check_problem(seed, tally)
        else:
            check_problem(seed, tally)
        seed += 1
    return tally


def main():
    """Run from the command line; exit with 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    options = parser.parse_args()
    tally = fuzz(options.seconds, options.seed)
    for failure in tally.failures[:50]:
        print(*failure)
    print(
        f"{tally.problems} problems, {tally.answers} answers, worst gap {tally.worst:.1e} of the "
        f"target's second moment, {tally.not_interpolated} not certified between knots, "
        f"{len(tally.failures)} failures"
    )
    raise SystemExit(bool(tally.failures))


if __name__ == "__main__":
    main()
