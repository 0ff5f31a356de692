"""The best pair and the best triple, proven: every other one is tried, or bounded away.

For two sources with normalised cross moments `x` and `y`, `|y| <= |x|`, and correlation `r`,

    explained = (x^2 - 2 r x y + y^2) / (1 - r^2)  <=  2 x^2 / (1 - |r|),

so a source whose largest correlation with any other is `R` is in no pair that explains more than
`best` unless `2 x^2 > best (1 - R)`. The few sources that correlate with it most are tried first, so
that `R` need only hold of all others. Given a third source `i`, the same holds of what is left of the
two after regression on `i`, with `R_ij` the largest partial correlation of `j`, and what is nearest to
`j` is tried first again. `R` depends on the sources alone and serves all targets.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from neuraldeps.best_subset.columns import GAIN, INDEPENDENT
from neuraldeps.best_subset.greedy import find_top
from neuraldeps.best_subset.scan import solve
from neuraldeps.covlasso.kernels import (
    BLOCK,
    OPTIONS,
    count_above,
    largest_above,
    multiply_add,
)

NEAREST = 16  # sources that correlate most with one, about as many as are of a kind
_MOST = np.sqrt(1.0 - INDEPENDENT)  # two sources of a set are not correlated more than this


class Pairs(NamedTuple):
    """The sources that correlate most with each of `n`, and how much any other does."""

    near: np.ndarray  # (n, NEAREST) int64, -1 for none
    share: np.ndarray  # (n, NEAREST) their correlations
    reach: np.ndarray  # (n, 2): the largest correlation, and that with a source that is not near


def make_pairs(n_sources: int) -> Pairs:
    """Room for the pairs of `n_sources`.

    Parameters
    ----------
    n_sources : int
        Sources.

    Returns
    -------
    Pairs
        Not yet filled.
    """
    return Pairs(
        near=np.full((n_sources, NEAREST), -1),
        share=np.zeros((n_sources, NEAREST)),
        reach=np.zeros((n_sources, 2)),
    )


@njit(**OPTIONS)
def reach_of_pairs(second_moment, scale, start, stop, row, height, pairs):
    """Fill rows start .. stop - 1 of the pairs."""
    n_sources = scale.size
    for i in range(start, stop):
        moments, factor = second_moment[i], scale[i]
        for j in range(n_sources):
            row[j] = abs(moments[j] * (factor * scale[j]))
        row[i] = 0.0
        count = find_top(row[:n_sources], np.int64(NEAREST), pairs.near[i], height)
        pairs.reach[i, 0] = min(height[0], _MOST) if count > 0 else 0.0
        for q in range(count):
            j = pairs.near[i, q]
            pairs.share[i, q] = moments[j] * (factor * scale[j])
            row[j] = 0.0
        pairs.reach[i, 1] = min(largest_above(row[:n_sources], 0.0), _MOST)


@njit(**OPTIONS)
def _rest_of(second_moment, scale, i, rest):
    """Fill 1 / sqrt(1 - r_ij^2) for every source j, 0 for those dependent on source i."""
    moments, factor = second_moment[i], scale[i]
    for j in range(scale.size):
        r = moments[j] * (factor * scale[j])
        y = multiply_add(-r, r, 1.0)
        rest[j] = 1.0 / np.sqrt(y) if (y > INDEPENDENT) & (scale[j] > 0.0) else 0.0
    rest[i] = 0.0


@njit(**OPTIONS)
def reach_of_triples(second_moment, scale, near, start, stop, row, rest, reach):
    """Fill reach[:, start:stop]: the largest partial correlations of j with another source, given i.

    `reach[0]` is that with any, `reach[1]` that with one that is not `near` j.
    """
    n_sources = scale.size
    for i in range(start, stop):
        _rest_of(second_moment, scale, i, rest)
        given = second_moment[i]
        for j in range(n_sources):
            moments, square = second_moment[j], scale[i] * scale[i]
            shared = given[j] * square
            for other in range(n_sources):
                left = multiply_add(-shared, given[other], moments[other])
                row[other] = left * (scale[other] * rest[other])
            row[j] = 0.0
            nearest = 0.0
            for other in near[j]:
                if other >= 0:
                    nearest = max(nearest, abs(row[other]))
                    row[other] = 0.0
            share = scale[j] * rest[j]
            others = largest_above(row[:n_sources], 0.0)
            reach[0, i, j] = min(max(nearest, others) * share, _MOST)
            reach[1, i, j] = min(others * share, _MOST)


@njit(**OPTIONS)
def _count_partners(moments, scale, cross, factor, own, need):
    """How many sources, beside one that explains own^2, explain more than `need`."""
    above = 0
    for j in range(cross.size):
        r = moments[j] * (factor * scale[j])
        x = multiply_add(-r, own, cross[j])
        y = multiply_add(-r, r, 1.0)
        above += 1 if (x * x > need * y) & (y > INDEPENDENT) else 0
    return above


@njit(**OPTIONS)
def best_pair(second_moment, scale, cross, own, pairs, explained, member):
    """Look for a pair that explains more than `explained`, and more than any other.

    Returns whether there is one; it is put into `member`.
    """
    bar, found, n_sources = explained, False, np.int64(cross.size)
    for i in range(n_sources):
        bar = max(bar, cross[i] * cross[i])
    bar += GAIN
    for i in range(n_sources):
        square = cross[i] * cross[i]
        if 2.0 * square <= bar * (1.0 - pairs.reach[i, 0]):
            continue
        moments, factor = second_moment[i], scale[i]
        for every in (False, True):
            need = bar - square
            if every:
                if 2.0 * square <= bar * (1.0 - pairs.reach[i, 1]):
                    continue
                if _count_partners(moments, scale, cross, factor, cross[i], need) == 0:
                    continue
            for q in range(n_sources if every else NEAREST):
                j = q if every else pairs.near[i, q]
                if j < 0:
                    break
                r = moments[j] * (factor * scale[j]) if every else pairs.share[i, q]
                x = multiply_add(-r, cross[i], cross[j])
                y = multiply_add(-r, r, 1.0)
                if x * x > need * y and y > INDEPENDENT and j != own:
                    need = x * x / y
                    member[0], member[1] = min(i, j), max(i, j)
                    found = True
            bar = need + square
    return found


@njit(**OPTIONS)
def _regress(second_moment, scale, cross, own, i, rest, left):
    """Fill the normalised cross moments left after regression on source `i`; the own has none."""
    _rest_of(second_moment, scale, i, rest)
    if own >= 0:
        rest[own] = 0.0
    moments, factor, explained = second_moment[i], scale[i], cross[i]
    for j in range(cross.size):
        r = moments[j] * (factor * scale[j])
        left[j] = multiply_add(-r, explained, cross[j]) * rest[j]


@njit(**OPTIONS)
def _list_seconds(cross, i, left, limits, need, excess, second):
    """List the sources that may be second beside `i`, whose cross moment is the largest; how many."""
    most, count = abs(cross[i]), 0
    for j in range(cross.size):
        bound = multiply_add(2.0 * left[j], left[j], -need * (1.0 - limits[j]))
        excess[j] = max(bound, 0.0) if abs(cross[j]) <= most else 0.0
    for start in range(0, cross.size, BLOCK):
        block = excess[start : min(start + BLOCK, cross.size)]
        if count_above(block, 0.0) > 0:
            for j in range(block.size):
                second[count] = start + j
                count += 1 if block[j] > 0.0 else 0
    return count


@njit(**OPTIONS)
def _count_thirds(moments, given, scale, rest, left, shared, factor, own, need):
    """How many sources, beside two that explain all but `need`, explain more than it."""
    above = 0
    for j in range(left.size):
        r = multiply_add(-shared, given[j], moments[j]) * (factor * (scale[j] * rest[j]))
        x = multiply_add(-r, own, left[j])
        y = multiply_add(-r, r, 1.0)
        above += 1 if (x * x > need * y) & (y > INDEPENDENT) else 0
    return above


@njit(**OPTIONS)
def best_triple(
    second_moment, scale, cross, own, near, reach, explained, member, trial, scratch, scan
):
    """Look for a triple that explains more than `explained`, and more than any other.

    `explained` is at least what the best pair explains. Of a triple, `i` is the source with the
    largest cross moment, `j` that of the others which explains more beside it. Returns whether
    there is one; it is put into `member`.
    """
    rest, left, excess, second = scratch[0], scratch[1, : cross.size], scratch[2], scan.source
    bar, found = explained + GAIN, False
    for i in range(cross.size):
        square = cross[i] * cross[i]
        if square == 0.0:
            continue
        _regress(second_moment, scale, cross, own, i, rest, left)
        given = second_moment[i]
        n_seconds = _list_seconds(cross, i, left, reach[0, i], bar - square, excess, second)
        for j in second[:n_seconds]:
            next_square = left[j] * left[j]
            moments, shared = second_moment[j], given[j] * scale[i] * scale[i]
            factor = scale[j] * rest[j]
            for every in range(2):
                need = bar - square
                if 2.0 * next_square <= need * (1.0 - reach[every, i, j]):
                    break
                need -= next_square
                if every:
                    above = _count_thirds(
                        moments, given, scale, rest, left, shared, factor, left[j], need
                    )
                    if above == 0:
                        break
                for q in range(cross.size if every else NEAREST):
                    third = q if every else near[j, q]
                    if third < 0:
                        break
                    share = factor * (scale[third] * rest[third])
                    r = multiply_add(-shared, given[third], moments[third]) * share
                    x = multiply_add(-r, left[j], left[third])
                    y = multiply_add(-r, r, 1.0)
                    if x * x > need * y and y > INDEPENDENT:
                        trial[0], trial[1], trial[2] = i, j, third
                        after = solve(second_moment, scale, cross, trial, np.int64(3), scan)
                        if after > bar:
                            bar, need, found = after, x * x / y, True
                            for a in range(3):
                                member[a] = trial[a]
    return found
