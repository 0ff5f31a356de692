"""Fuzz CovLasso with problems rich in ties, duplicates and dependent categories.

    python -m tests.fuzz_covlasso --seconds 3600

Every answer is certified a second time, here, in plain NumPy. No certificate sees whether an answer
is "the last before the support exceeds k": that is compared with the path in exact fractions. An
answer that the solver refuses, or that fails a check, is printed with the seed that makes its
problem again.
"""

from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, combinations

import numpy as np

from neuraldeps.covlasso import (
    UncertifiedError,
    batch,
    covlasso_path,
    solve_covlasso,
    working_set,
)
from tests.fuzzing import run, seeds_until

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
    sizes: int = 0
    not_unique: int = 0
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

    size = 1 + seed % 4
    whole = covlasso_path(second_moment, cross_moment, moments, max_support=n_sources)
    read = whole.at_support_size(size, or_last=True)
    solved = solve_covlasso(
        second_moment, cross_moment, moments, support_size=size, or_empty=True, validate=False
    )
    coefs = [one.to_sparse(n_sources).toarray() for one in (read, solved)]
    # widened working sets have another order, and near copies that are as good may change places
    known = np.isfinite(solved.dual_gap) & ((name != "near copies") | (seed % 2 == 0))
    same = np.isclose(read.alpha, solved.alpha, rtol=1e-9) & np.isclose(*coefs, atol=1e-9).all(1)
    small = np.count_nonzero(coefs, axis=2).max(axis=0) <= size
    for target in np.flatnonzero(~(small & (same | ~known))):
        both = [np.flatnonzero(coef[target]).tolist() for coef in coefs]
        tally.failures.append((seed, name, int(target), f"at most {size}", f"depends: {both}"))

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
        if path.ended_by[0] == "certificate":
            tally.failures.append((seed, name, target, "path", "ended by its certificate"))
        knots = path.alpha[0, : path.n_knots[0]]
        for alpha in np.concatenate([knots, (knots[1:] + knots[:-1]) / 2]):
            if alpha > 0:
                try:
                    verify(path.at_alpha(alpha), f"path {alpha:.3g}")
                except UncertifiedError:
                    tally.not_interpolated += 1


def _solve_exactly(matrix, right):
    """Solve a system of fractions by elimination; None if it is singular."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i in range(len(rows)):
        pivot = next((r for r in range(i, len(rows)) if rows[r][i]), None)
        if pivot is None:
            return None
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for r in range(len(rows)):
            if r != i and rows[r][i]:
                factor = rows[r][i]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i], strict=True)]
    return [row[-1] for row in rows]


def _next_direction(matrix, tied, sign, free):
    """How coefficients move as the penalty falls by one, and correlations; None if not unique.

    `free` categories have a non-zero coefficient. The others of `tied` may come to have one of the
    sign of their correlation: which of them do is found by trying all.
    """
    if _solve_exactly([[matrix[i][j] for j in tied] for i in tied], [0] * len(tied)) is None:
        return None
    waiting = [j for j in tied if j not in free]
    for some in chain.from_iterable(combinations(waiting, r) for r in range(len(waiting) + 1)):
        used = [*free, *some]
        values = _solve_exactly(
            [[matrix[i][j] for j in used] for i in used], [sign[i] for i in used]
        )
        rate = [sum(row[j] * d for j, d in zip(used, values, strict=True)) for row in matrix]
        rises = all(sign[j] * d >= 0 for j, d in zip(used, values, strict=True) if j in some)
        if rises and all(sign[j] * rate[j] >= 1 for j in waiting if j not in some):
            return dict(zip(used, values, strict=True)), rate
    raise AssertionError("the path ends in the middle")


def exact_at_most(matrix, cross, size):
    """The last point of the exact path before its support first exceeds `size`.

    Parameters
    ----------
    matrix, cross : nested lists of Fraction or int
        Second moment of the allowed sources, and their cross moment with the target.
    size : int

    Returns
    -------
    tuple of Fraction and dict, or None
        The penalty, 0 at the end of the path, and the coefficients that are not zero. None where
        the solution is not unique.
    """
    alpha, coef = max(map(abs, cross), default=Fraction(0)), {}
    correlation = [Fraction(value) for value in cross]
    while alpha > 0:
        tied = [j for j, value in enumerate(correlation) if abs(value) == alpha]
        sign = {j: 1 if correlation[j] > 0 else -1 for j in tied}
        found = _next_direction(matrix, tied, sign, [j for j in tied if j in coef])
        if found is None:
            return None
        move, rate = found
        if sum(d != 0 or j in coef for j, d in move.items()) > size:
            break
        steps = [-coef[j] / d for j, d in move.items() if j in coef and sign[j] * d < 0]
        steps += [
            (alpha - s * correlation[j]) / (1 - s * rate[j])
            for j in range(len(correlation))
            for s in (1, -1)
            if j not in move and s * correlation[j] != alpha and s * rate[j] != 1
        ]
        step = min([alpha, *(t for t in steps if t > 0)])
        alpha -= step
        coef = {j: coef.get(j, 0) + step * d for j, d in move.items()}
        coef = {j: value for j, value in coef.items() if value}
        correlation = [c - step * r for c, r in zip(correlation, rate, strict=True)]
    return alpha, coef


INTEGERS = {
    "binary": lambda g, rows, n: g.integers(0, 2, (rows, n)),
    "ternary": lambda g, rows, n: g.integers(-1, 2, (rows, n)),
    "signs": lambda g, rows, n: g.choice([-1, 1], (rows, n)),
    "integer": lambda g, rows, n: g.integers(-3, 4, (rows, n)),
    "votes": lambda g, rows, n: g.multinomial(3, np.full(n, 1 / n), rows),
    "identity": lambda g, rows, n: np.vstack([np.eye(n, dtype=int), g.integers(0, 2, (rows, n))]),
    "symmetric": lambda g, rows, n: np.vstack(
        [d := g.integers(-1, 3, (rows, n)), d[:, [1, 0, *range(2, n)]]]
    ),
}


def check_support_sizes(seed, tally):
    """Compare every "at most k" of a small problem with the exact path, and across `max_support`."""
    generator = np.random.default_rng(seed)
    name = str(generator.choice(list(INTEGERS)))
    n, rows = (int(value) for value in generator.integers([2, 1], [7, 9]))
    design = INTEGERS[name](generator, rows, n)
    within = generator.random() < 0.6
    n_targets = n if within else 3
    aims = design if within else generator.integers(-1, 3, (len(design), n_targets))
    counts, cross = design.T @ design, design.T @ aims
    given = [counts / len(design)]
    if not within:
        given += [cross / len(design), (aims**2).mean(axis=0)]
    exclude_own = within or bool(generator.random() < 0.5)
    options = {"exclude_own": exclude_own, "validate": False}
    whole = covlasso_path(*given, max_support=n, **options)
    for size in range(1, n + 1):
        tally.sizes += n_targets
        try:
            short = covlasso_path(*given, max_support=size, **options).at_support_size(size)
            answers = (whole.at_support_size(size), short)
            answers += (solve_covlasso(*given, support_size=size, **options),)
        except UncertifiedError as error:
            tally.failures.append((seed, name, "at most", size, str(error)))
            continue
        for target in range(n_targets):
            allowed = [j for j in range(n) if j != target or not exclude_own]
            matrix = [[Fraction(int(counts[i, j])) for j in allowed] for i in allowed]
            exact = exact_at_most(matrix, [Fraction(int(cross[j, target])) for j in allowed], size)
            tally.not_unique += exact is None
            wrong = _compare(exact, answers, target, allowed, len(design), n, size)
            if wrong:
                tally.failures.append((seed, name, target, f"at most {size}", wrong))


def _compare(exact, answers, target, allowed, n_images, n_sources, size):
    """What is wrong with the answers of one target, or an empty text."""
    coefs = [answer.to_sparse(n_sources).toarray()[target] for answer in answers]
    alphas = [answer.alpha[target] for answer in answers]
    if max(np.count_nonzero(coef) for coef in coefs) > size:
        return f"supports of {[np.count_nonzero(coef) for coef in coefs]}"
    if not (np.array_equal(coefs[0], coefs[1]) and np.array_equal(coefs[0], coefs[2])):
        return f"depends on max_support: {coefs}"
    if exact is None or exact[0] == 0:  # the solver's path ends before alpha is 0
        return ""
    right = np.zeros(n_sources)
    for j, value in exact[1].items():
        right[allowed[j]] = float(value)
    if (right != 0).tolist() != (coefs[0] != 0).tolist():
        return f"{coefs[0]}, exact {right}"
    close = np.isclose(alphas[0], float(exact[0]) / n_images, rtol=1e-9)
    return "" if close and np.allclose(coefs[0], right, atol=1e-9) else f"{coefs[0]}, exact {right}"


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
    for seed in seeds_until(seconds, first_seed):
        if seed % 2:
            with few_columns(2, (1, 2), room=seed % 3):
                check_problem(seed, tally)
        else:
            check_problem(seed, tally)
        check_support_sizes(seed, tally)
    return tally


if __name__ == "__main__":
    run(
        fuzz,
        lambda tally: (
            f"{tally.problems} problems, {tally.answers} answers, worst gap {tally.worst:.1e} of the "
            f"target's second moment, {tally.not_interpolated} not certified between knots, "
            f"{tally.sizes} support sizes ({tally.not_unique} not unique)"
        ),
    )
