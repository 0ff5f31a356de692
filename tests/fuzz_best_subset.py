"""Fuzz best subsets with problems rich in ties, duplicates and dependent categories.

    python -m tests.fuzz_best_subset --seconds 3600

Every answer is checked here, in plain NumPy: its coefficients and error against least squares, its
optimality under exchange against all exchanges and, for up to 12 sources, what is called proven
against all sets of that size. What is wrong is printed with the seed that makes its problem again.
"""

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from neuraldeps.best_subset import DEPENDENT, PROVEN, best_subsets
from neuraldeps.best_subset.columns import INDEPENDENT
from tests.fuzz_covlasso import make_problem
from tests.fuzzing import run, seeds_until

TOLERANCE = 1e-9  # of the target's second moment: the search's own 1e-10, and rounding
BAND = 1.1  # around the bound on independence, within which a set may count either way
FEW = 12  # sources up to which all sets are tried


@dataclass
class Tally:
    """What a run saw."""

    problems: int = 0
    answers: int = 0
    proven: int = 0
    optimal: int = 0
    compared: int = 0
    failures: list = field(default_factory=list)


class Oracle:
    """One target in normalised moments, solved by NumPy."""

    def __init__(self, second_moment, cross_moment, moment, own):
        self.root = np.sqrt(np.diagonal(second_moment))
        safe = np.where(self.root > 0, self.root, 1.0)
        self.moments = second_moment / safe / safe[:, None]
        self.cross = cross_moment / safe / np.sqrt(moment or 1.0)
        self.free = [j for j in range(len(safe)) if j != own and self.root[j] > 0]

    def solve(self, members):
        """Explained part and least independence of a set."""
        members = list(members)
        if not members:
            return 0.0, 1.0
        block = self.moments[np.ix_(members, members)]
        values, vectors = np.linalg.eigh(block)
        if values[0] < 1e-14:
            return 0.0, 0.0
        inverse = (vectors / values) @ vectors.T
        least = 1 / np.diagonal(inverse).max()
        part = vectors.T @ self.cross[members]
        return float(part @ (part / values)), least

    def best(self, candidates):
        """The most that a clearly independent set of the candidates explains, less rounding."""
        solved = (self.solve(members) for members in candidates)
        independent = (pair for pair in solved if pair[1] > BAND * INDEPENDENT)
        return max((e - self.rounding(least) for e, least in independent), default=0.0)

    def rounding(self, least):
        """How far rounding of the moments moves what a set of this independence explains."""
        return 1e-15 * len(self.root) / max(least, 1e-14)

    def neighbours(self, members, size):
        """Sets that differ by one source exchanged, or added where there is room."""
        others = [j for j in self.free if j not in members]
        for leaving in members:
            kept = [j for j in members if j != leaving]
            yield from ([*kept, j] for j in others)
        if len(members) < size:
            yield from ([*members, j] for j in others)


def check_answer(oracle, members, coef, error, status, size, tally):
    """What is wrong with one answer, or None."""
    members = [int(j) for j in members]
    explained, least = oracle.solve(members)
    rounding = oracle.rounding(least)
    if least < INDEPENDENT / BAND:
        return f"independence {least:.1e}"
    if any(j not in oracle.free for j in members) or members != sorted(members):
        return "a source that may not be used, or the order"
    if not abs(1 - explained - error) < TOLERANCE + rounding:
        return f"error off by {1 - explained - error:.1e}"
    scaled = coef * oracle.root[members]
    gradient = oracle.cross[members] - oracle.moments[np.ix_(members, members)] @ scaled
    if members and not np.abs(gradient).max() < 1e-10 * (1 + np.abs(scaled).sum()):
        return f"gradient {np.abs(gradient).max():.1e}"
    best = oracle.best(oracle.neighbours(members, size))
    if best > explained + TOLERANCE + rounding:
        return f"an exchange gains {best - explained:.1e}"
    if len(oracle.free) <= FEW and size <= 4:
        best = oracle.best(
            members for k in range(size + 1) for members in combinations(oracle.free, k)
        )
        tally.compared += 1
        tally.optimal += best <= explained + TOLERANCE + rounding
        if status == PROVEN and best > explained + TOLERANCE + rounding:
            return f"proven, yet another set explains {best - explained:.1e} more"
    tally.proven += status == PROVEN
    return None


def check_problem(seed, tally):
    """Find all sizes of all targets; record what is wrong."""
    name, second_moment, cross_moment, moments = make_problem(seed)
    within = cross_moment is None
    cross = second_moment if within else cross_moment
    power = np.diagonal(second_moment) if within else moments
    n_sources, n_targets = cross.shape
    generator = np.random.default_rng(seed)
    size = int(generator.integers(1, 9))
    width, proven = int(generator.integers(1, 4)), int(generator.integers(1, 4))
    found = best_subsets(
        second_moment, cross_moment, moments, max_support=size, width=width, proven_size=proven,
        validate=False,
    )  # fmt: skip
    tally.problems += 1
    for target in range(n_targets):
        own = target if target < n_sources else -1
        moment = power[target]
        oracle = Oracle(second_moment, cross[:, target], moment, own)
        before = moment
        for k in range(1, size + 1):
            row = (target, k - 1)
            used = found.support[row] >= 0
            error = found.squared_error[row]
            tally.answers += 1
            wrong = check_answer(
                oracle, found.support[row][used], found.coef[row][used] / np.sqrt(moment or 1.0),
                error / (moment or 1.0), found.status[row], k, tally,
            ) if moment > 0 else None  # fmt: skip
            if error > before * (1 + 1e-12) + 1e-12 * moment:
                wrong = f"error rises to {error:.3g}"
            if k <= proven and found.status[row] not in (PROVEN, DEPENDENT):
                wrong = "not proven"
            if wrong:
                tally.failures.append((seed, name, target, k, wrong))
            before = error


def fuzz(seconds, first_seed=0):
    """Check problems of consecutive seeds until the time is over."""
    tally = Tally()
    for seed in seeds_until(seconds, first_seed):
        check_problem(seed, tally)
    return tally


if __name__ == "__main__":
    run(
        fuzz,
        lambda tally: (
            f"{tally.problems} problems, {tally.answers} answers, {tally.proven} proven, "
            f"{tally.optimal} of {tally.compared} compared with all sets are the best"
        ),
    )
