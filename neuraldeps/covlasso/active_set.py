"""One penalty, without the path to it: a primal active-set method on a growing working set.

Within the working set the category that violates `|c_j| <= alpha` most enters, and coefficients
move towards the minimiser on the active set until one meets zero and leaves. When the working set
is solved the certificate computes all correlations afresh, and the worst violators join it. When
none is left the solution is that of the whole problem, and certified.

The method is faster than following the path, and less robust on dependent categories: what it leaves
uncertified is solved again by the path.
"""

import numpy as np
from numba import njit

from neuraldeps.covlasso.certificate import certify_knots
from neuraldeps.covlasso.homotopy import CRAMPED, OUT_OF_COLUMNS, REACHED_ALPHA, STALLED
from neuraldeps.covlasso.kernels import BLOCK, INLINE, OPTIONS, count_above
from neuraldeps.covlasso.working_set import (
    ABSOLUTE_TOLERANCE,
    PIVOT_TOLERANCE,
    RELATIVE_TOLERANCE,
    end,
    enter,
    join,
    leave,
    revive,
    silence,
    solve_coefficients,
)

_JOINING = 8  # violators that join the working set at once


@njit(**OPTIONS)
def _find_worst(correlation, bar, state):
    """Put the sources with the largest correlations above `bar` into `state.found`; their number."""
    count, found = 0, state.found
    for start in range(0, correlation.size, BLOCK):
        stop = min(start + BLOCK, correlation.size)
        if count_above(correlation[start:stop], bar) == 0:
            continue
        for j in range(start, stop):
            value = abs(correlation[j])
            if value > bar and not state.member[j]:
                i = min(count, _JOINING - 1)
                while i > 0 and abs(correlation[found[i - 1]]) < value:
                    found[i] = found[i - 1]
                    i -= 1
                found[i] = j
                count = min(count + 1, _JOINING)
                if count == _JOINING:
                    bar = abs(correlation[found[count - 1]])
    return count


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
def _solve_working_set(second_moment, state, coef, size, alpha, bar, max_steps):
    """Minimise over the working set from where the coefficients are; (status, active size)."""
    n_columns, n_blocked, steps = state.n_columns[0], np.int64(0), 0
    while True:
        position = _worst_column(state, n_columns, alpha, bar)
        if position < 0:
            return REACHED_ALPHA, size
        if size == coef.size:
            return CRAMPED, size
        sign = 1.0 if state.residual[position] + alpha * state.slope[position] > 0.0 else -1.0
        fraction = enter(second_moment, state, size, n_columns, position, sign)
        if fraction <= PIVOT_TOLERANCE:
            state.blocked[n_blocked] = position
            n_blocked += 1
            silence(state, size, n_blocked)
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
            revive(state, size, n_blocked + 1)
            n_blocked = 0
        silence(state, size, n_blocked)
        if steps > max_steps:
            return STALLED, size


@njit(**OPTIONS)
def solve_at(second_moment, cross_moment, moment, own, alpha, state, knots, panel):
    """Solve one target at `alpha`, and certify the solution, which goes to slot 0 of `knots`.

    Returns a status of `homotopy`: `CRAMPED` or `OUT_OF_COLUMNS` if the buffers hold too
    few active categories or columns, `STALLED` if the method cycles.
    """
    # int64 from the start: a literal 0 would have every callee compiled a second time.
    size, one, status = np.int64(0), np.int64(1), np.int64(REACHED_ALPHA)
    state.n_columns[0] = 0
    if own >= 0:
        state.member[own] = True
    coef = knots.coef[0]
    tolerance = 0.0
    knots.alpha[0] = alpha
    while True:
        knots.size[0] = knots.used[0] = size
        for i in range(size):
            knots.support[0, i] = state.columns[state.active[i]]
            knots.sign[0, i] = state.sign[i]
        certify_knots(second_moment, cross_moment, moment, own, knots, one - 1, one, one, panel)
        if size == 0:
            tolerance = ABSOLUTE_TOLERANCE * panel.largest[0]
        bar = alpha * (1.0 + RELATIVE_TOLERANCE) + tolerance
        if status != REACHED_ALPHA or panel.largest[0] <= bar:
            break
        count = _find_worst(panel.correlation[0], bar, state)
        if count == 0:
            break
        if state.n_columns[0] + count > state.columns.size:
            status = np.int64(OUT_OF_COLUMNS)
            break
        join(second_moment, cross_moment, state, size, count)
        max_steps = 20 * (size + count) + 100
        status, size = _solve_working_set(second_moment, state, coef, size, alpha, bar, max_steps)
    end(state, own)
    return status
