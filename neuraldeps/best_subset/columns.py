"""One set of sources on the columns that can matter to a target: what exchanges would gain.

All is normalised: `N = M_ij / sqrt(M_ii M_jj)` on the columns, `b` the cross moments over
`sqrt(M_jj m)`. For a set `S` of them what is kept is

    inverse = N_SS^-1,   weight = N_SS^-1 N[S, :],   coef = N_SS^-1 b_S,
    power_j = 1 - N[j, S] weight[:, j],   pull_j = b_j - N[j, S] coef,

so that `j` entering lowers the error by `pull_j^2 / power_j` of `m`, and, with `d = inverse_aa`, `j`
in the place of `a` by

    (pull_j + weight_aj coef_a / d)^2 / (power_j + weight_aj^2 / d) - coef_a^2 / d.

All exchanges of a set of k on n columns cost 2 k n multiply-adds, and making one 4 k n.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from neuraldeps.covlasso.kernels import OPTIONS, aligned, multiply_add

# A source of a set must have at least this part of its second moment outside the others' span.
# Rounding of the moments moves that part by about 1e-16 over itself, far less than this; a source
# with a smaller part is told apart from a combination of the others by rounding, if at all.
INDEPENDENT = 1e-7
GAIN = 1e-10  # of the target's second moment: what a change must gain to be made


class Columns(NamedTuple):
    """The columns of one target, at most `C`."""

    number: np.ndarray  # (1,) int64
    source: np.ndarray  # (C,) int64
    filled: np.ndarray  # (C,) int64, how much of its row of the block is known
    position: np.ndarray  # (n,) int64, -1 for sources that are no columns
    block: np.ndarray  # (C, C or more) N, of members
    cross: np.ndarray  # (C,) b


class Set(NamedTuple):
    """Buffers of a set of at most `S` of at most `C` columns."""

    number: np.ndarray  # (1,) int64, of members; -1 while the set is not to be used
    member: np.ndarray  # (S,) int64
    inverse: np.ndarray  # (S, S)
    weight: np.ndarray  # (S, C)
    coef: np.ndarray  # (S,)
    power: np.ndarray  # (C,)
    pull: np.ndarray  # (C,)
    part: np.ndarray  # (S,) scratch
    row: np.ndarray  # (C,) scratch


def make_columns(n_sources: int, n_columns: int) -> Columns:
    """Room for `n_columns` columns.

    Parameters
    ----------
    n_sources : int
        Sources, the length of a column.
    n_columns : int
        Columns that are kept at a time.

    Returns
    -------
    Columns
        Empty.
    """
    return Columns(
        number=np.zeros(1, np.int64),
        source=np.empty(n_columns, np.int64),
        filled=np.empty(n_columns, np.int64),
        position=np.full(n_sources, -1),
        block=aligned(n_columns, n_columns),
        cross=aligned(n_columns),
    )


def make_set(n_columns: int, capacity: int) -> Set:
    """Room for a set of `capacity`.

    Parameters
    ----------
    n_columns : int
        Columns that are kept at a time.
    capacity : int
        Most members.

    Returns
    -------
    Set
        Empty.
    """
    return Set(
        number=np.zeros(1, np.int64),
        member=np.empty(capacity, np.int64),
        inverse=aligned(capacity, capacity),
        weight=aligned(capacity, n_columns),
        coef=np.empty(capacity),
        power=aligned(n_columns),
        pull=aligned(n_columns),
        part=np.empty(capacity),
        row=aligned(n_columns),
    )


@njit(**OPTIONS)
def clear(columns):
    """Forget all columns."""
    for x in range(columns.number[0]):
        columns.position[columns.source[x]] = -1
    columns.number[0] = 0


@njit(**OPTIONS)
def join(cross, source, columns):
    """Make a column of the source, if there is room; its position or -1."""
    x = columns.position[source]
    if x >= 0 or columns.number[0] == columns.source.size:
        return x
    x = columns.number[0]
    columns.source[x] = source
    columns.filled[x] = 0
    columns.cross[x] = cross[source]
    columns.position[source] = x
    columns.number[0] = x + 1
    return x


@njit(**OPTIONS)
def _fill(second_moment, scale, x, columns):
    """Complete the row of a column that becomes a member: few do."""
    row, source = columns.block[x], columns.source
    moments, factor = second_moment[source[x]], scale[source[x]]
    for y in range(columns.filled[x], columns.number[0]):
        row[y] = moments[source[y]] * (factor * scale[source[y]])
    row[x] = 1.0
    columns.filled[x] = columns.number[0]


@njit(**OPTIONS)
def append(second_moment, scale, columns, entering, size, found):
    """Let the column `entering` into a set of `size`."""
    n_columns = columns.number[0]
    _fill(second_moment, scale, entering, columns)
    weight, inverse, coef, part = found.weight, found.inverse, found.coef, found.part
    power, pull, row, block = found.power, found.pull, found.row, columns.block
    over = 1.0 / power[entering]
    own = pull[entering] * over
    base = block[entering]
    for j in range(n_columns):
        row[j] = base[j]
    for a in range(size):
        part[a] = weight[a, entering]
    a = 0
    while a + 4 <= size:
        w0, w1, w2, w3 = -part[a], -part[a + 1], -part[a + 2], -part[a + 3]
        r0, r1 = block[found.member[a]], block[found.member[a + 1]]
        r2, r3 = block[found.member[a + 2]], block[found.member[a + 3]]
        for j in range(n_columns):
            low = multiply_add(w1, r1[j], multiply_add(w0, r0[j], row[j]))
            row[j] = multiply_add(w3, r3[j], multiply_add(w2, r2[j], low))
        a += 4
    while a < size:
        w0 = -part[a]
        r0 = block[found.member[a]]
        for j in range(n_columns):
            row[j] = multiply_add(w0, r0[j], row[j])
        a += 1
    new = weight[size]
    for j in range(n_columns):
        x = row[j] * over
        new[j] = x
        power[j] = multiply_add(-row[j], x, power[j])
        pull[j] = multiply_add(-own, row[j], pull[j])
    for a in range(size):
        factor = -part[a]
        one = weight[a]
        for j in range(n_columns):
            one[j] = multiply_add(factor, new[j], one[j])
        factor *= over
        for q in range(size):
            inverse[a, q] = multiply_add(-factor, part[q], inverse[a, q])
        inverse[a, size] = factor
        inverse[size, a] = factor
        coef[a] = multiply_add(-part[a], own, coef[a])
        one[entering] = 0.0
        new[found.member[a]] = 0.0
    inverse[size, size] = over
    coef[size] = own
    new[entering] = 1.0
    power[entering] = 0.0
    pull[entering] = 0.0
    found.member[size] = entering
    found.number[0] = size + 1


@njit(**OPTIONS)
def remove(n_columns, leaving, size, found):
    """Take the member at `leaving` out of a set of `size`; the last one takes its place."""
    weight, inverse, coef = found.weight, found.inverse, found.coef
    power, pull, row = found.power, found.pull, found.row
    over = 1.0 / inverse[leaving, leaving]
    own = coef[leaving]
    gone, factor = weight[leaving], own * over
    for j in range(n_columns):
        x = gone[j]
        row[j] = x
        power[j] = multiply_add(x, x * over, power[j])
        pull[j] = multiply_add(x, factor, pull[j])
    for a in range(size):
        if a != leaving:
            factor = -inverse[a, leaving] * over
            one = weight[a]
            for j in range(n_columns):
                one[j] = multiply_add(factor, row[j], one[j])
            coef[a] = multiply_add(factor, own, coef[a])
            for q in range(size):
                if q != leaving:
                    inverse[a, q] = multiply_add(factor, inverse[leaving, q], inverse[a, q])
    last = size - 1
    found.number[0] = last
    if leaving != last:
        found.member[leaving] = found.member[last]
        coef[leaving] = coef[last]
        one = weight[last]
        for j in range(n_columns):
            gone[j] = one[j]
        for q in range(size):
            inverse[leaving, q] = inverse[last, q]
        for q in range(size):
            inverse[q, leaving] = inverse[q, last]


@njit(**OPTIONS)
def load(second_moment, scale, columns, members, size, found):
    """Make a set of the given columns; the part of the target's second moment it explains."""
    found.number[0] = 0
    for j in range(columns.number[0]):
        found.power[j] = 1.0
        found.pull[j] = columns.cross[j]
    explained = 0.0
    for q in range(size):
        entering = members[q]
        explained += found.pull[entering] * found.pull[entering] / found.power[entering]
        append(second_moment, scale, columns, entering, q, found)
    return explained


@njit(**OPTIONS)
def stays_independent(size, leaving, entering, power, weight, inverse):
    """Whether every member of the set is independent of the others once `entering` is in.

    `power` is what is independent of the entering source when `leaving` (or -1) is out, `weight`
    its column of the weights.
    """
    if not power > INDEPENDENT:
        return False
    for q in range(size):
        if q != leaving:
            own, share = inverse[q, q], weight[q, entering]
            if leaving >= 0:
                factor = inverse[q, leaving] / inverse[leaving, leaving]
                own -= factor * inverse[q, leaving]
                share -= factor * weight[leaving, entering]
            if not (own + share * share / power) * INDEPENDENT < 1.0:
                return False
    return True


@njit(**OPTIONS)
def count_entries(power, pull, bar):
    """How many independent sources would gain more than `bar` by entering."""
    above = 0
    for j in range(power.size):
        above += 1 if (pull[j] * pull[j] > bar * power[j]) & (power[j] > INDEPENDENT) else 0
    return above


@njit(**OPTIONS)
def count_exchanges(power, pull, weight, over, factor, bar):
    """How many independent sources explain more than `bar` in the place of a member."""
    above = 0
    for j in range(power.size):
        x = multiply_add(weight[j], factor, pull[j])
        y = multiply_add(weight[j] * weight[j], over, power[j])
        above += 1 if (x * x > bar * y) & (y > INDEPENDENT) else 0
    return above


@njit(**OPTIONS)
def best_entry(n_columns, size, found):
    """What the best column would gain by entering, and the column, -1 for none above `GAIN`."""
    best, entering = GAIN, -1
    power, pull = found.power[:n_columns], found.pull[:n_columns]
    if count_entries(power, pull, best) > 0:
        for j in range(n_columns):
            if pull[j] * pull[j] > best * power[j] and stays_independent(
                size, -1, j, power[j], found.weight, found.inverse
            ):
                best = pull[j] * pull[j] / power[j]
                entering = j
    return best, entering


@njit(**OPTIONS)
def best_exchange(n_columns, size, found):
    """What the best exchange gains, the position that leaves and the column that enters, or -1."""
    best, leaving, entering = GAIN, -1, -1
    power, pull = found.power[:n_columns], found.pull[:n_columns]
    for a in range(size):
        over = 1.0 / found.inverse[a, a]
        factor = found.coef[a] * over
        loss = found.coef[a] * factor
        bar = best + loss
        weight = found.weight[a, :n_columns]
        if count_exchanges(power, pull, weight, over, factor, bar) > 0:
            for j in range(n_columns):
                x = multiply_add(weight[j], factor, pull[j])
                y = multiply_add(weight[j] * weight[j], over, power[j])
                if x * x > bar * y and stays_independent(
                    size, a, j, y, found.weight, found.inverse
                ):
                    bar = x * x / y
                    best, leaving, entering = bar - loss, a, j
    return best, leaving, entering


@njit(**OPTIONS)
def descend(second_moment, scale, columns, size, found):
    """Make the best exchange until none gains; what was gained."""
    gained = 0.0
    n_columns = columns.number[0]
    for _ in range(4 * size):
        gain, leaving, entering = best_exchange(n_columns, size, found)
        if leaving < 0:
            break
        remove(n_columns, leaving, size, found)
        append(second_moment, scale, columns, entering, size - 1, found)
        gained += gain
    return gained
