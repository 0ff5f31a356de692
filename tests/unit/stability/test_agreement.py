"""Nogueira's stability, literally from the paper, and what it must say of simple cases."""

import numpy as np
import pytest
import xarray as xr

from neuraldeps.stability.agreement import agreement
from neuraldeps.tables.stability import seeds_table


def literal(selected):
    """Phi and its variance of a binary matrix (M, d), formula by formula (Definition 4, Theorem 7)."""
    n_draws, d = selected.shape
    share = selected.mean(axis=0)
    sizes, mean_size = selected.sum(axis=1), selected.sum() / n_draws
    spread = (mean_size / d) * (1 - mean_size / d)
    unbiased = n_draws / (n_draws - 1) * share * (1 - share)
    phi = 1 - unbiased.mean() / spread
    each = []
    for row, size in zip(selected, sizes, strict=True):
        term = (row * share).mean() - size * mean_size / d**2
        term += phi / 2 * (2 * mean_size * size / d**2 - size / d - mean_size / d + 1)
        each.append(term / spread)
    each = np.array(each)
    return phi, 4 / n_draws**2 * ((each - each.mean()) ** 2).sum()


def padded(selected):
    width = selected.sum(axis=-1).max()
    support = np.full((*selected.shape[:-1], width), -1)
    for at in np.ndindex(selected.shape[:-1]):
        chosen = np.flatnonzero(selected[at])
        support[(*at, slice(len(chosen)))] = chosen
    return support


def test_it_is_the_papers_formula():
    rng = np.random.default_rng(0)
    chances = rng.uniform(0, 1, (30, 1, 12)) ** 2
    selected = rng.random((30, 7, 12)) < chances
    selected[:, :, 0] = True
    found = agreement(padded(selected), 12)
    for row, one in enumerate(selected):
        phi, variance = literal(one.astype(float))
        assert found.stability[row] == pytest.approx(phi, abs=1e-12)
        reach = 1.959963984540054 * np.sqrt(variance)
        assert found.low[row] == pytest.approx(phi - reach, abs=1e-12)
        assert found.high[row] == pytest.approx(phi + reach, abs=1e-12)
    assert found.mean == pytest.approx(found.stability.mean())


def test_the_interval_covers_the_stability_of_independent_draws():
    """95 % of the time, of draws whose stability is known from very many of them."""
    rng = np.random.default_rng(1)
    chance = np.array([0.95, 0.9, 0.8, 0.3, 0.3, 0.2, 0.1, 0.1, 0.05, 0.05])
    selected = rng.random((400, 60, 10)) < chance
    selected[:, :, 0] |= ~selected.any(axis=2)
    found = agreement(padded(selected), 10)
    many = agreement(padded(rng.random((1, 40_000, 10)) < chance), 10).stability[0]
    covered = ((found.low <= many) & (many <= found.high)).mean()
    assert 0.90 < covered <= 1.0


def test_the_same_support_is_1_and_random_ones_are_0():
    rng = np.random.default_rng(2)
    same = np.tile(np.arange(4), (5, 10, 1))
    found = agreement(same, 100)
    np.testing.assert_allclose(found.stability, 1.0)
    np.testing.assert_allclose(found.high - found.low, 0.0, atol=1e-12)
    drawn = np.stack([[rng.permutation(100)[:4] for _ in range(10)] for _ in range(300)])
    assert agreement(drawn, 100).mean == pytest.approx(0.0, abs=0.01)


def test_without_a_source_nothing_is_measured():
    support = np.full((2, 4, 3), -1)
    support[1] = [0, 1, -1]
    found = agreement(support, 6)
    assert np.isnan(found.stability[0])
    assert found.stability[1] == 1.0
    assert found.mean == 1.0
    nothing = agreement(support[:1], 6)
    assert np.isnan(nothing.mean)
    everything = agreement(np.tile(np.arange(3), (1, 4, 1)), 3)  # no other choice
    assert np.isnan(everything.stability[0])


def test_seeds_of_one_network_are_held_against_each_other():
    """Target 0 has the same sources in all three, target 1 in two, target 2 none in any."""
    sources = [
        [[3, 4], [3, 4], [-1, -1]],
        [[4, 3], [3, 4], [-1, -1]],
        [[3, 4], [5, 6], [-1, -1]],
    ]
    subsets = {
        f"seed{seed}": xr.Dataset(
            {"support": (("support_size", "target_category", "slot"), np.array([support]))},
            {"support_size": [2], "source_category": range(8)},
        )
        for seed, support in enumerate(sources)
    }
    subsets["another"] = subsets["seed0"]
    table = seeds_table(subsets, [["seed0", "seed1", "seed2"]], [2, 5])
    (row,) = table.to_dict("records")
    known = agreement(np.array(sources).swapaxes(0, 1), 7).stability
    assert known[0] == 1
    assert (row["source"], row["target"], row["over"]) == ("seed0", "seed0", "3 seeds")
    assert (row["support_size"], row["n_categories"]) == (2, 2)
    assert row["stability_mean"] == pytest.approx(known[:2].mean())
    assert np.isnan(row["unique"])
