"""One penalty, without the path to it: a primal active-set method on a growing working set.

At a fixed `alpha` most categories never matter, so the factor of `kernels` is kept only on a
working set of columns, a few dozen numbers wide. Within it the category that violates
`|c_j| <= alpha` most enters, and coefficients move towards the minimiser on the active set until
one meets zero and leaves. When the working set is solved, correlations with all categories are
computed afresh, and the worst violators join it. When none is left the solution is that of the
whole problem.

The method is up to twice as fast as following the path, and less robust on dependent categories:
what it leaves uncertified is solved again by the path.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from neuraldeps.covlasso.kernels import (
    ABSOLUTE_TOLERANCE,
    BLOCK,
    CHUNK,
    INLINE,
    OPTIONS,
    PIVOT_TOLERANCE,
    REACHED_ALPHA,
    REACHED_SUPPORT,
    RELATIVE_TOLERANCE,
    STALLED,
    enter,
    largest_magnitude,
    leave,
    revive,
    silence,
    solve_coefficients,
    subtract_rows,
)

_NO_OWN = np.int64(-1)
_ADMITTED = 8  # violators that join the working set at once


class WorkingSet(NamedTuple):
    """Buffers of one thread; positions in the working set index its columns."""

    columns: np.ndarray  # (n,) int64, sources
    member: np.ndarray  # (n,) bool, by source
    cross: np.ndarray  # (n,) cross moment, by position
    base: np.ndarray  # (n,) one row of the second moment, by position
    correlation: np.ndarray  # (n,) of all sources
    worst: np.ndarray  # (_ADMITTED,) int64, sources
    excess: np.ndarray  # (_ADMITTED,)
    coef: np.ndarray  # (S,)
    active: np.ndarray  # (S,) int64, sources


@njit(**OPTIONS)
def make_working_set(n_sources, capacity):
    """Buffers for at most `capacity` active categories."""
    return WorkingSet(
        np.empty(n_sources, np.int64),
        np.zeros(n_sources, np.bool_),
        np.empty(n_sources),
        np.empty(n_sources),
        np.empty(n_sources),
        np.empty(_ADMITTED, np.int64),
        np.empty(_ADMITTED),
        np.empty(capacity),
        np.empty(capacity, np.int64),
    )


@njit(**INLINE)
def _worst_violators(working, bar):
    """Sources outside the working set with the largest correlations above `bar`; their number."""
    count = 0
    correlation, excess, worst = working.correlation, working.excess, working.worst
    for start in range(0, correlation.size, BLOCK):
        block = correlation[start : min(start + BLOCK, correlation.size)]
        above = 0
        for j in range(block.size):
            above += 1 if abs(block[j]) > bar else 0
        if above == 0:
            continue
        for j in range(block.size):
            value = abs(block[j])
            if value > bar and not working.member[start + j]:
                i = count if count < _ADMITTED else _ADMITTED - 1
                while i > 0 and excess[i - 1] < value:
                    excess[i], worst[i] = excess[i - 1], worst[i - 1]
                    i -= 1
                excess[i], worst[i] = value, start + j
                count = min(count + 1, _ADMITTED)
                if count == _ADMITTED:
                    bar = max(bar, excess[count - 1])
    return count


@njit(**INLINE)
def _join(second_moment, cross_moment, working, state, size, start, count):
    """Add the worst violators as columns: their part of the factor and their correlations."""
    stop = start + count
    residual, slope = state.residual[start:stop], state.slope[start:stop]
    for j in range(count):
        source = working.worst[j]
        working.columns[start + j] = source
        working.member[source] = True
        working.cross[start + j] = cross_moment[source]
        residual[j] = cross_moment[source]
        slope[j] = 0.0
    for i in range(size):
        row = second_moment[working.columns[state.active[i]]]
        new = state.rows[i, start:stop]
        for j in range(count):
            new[j] = row[working.worst[j]]
        for k in range(i):
            weight, known = state.factor[i, k], state.rows[k, start:stop]
            for j in range(count):
                new[j] -= weight * known[j]
        for j in range(count):
            new[j] /= state.factor[i, i]
            residual[j] -= new[j] * state.fit[i]
            slope[j] += new[j] * state.pull[i]


@njit(**INLINE)
def _worst_column(state, n_columns, alpha, bar):
    worst, position = bar, -1
    residual, slope = state.residual[:n_columns], state.slope[:n_columns]
    for j in range(n_columns):
        value = abs(residual[j] + alpha * slope[j])
        if value > worst:
            worst, position = value, j
    return position


@njit(**INLINE)
def _first_zero(state, coef, size, alpha):
    """How far coefficients may move towards the minimiser, and which meets zero first."""
    length, leaving = 1.0, -1
    for i in range(size):
        goal = state.point[i] - alpha * state.direction[i]
        if goal * state.sign[i] <= 0.0:
            reach = coef[i] / (coef[i] - goal) if coef[i] != goal else 0.0
            if reach < length or leaving < 0:
                length, leaving = max(0.0, min(length, reach)), i
    return length, leaving


@njit(**OPTIONS)
def _solve_working_set(second_moment, working, state, size, n_columns, alpha, bar, max_steps):
    """Minimise over the working set from where the coefficients are; (status, active size)."""
    coef, n_blocked, steps = working.coef, np.int64(0), 0
    while True:
        position = _worst_column(state, n_columns, alpha, bar)
        if position < 0:
            return REACHED_ALPHA, size
        if size == coef.size:
            return REACHED_SUPPORT, size
        sign = 1.0 if state.residual[position] + alpha * state.slope[position] > 0.0 else -1.0
        row, base = second_moment[working.columns[position]], working.base[:n_columns]
        for j in range(n_columns):
            base[j] = row[working.columns[j]]
        fraction = enter(base, state, size, position, sign)
        if fraction <= PIVOT_TOLERANCE:
            state.blocked[n_blocked] = position
            n_blocked += 1
            silence(state, size, n_blocked, _NO_OWN)
            continue
        coef[size] = 0.0
        size += 1
        while True:
            solve_coefficients(state, size)
            length, leaving = _first_zero(state, coef, size, alpha)
            for i in range(size):
                coef[i] += length * (state.point[i] - alpha * state.direction[i] - coef[i])
            steps += 1
            if leaving < 0 or steps > max_steps:
                break
            state.blocked[n_blocked] = state.active[leaving]
            leave(state, size, leaving, n_columns)
            size -= 1
            for i in range(leaving, size):
                coef[i] = coef[i + 1]
            revive(state, working.cross, size, n_blocked + 1)
            n_blocked = 0
        silence(state, size, n_blocked, _NO_OWN)
        if steps > max_steps:
            return STALLED, size


@njit(**OPTIONS)
def _correlate(second_moment, cross_moment, working, state, size, own):
    """Fresh correlations with all sources."""
    n_sources = cross_moment.size
    for i in range(size):
        working.active[i] = working.columns[state.active[i]]
    for start in range(0, n_sources, CHUNK):
        stop = min(start + CHUNK, n_sources)
        subtract_rows(
            working.correlation[start:stop],
            cross_moment,
            second_moment,
            working.active,
            working.coef,
            size,
            start,
            stop,
        )
    if own >= 0:
        working.correlation[own] = 0.0


@njit(**OPTIONS)
def solve_at(second_moment, cross_moment, own, alpha, state, working, knots):
    """Solve one target at `alpha`; the solution goes to slot 0 of `knots`.

    Returns a status of `kernels`: REACHED_SUPPORT if the buffers hold too few active categories,
    STALLED if they hold too few columns or if the method cycles.
    """
    # int64 from the start: a literal 0 would have every callee compiled a second time.
    size, n_columns, status = np.int64(0), np.int64(0), np.int64(REACHED_ALPHA)
    _correlate(second_moment, cross_moment, working, state, size, own)
    largest = largest_magnitude(working.correlation)
    bar = alpha * (1.0 + RELATIVE_TOLERANCE) + ABSOLUTE_TOLERANCE * largest
    while status == REACHED_ALPHA:
        count = _worst_violators(working, bar)
        if count == 0:
            break
        if n_columns + count > state.residual.size:
            status = STALLED
            break
        _join(second_moment, cross_moment, working, state, size, n_columns, count)
        n_columns += count
        max_steps = 20 * (size + count) + 100
        status, size = _solve_working_set(
            second_moment, working, state, size, n_columns, alpha, bar, max_steps
        )
        _correlate(second_moment, cross_moment, working, state, size, own)
    for j in range(n_columns):
        working.member[working.columns[j]] = False
    knots.alpha[0] = alpha
    knots.size[0] = size
    for i in range(size):
        knots.support[0, i] = working.active[i]
        knots.sign[0, i] = state.sign[i]
        knots.coef[0, i] = working.coef[i]
    return status
