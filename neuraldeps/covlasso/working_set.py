"""The working set: columns that can matter to one target, and a Cholesky factor on them.

With active categories `A`, their signs `s` and `L L^T = M_AA`, what is kept is

    rows = L^-1 M[A, columns],   fit = L^-1 b_A,   pull = L^-1 s,
    residual = b - rows^T fit,   slope = rows^T pull,

so that correlations at the minimiser on `A` are `residual + alpha * slope`, and its coefficients
`L^-T fit - alpha * L^-T pull`. A category that enters appends one row, a category that leaves is
rotated out by Givens rotations. Columns join when their correlation comes near the penalty.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from neuraldeps.covlasso.kernels import (
    BLOCK,
    INLINE,
    OPTIONS,
    aligned,
    count_above,
    largest_above,
    multiply_add,
    subtract_rows,
)

# Correlations are known to about 1e-15 of the largest one. Without this absolute tolerance small
# alphas make categories enter and leave on rounding alone, for ever.
ABSOLUTE_TOLERANCE = 1e-13
RELATIVE_TOLERANCE = 1e-12
# A category whose part outside the active ones' span is below this fraction of its second moment
# (a duplicate) cannot be told from its combination: it waits until the active set shrinks.
PIVOT_TOLERANCE = 1e-11

ALL_COLUMNS = 160  # with no more sources than this, all of them are the working set
FIRST_COLUMNS = (48, 96)  # least and most columns that a path starts with


class State(NamedTuple):
    """Buffers of one thread; `n` sources, `C` columns, at most `S` active categories, or more.

    Active categories and their like are positions among the columns.
    """

    first: np.ndarray  # (3,) int64: ALL_COLUMNS and FIRST_COLUMNS
    n_columns: np.ndarray  # (1,) int64
    columns: np.ndarray  # (C,) int64, sources
    member: np.ndarray  # (n,) bool, sources that are columns, and the own category
    found: np.ndarray  # (C,) int64, sources about to join
    cross: np.ndarray  # (C,) cross moment
    base: np.ndarray  # (C,) one row of the second moment
    active: np.ndarray  # (S,) int64
    sign: np.ndarray  # (S,)
    moment: np.ndarray  # (S,) second moment of the category itself
    factor: np.ndarray  # (S, S) lower triangular
    rows: np.ndarray  # (S, C)
    fit: np.ndarray  # (S,)
    pull: np.ndarray  # (S,)
    point: np.ndarray  # (S,)
    direction: np.ndarray  # (S,)
    weight: np.ndarray  # (S,)
    share: np.ndarray  # (S,) a dependent category as a combination of the active ones
    counting: np.ndarray  # (S,) int64, 0 .. S - 1
    residual: np.ndarray  # (C,)
    slope: np.ndarray  # (C,)
    blocked: np.ndarray  # (C + 1,) int64
    recent: np.ndarray  # (4,) int64, columns that nearly entered


def make_state(n_sources: int, n_columns: int, capacity: int) -> State:
    """Buffers for at most `n_columns` columns and `capacity` active categories.

    Parameters
    ----------
    n_sources : int
        Sources, the length of a column.
    n_columns : int
        Most columns.
    capacity : int
        Most active categories.

    Returns
    -------
    State
        Empty.
    """
    return State(
        first=np.array([ALL_COLUMNS, *FIRST_COLUMNS]),
        n_columns=np.zeros(1, np.int64),
        columns=np.empty(n_columns, np.int64),
        member=np.zeros(n_sources, np.bool_),
        found=np.empty(n_columns, np.int64),
        cross=aligned(n_columns),
        base=aligned(n_columns),
        active=np.empty(capacity, np.int64),
        sign=np.empty(capacity),
        moment=np.empty(capacity),
        factor=aligned(capacity, capacity),
        rows=aligned(capacity, n_columns),
        fit=np.empty(capacity),
        pull=np.empty(capacity),
        point=aligned(capacity),
        direction=aligned(capacity),
        weight=aligned(capacity),
        share=np.empty(capacity),
        counting=np.arange(capacity),
        residual=aligned(n_columns),
        slope=aligned(n_columns),
        blocked=np.empty(n_columns + 1, np.int64),
        recent=np.empty(4, np.int64),
    )


@njit(**OPTIONS)
def join(second_moment, cross_moment, state, size, count):
    """Make columns of the sources `found[:count]`: their part of the rows, their correlations."""
    start = state.n_columns[0]
    stop = start + count
    residual, slope = state.residual[start:stop], state.slope[start:stop]
    joining = state.columns[start:stop]
    for j in range(count):
        source = state.found[j]
        joining[j] = source
        state.member[source] = True
        state.cross[start + j] = cross_moment[source]
        residual[j] = cross_moment[source]
        slope[j] = 0.0
    for i in range(size):
        moments = second_moment[state.columns[state.active[i]]]
        new = state.rows[i, start:stop]
        for j in range(count):
            new[j] = moments[joining[j]]
        for k in range(i):
            weight, known = -state.factor[i, k], state.rows[k, start:stop]
            for j in range(count):
                new[j] = multiply_add(weight, known[j], new[j])
        inverse = 1.0 / state.factor[i, i]
        for j in range(count):
            new[j] *= inverse
            residual[j] -= new[j] * state.fit[i]
            slope[j] += new[j] * state.pull[i]
    state.n_columns[0] = stop


@njit(**OPTIONS)
def widen(second_moment, cross_moment, correlation, bar, size, state):
    """Let the sources whose correlation exceeds `bar` join the working set, as room allows.

    Returns how many there were, and how many joined.
    """
    count, room = np.int64(0), state.columns.size - state.n_columns[0]
    for start in range(0, correlation.size, BLOCK):
        stop = min(start + BLOCK, correlation.size)
        if count_above(correlation[start:stop], bar) > 0:
            for j in range(start, stop):
                if abs(correlation[j]) > bar and not state.member[j]:
                    if count < room:
                        state.found[count] = j
                    count += 1
    join(second_moment, cross_moment, state, size, min(count, room))
    return count, min(count, room)


@njit(**OPTIONS)
def begin(second_moment, cross_moment, own, state):
    """Choose the columns a path starts with, by their correlation at alpha_max; alpha_max."""
    state.n_columns[0] = 0
    if own >= 0:
        state.member[own] = True
        largest = largest_above(cross_moment[:own], 0.0)
        largest = largest_above(cross_moment[own + 1 :], largest)
    else:
        largest = largest_above(cross_moment, 0.0)
    bar = -1.0
    enough, least, most = state.first
    if cross_moment.size > enough:
        low, high = 0.0, largest
        count = cross_moment.size
        for _ in range(30):
            if least <= count <= most:
                break
            bar = 0.5 * (low + high)
            count = count_above(cross_moment, bar)
            if count > most:
                low = bar
            else:
                high = bar
    widen(second_moment, cross_moment, cross_moment, bar, np.int64(0), state)
    return largest


@njit(**OPTIONS)
def end(state, own):
    """Forget the columns, for the next target."""
    for j in range(state.n_columns[0]):
        state.member[state.columns[j]] = False
    if own >= 0:
        state.member[own] = False


@njit(**INLINE)
def enter(second_moment, state, size, n_columns, entering, sign):
    """Append a category to the factor.

    Returns the part of its second moment that the active ones do not explain, as a fraction; at
    or below `PIVOT_TOLERANCE` the category depends on them and nothing was done.
    """
    weight, rows = state.weight, state.rows
    moments = second_moment[state.columns[entering]]
    base = state.base
    for j in range(n_columns):
        base[j] = moments[state.columns[j]]
    moment = base[entering]
    pivot = moment
    for k in range(size):
        weight[k] = rows[k, entering]
        pivot -= weight[k] * weight[k]
    if pivot <= PIVOT_TOLERANCE * moment:
        return pivot / moment
    root = np.sqrt(pivot)
    inverse = 1.0 / root
    pull = (sign - state.slope[entering]) * inverse
    fit = -state.residual[entering] * inverse
    row = rows[size, :n_columns]
    subtract_rows(row, base, rows, state.counting, weight, size, 0, n_columns)
    residual, slope = state.residual, state.slope
    for j in range(n_columns):
        value = row[j] * inverse
        row[j] = value
        slope[j] = multiply_add(pull, value, slope[j])
        residual[j] = multiply_add(fit, value, residual[j])
    for k in range(size):
        state.factor[size, k] = weight[k]
    state.factor[size, size] = root
    state.pull[size] = pull
    state.fit[size] = -fit
    state.active[size] = entering
    state.sign[size] = sign
    state.moment[size] = moment
    return pivot / moment


@njit(**OPTIONS)
def _rotate(x, y, cosine, sine):
    for j in range(x.size):
        a, b = x[j], y[j]
        x[j] = cosine * a + sine * b
        y[j] = cosine * b - sine * a


@njit(**INLINE)
def leave(state, size, position, n_columns):
    """Rotate the category at `position` out of the factor; its part is given back."""
    factor, rows, fit, pull = state.factor, state.rows, state.fit, state.pull
    for i in range(position, size - 1):
        state.active[i] = state.active[i + 1]
        state.sign[i] = state.sign[i + 1]
        state.moment[i] = state.moment[i + 1]
        for k in range(i + 2):
            factor[i, k] = factor[i + 1, k]
    for i in range(position, size - 1):
        length = np.hypot(factor[i, i], factor[i, i + 1])
        cosine, sine = factor[i, i] / length, factor[i, i + 1] / length
        factor[i, i] = length
        factor[i, i + 1] = 0.0
        _rotate(factor[i + 1 : size - 1, i], factor[i + 1 : size - 1, i + 1], cosine, sine)
        _rotate(pull[i : i + 1], pull[i + 1 : i + 2], cosine, sine)
        _rotate(fit[i : i + 1], fit[i + 1 : i + 2], cosine, sine)
        _rotate(rows[i, :n_columns], rows[i + 1, :n_columns], cosine, sine)
    row = rows[size - 1]
    last_pull, last_fit = pull[size - 1], fit[size - 1]
    for j in range(n_columns):
        state.slope[j] -= last_pull * row[j]
        state.residual[j] += last_fit * row[j]


@njit(**INLINE)
def revive(state, size, n_blocked):
    """Correlations of the categories that were blocked, from the factor."""
    for q in range(n_blocked):
        j = state.blocked[q]
        slope, residual = 0.0, state.cross[j]
        for k in range(size):
            slope += state.rows[k, j] * state.pull[k]
            residual -= state.rows[k, j] * state.fit[k]
        state.slope[j] = slope
        state.residual[j] = residual


@njit(**INLINE)
def silence(state, size, n_blocked):
    """Zero the correlations that must not enter: those of active and of blocked categories."""
    for i in range(size):
        state.residual[state.active[i]] = 0.0
        state.slope[state.active[i]] = 0.0
    for q in range(n_blocked):
        state.residual[state.blocked[q]] = 0.0
        state.slope[state.blocked[q]] = 0.0


@njit(**INLINE)
def solve_coefficients(state, size):
    """Fill point = L^-T fit and direction = L^-T pull."""
    point, direction, factor = state.point, state.direction, state.factor
    for i in range(size):
        point[i] = state.fit[i]
        direction[i] = state.pull[i]
    for i in range(size - 1, -1, -1):
        row = factor[i]
        p = point[i] / row[i]
        d = direction[i] / row[i]
        point[i] = p
        direction[i] = d
        for k in range(i):
            point[k] = multiply_add(-p, row[k], point[k])
            direction[k] = multiply_add(-d, row[k], direction[k])


@njit(**INLINE)
def solve_dependence(state, size, position):
    """Fill share = M_AA^-1 M[A, position]."""
    share, factor, rows = state.share, state.factor, state.rows
    for i in range(size):
        share[i] = rows[i, position]
    for i in range(size - 1, -1, -1):
        value = share[i] / factor[i, i]
        share[i] = value
        for k in range(i):
            share[k] = multiply_add(-value, factor[i, k], share[k])
