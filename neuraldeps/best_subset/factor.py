"""A set of sources in order of entry: what its first few members leave of every source.

All is normalised as in `columns`. With `N_SS = L L^T` in that order, `rows = L^-1 N[S, :]`, and of
each source j the first q members leave

    power_qj = 1 - sum_{a < q} rows_aj^2,   pull_qj = b_j - sum_{a < q} rows_aj fit_a,   fit = L^-1 b_S.

What a prefix leaves does not depend on what follows: a set that begins like the one before it
begins with its rows, which are those that a factorisation from nothing would find.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from neuraldeps.covlasso.kernels import (
    OPTIONS,
    aligned,
    multiply_add,
    subtract_rows,
    subtract_rows_from_four,
)

_WIDTH = 256  # sources whose rows are made together


class Factor(NamedTuple):
    """Buffers of a set of at most `S` of `n` sources."""

    number: np.ndarray  # (1,) int64
    member: np.ndarray  # (S,) int64, in order of entry
    rows: np.ndarray  # (S + 3, n), the last three scratch
    power: np.ndarray  # (S + 1, n)
    pull: np.ndarray  # (S + 1, n)
    weight: np.ndarray  # (4, S) scratch
    part: np.ndarray  # (S,) scratch
    order: np.ndarray  # (S,) int64 scratch
    counting: np.ndarray  # (S,) int64, 0 .. S - 1


def make_factor(n_sources: int, capacity: int) -> Factor:
    """Room for a set of `capacity` of `n_sources`.

    Parameters
    ----------
    n_sources : int
        Sources, members or not.
    capacity : int
        Most members.

    Returns
    -------
    Factor
        Not yet begun.
    """
    return Factor(
        number=np.zeros(1, np.int64),
        member=np.empty(capacity, np.int64),
        rows=aligned(capacity + 3, n_sources),
        power=aligned(capacity + 1, n_sources),
        pull=aligned(capacity + 1, n_sources),
        weight=aligned(4, capacity),
        part=np.empty(capacity),
        order=np.empty(capacity, np.int64),
        counting=np.arange(capacity),
    )


@njit(**OPTIONS)
def begin(scale, cross, own, factor):
    """The empty set of a target; nothing is left of the own category and of constant zeros."""
    power, pull = factor.power[0], factor.pull[0]
    for j in range(cross.size):
        power[j] = 1.0 if scale[j] > 0.0 else 0.0
        pull[j] = cross[j]
    if own >= 0:
        power[own] = 0.0
    factor.number[0] = 0


@njit(**OPTIONS)
def _prepare(second_moment, scale, entering, factor):
    """Fill the rows of up to four sources that enter next, less what the first `done` rows hold.

    Four at a time, and some columns at a time, so that every row is read once, from the nearest
    cache.
    """
    size, n_sources, weight = factor.number[0], scale.size, factor.weight
    done = size // 4 * 4
    for q in range(4):
        for a in range(done):
            weight[q, a] = factor.rows[a, entering[q]] if q < entering.size else 0.0
    for q in range(entering.size):
        moments, row, share = second_moment[entering[q]], factor.rows[size + q], scale[entering[q]]
        for j in range(n_sources):
            row[j] = moments[j] * (share * scale[j])
    four = factor.rows[size : size + 4]
    for start in range(0, n_sources, _WIDTH):
        stop = min(start + _WIDTH, n_sources)
        subtract_rows_from_four(four, weight, factor.rows, factor.counting, done, start, stop)
    return done


@njit(**OPTIONS)
def _let_in(entering, done, n_sources, factor):
    """Let in the source whose row is prepared."""
    size = factor.number[0]
    power, pull, part, row = factor.power[size], factor.pull[size], factor.part, factor.rows[size]
    for a in range(done, size):
        part[a] = factor.rows[a, entering]
    subtract_rows(
        row, row[:n_sources], factor.rows, factor.counting[done:], part[done:], size - done, 0,
        n_sources,
    )  # fmt: skip
    over = 1.0 / np.sqrt(power[entering])
    fit = pull[entering] * over
    power_left, pull_left = factor.power[size + 1], factor.pull[size + 1]
    for j in range(n_sources):
        x = row[j] * over
        row[j] = x
        power_left[j] = multiply_add(-x, x, power[j])
        pull_left[j] = multiply_add(-fit, x, pull[j])
    power_left[entering] = 0.0
    pull_left[entering] = 0.0
    factor.member[size] = entering
    factor.number[0] = size + 1


@njit(**OPTIONS)
def follow(second_moment, scale, members, size, factor):
    """Make the set that of `members[:size]`: those that were in it keep their order."""
    count, order = 0, factor.order
    for before in (True, False):
        candidates = factor.member[: factor.number[0]] if before else members[:size]
        others = members[:size] if before else order[:count]
        for member in candidates:
            is_other = False
            for other in others:
                is_other |= other == member
            if is_other == before:
                order[count] = member
                count += 1
    kept = 0
    while kept < min(size, factor.number[0]) and factor.member[kept] == order[kept]:
        kept += 1
    factor.number[0] = kept
    for first in range(kept, size, 4):
        entering = order[first : min(first + 4, size)]
        done = _prepare(second_moment, scale, entering, factor)
        for q in range(entering.size):
            _let_in(entering[q], done, np.int64(scale.size), factor)
