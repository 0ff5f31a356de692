"""The search on the columns: a few of the best sets of every size, grown and shrunk by turns.

From every set of a size the best source enters, or the one that explains least leaves, then single
sources are exchanged while one gains; the best few of what is met at each size go on. Sets
larger than wanted are searched as well, since the way back from them finds what growing misses.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from neuraldeps.best_subset.columns import (
    append,
    best_entry,
    descend,
    load,
    remove,
)
from neuraldeps.covlasso.kernels import OPTIONS

_SAME = 1e-9  # sets explaining more different parts than this are not compared
_GROWN, _SHRUNK = 1, 2


class Pool(NamedTuple):
    """The best `W` sets met of every size up to `S`; those of size k are in row k."""

    number: np.ndarray  # (S + 1,) int64
    member: np.ndarray  # (S + 1, W, S) int64, columns
    explained: np.ndarray  # (S + 1, W), in falling order
    done: np.ndarray  # (S + 1, W) int64, whether grown and shrunk


def make_pool(capacity: int, width: int) -> Pool:
    """Room for `width` sets of every size up to `capacity`.

    Parameters
    ----------
    capacity : int
        Most members of a set.
    width : int
        Sets of every size.

    Returns
    -------
    Pool
        Empty.
    """
    return Pool(
        number=np.zeros(capacity + 1, np.int64),
        member=np.empty((capacity + 1, width, capacity), np.int64),
        explained=np.empty((capacity + 1, width)),
        done=np.empty((capacity + 1, width), np.int64),
    )


@njit(**OPTIONS)
def _share(one, other, size):
    """How many members two sets of the size have in common."""
    shared = 0
    for a in range(size):
        for b in range(size):
            shared += 1 if one[a] == other[b] else 0
    return shared


@njit(**OPTIONS)
def _is_known(pool, size, explained, member):
    for q in range(pool.number[size]):
        near = abs(pool.explained[size, q] - explained) < _SAME
        if near and _share(pool.member[size, q], member, size) == size:
            return True
    return False


@njit(**OPTIONS)
def keep(pool, size, explained, member):
    """Keep the set among the best of its size; whether it is new and good enough."""
    count, width = pool.number[size], pool.explained.shape[1]
    if count == width and not explained > pool.explained[size, count - 1]:
        return False
    if _is_known(pool, size, explained, member):
        return False
    q = count
    if count < width:
        pool.number[size] = count + 1
    else:
        q -= 1
    while q > 0 and pool.explained[size, q - 1] < explained:
        pool.explained[size, q] = pool.explained[size, q - 1]
        pool.done[size, q] = pool.done[size, q - 1]
        for a in range(size):
            pool.member[size, q, a] = pool.member[size, q - 1, a]
        q -= 1
    pool.explained[size, q] = explained
    pool.done[size, q] = 0
    for a in range(size):
        pool.member[size, q, a] = member[a]
    return True


@njit(**OPTIONS)
def _take(second_moment, scale, columns, size, q, found, pool):
    """Make set `q` of `size`, unless it is what was just found; what it explains."""
    member = pool.member[size, q]
    if found.number[0] == size and _share(found.member, member, size) == size:
        return pool.explained[size, q]
    return load(second_moment, scale, columns, member, size, found)


@njit(**OPTIONS)
def _grow(second_moment, scale, columns, size, q, found, pool):
    """Let the best source into set `q` of `size`, exchange, keep."""
    explained = _take(second_moment, scale, columns, size, q, found, pool)
    gain, entering = best_entry(columns.number[0], size, found)
    if entering < 0:
        return False
    append(second_moment, scale, columns, entering, size, found)
    explained += gain + descend(second_moment, scale, columns, size + 1, found)
    return keep(pool, size + 1, explained, found.member)


@njit(**OPTIONS)
def _shrink(second_moment, scale, columns, size, q, found, pool):
    """Take out of set `q` of `size` what explains least, exchange, keep."""
    explained = _take(second_moment, scale, columns, size, q, found, pool)
    least, leaving = np.inf, 0
    for a in range(size):
        loss = found.coef[a] * found.coef[a] / found.inverse[a, a]
        if loss < least:
            least, leaving = loss, a
    remove(columns.number[0], leaving, size, found)
    explained += descend(second_moment, scale, columns, size - 1, found) - least
    return keep(pool, size - 1, explained, found.member)


@njit(**OPTIONS)
def _pass(second_moment, scale, columns, found, pool, largest, flag):
    """Grow (or shrink) every set that has not been; whether a set was kept."""
    changed = False
    for step in range(largest):
        size = np.int64(step if flag == _GROWN else largest - step)
        q = 0
        while q < pool.number[size]:
            if pool.done[size, q] & flag:
                q += 1
                continue
            pool.done[size, q] |= flag
            if flag == _GROWN:
                changed |= _grow(second_moment, scale, columns, size, q, found, pool)
            elif size > 1:
                changed |= _shrink(second_moment, scale, columns, size, q, found, pool)
            q += 1
    return changed


@njit(**OPTIONS)
def search(second_moment, scale, columns, found, pool, largest, n_passes):
    """Grow and shrink what is in the pool by turns, until nothing is found or `n_passes` times."""
    found.number[0] = -1
    for _ in range(n_passes):
        changed = _pass(second_moment, scale, columns, found, pool, largest, _GROWN)
        changed |= _pass(second_moment, scale, columns, found, pool, largest, _SHRUNK)
        if not changed:
            break
