"""Forward selection and orthogonal matching pursuit on all sources: where the search starts.

Forward selection lets in the source that lowers the error most [1]_, orthogonal matching pursuit the
one whose correlation with the residual is largest [2]_. Both are kept through a Cholesky factor,
`rows = L^-1 N[S, :]`, and neither lets in a source that is not independent of the others.

References
----------
.. [1] Miller. "Subset Selection in Regression". Chapman and Hall (2002).
.. [2] Pati, Rezaiifar, Krishnaprasad. "Orthogonal matching pursuit". Asilomar Conference on
   Signals, Systems and Computers (1993).
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from neuraldeps.best_subset.columns import GAIN, INDEPENDENT, stays_independent
from neuraldeps.covlasso.kernels import (
    BLOCK,
    OPTIONS,
    aligned,
    count_above,
    multiply_add,
    subtract_rows,
)

ENTRIES = 6  # candidates of the first step, and one more of each that follows


class Greedy(NamedTuple):
    """Buffers of greedy selection among `n` sources, up to `S` of them."""

    chosen: np.ndarray  # (S,) int64
    rows: np.ndarray  # (S, n)
    power: np.ndarray  # (n,)
    pull: np.ndarray  # (n,)
    score: np.ndarray  # (n,)
    part: np.ndarray  # (S,) scratch
    counting: np.ndarray  # (S,) int64, 0 .. S - 1
    weight: np.ndarray  # (S, 1) scratch
    inverse: np.ndarray  # (S, S)
    top: np.ndarray  # (T,) int64, sources of the largest scores
    height: np.ndarray  # (T,) these scores
    explained: np.ndarray  # (S,) by the first, the first two, ...


def make_greedy(n_sources: int, capacity: int, n_top: int) -> Greedy:
    """Room to choose `capacity` sources.

    Parameters
    ----------
    n_sources : int
        Sources to choose from.
    capacity : int
        Most sources that are chosen.
    n_top : int
        Best candidates that are kept of every step.

    Returns
    -------
    Greedy
        Buffers, not yet filled.
    """
    return Greedy(
        chosen=np.empty(capacity, np.int64),
        rows=aligned(capacity, n_sources),
        power=aligned(n_sources),
        pull=aligned(n_sources),
        score=aligned(n_sources),
        part=np.empty(capacity),
        counting=np.arange(capacity),
        weight=np.empty((capacity, 1)),
        inverse=aligned(capacity, capacity),
        top=np.empty(n_top, np.int64),
        height=np.empty(n_top),
        explained=np.empty(capacity),
    )


@njit(**OPTIONS)
def find_top(values, count, top, height):
    """The `count` largest values above zero, in falling order, the first among equals first."""
    found, bar = 0, 0.0
    for start in range(0, values.size, BLOCK):
        block = values[start : min(start + BLOCK, values.size)]
        if count_above(block, bar) > 0:
            for j in range(block.size):
                value = block[j]
                if value > bar:
                    q = found if found < count else count - 1
                    found = q + 1
                    while q > 0 and height[q - 1] < value:
                        height[q] = height[q - 1]
                        top[q] = top[q - 1]
                        q -= 1
                    height[q] = value
                    top[q] = start + j
                    bar = height[count - 1] if found == count else 0.0
    return found


@njit(**OPTIONS)
def _score(greedy, n_sources, root, forward):
    """What each source would gain by entering, or how it correlates with the residual."""
    power, pull, score = greedy.power, greedy.pull, greedy.score
    if forward:
        for j in range(n_sources):
            free = power[j] > INDEPENDENT
            score[j] = pull[j] * pull[j] / power[j] if free else 0.0
    else:
        for j in range(n_sources):
            score[j] = abs(pull[j]) * root[j] if power[j] > INDEPENDENT else 0.0


@njit(**OPTIONS)
def _may_enter(second_moment, scale, greedy, size, entering):
    """Whether the set stays independent; `weight[:size]` becomes N_SS^-1 N[S, entering]."""
    for a in range(size):
        weight = 0.0
        for q in range(size):
            chosen = greedy.chosen[q]
            moment = second_moment[entering, chosen] * (scale[entering] * scale[chosen])
            weight = multiply_add(greedy.inverse[a, q], moment, weight)
        greedy.weight[a, 0] = weight
    power = greedy.power[entering]
    return stays_independent(size, -1, 0, power, greedy.weight, greedy.inverse)


@njit(**OPTIONS)
def _let_in(second_moment, scale, greedy, n_sources, size, entering):
    """Append the source to the factor, the inverse and the correlations."""
    power, pull, part = greedy.power, greedy.pull, greedy.part
    moments, row, factor = second_moment[entering], greedy.rows[size], scale[entering]
    for a in range(size):
        part[a] = greedy.rows[a, entering]
    over = 1.0 / np.sqrt(power[entering])
    for j in range(n_sources):
        row[j] = moments[j] * (factor * scale[j])
    subtract_rows(
        row, row[:n_sources], greedy.rows, greedy.counting, part, size, 0, np.int64(n_sources)
    )
    fit = pull[entering] * over
    for j in range(n_sources):
        x = row[j] * over
        row[j] = x
        power[j] = multiply_add(-x, x, power[j])
        pull[j] = multiply_add(-fit, x, pull[j])
    own = over * over
    for a in range(size):
        factor = -own * greedy.weight[a, 0]
        for q in range(size):
            greedy.inverse[a, q] -= factor * greedy.weight[q, 0]
        greedy.inverse[a, size] = factor
        greedy.inverse[size, a] = factor
    greedy.inverse[size, size] = own
    greedy.explained[size] = fit * fit + (greedy.explained[size - 1] if size > 0 else 0.0)
    power[entering] = 0.0
    pull[entering] = 0.0
    greedy.chosen[size] = entering


@njit(**OPTIONS)
def select(second_moment, scale, root, cross, own, forward, wanted, greedy, candidates):
    """Choose up to `wanted` sources one by one; (how many, how many candidates).

    `candidates` receives the best entries of every step of forward selection: `ENTRIES` of the first,
    one more of each that follows.
    """
    n_sources, n_candidates, size = cross.size, 0, np.int64(0)
    for j in range(n_sources):
        greedy.power[j] = 1.0 if scale[j] > 0.0 else 0.0
        greedy.pull[j] = cross[j]
    if own >= 0:
        greedy.power[own] = 0.0
    while size < wanted:
        _score(greedy, n_sources, root, forward)
        n_found = find_top(
            greedy.score[:n_sources], ENTRIES + size if forward else 1, greedy.top, greedy.height
        )
        entering = -1
        for q in range(n_found):
            j = greedy.top[q]
            if not _may_enter(second_moment, scale, greedy, size, j):
                greedy.power[j] = 0.0  # nor may it enter a larger set
            else:
                entering = j
                break
        if entering < 0 and n_found > 0:
            continue
        if entering < 0 or greedy.pull[entering] ** 2 <= GAIN * greedy.power[entering]:
            break
        if forward:
            for q in range(n_found):
                candidates[n_candidates] = greedy.top[q]
                n_candidates += 1
        _let_in(second_moment, scale, greedy, n_sources, size, entering)
        size += 1
    return size, n_candidates
