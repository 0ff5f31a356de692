"""Halves of the images, near-equal supports and the store, against NumPy and by brute force."""

from itertools import combinations

import numpy as np
import pytest

from neuraldeps.best_subset import best_subsets
from neuraldeps.logits.store import LogitsFile
from neuraldeps.stability.exchanges import count_near_equal
from neuraldeps.stability.halves import half_moments
from neuraldeps.stability.stability import measure_stability
from neuraldeps.stores import open_store
from neuraldeps.tables.stability import agreement_table, stability_table
from tests.unit.dependencies.test_covlasso import ROWS, stores, subsets  # noqa: F401
from tests.unit.test_moments import values_of


@pytest.mark.parametrize("pair", ["ff", "fg"])
def test_halves_are_halves_of_the_images(stores, pair):  # noqa: F811
    files = [LogitsFile(stores[1][name], "per_image") for name in pair]
    f, g = (values_of(file.path) for file in files)
    f, g = (one - one.mean(axis=1, keepdims=True) for one in (f, g))
    found = list(half_moments(*files, n_splits=2, seed=1))
    assert len(found) == 4
    for first, second in (found[:2], found[2:]):
        whole = (first.second_moment + second.second_moment) / 2
        np.testing.assert_allclose(whole, f.T @ f / ROWS, atol=1e-12)
        assert not np.allclose(first.second_moment, second.second_moment, rtol=1e-3)
        if pair == "ff":
            assert first.cross_moment is first.target_second_moment is None
        else:
            cross = (first.cross_moment + second.cross_moment) / 2
            np.testing.assert_allclose(cross, f.T @ g / ROWS, atol=1e-12)
            power = (first.target_second_moment + second.target_second_moment) / 2
            np.testing.assert_allclose(power, (g**2).mean(axis=0), atol=1e-12)
    chosen = np.random.default_rng([1, 0]).permutation(ROWS)[: ROWS // 2]
    np.testing.assert_allclose(
        found[0].second_moment, f[chosen].T @ f[chosen] / (ROWS // 2), atol=1e-12
    )


def error_of(moment, b, power, support):
    support = list(support)
    return power - b[support] @ np.linalg.solve(moment[np.ix_(support, support)], b[support])


@pytest.mark.parametrize("size", [1, 2, 4])
def test_near_equal_supports_by_brute_force(size):
    rng = np.random.default_rng(size)
    base = rng.standard_normal((300, 5))
    # near copies of each other, so that there are others as good
    f = np.repeat(base, 3, axis=1) + 0.02 * rng.standard_normal((300, 15))
    moment = f.T @ f / 300
    for target in range(15):
        allowed = np.arange(15) != target
        best = best_subsets(moment, targets=[target], max_support=size)
        support = best.support[0, size - 1]
        own = error_of(moment, moment[:, target], moment[target, target], support)
        near = 0
        for other in combinations(np.flatnonzero(allowed), size):
            if len(set(other) & set(support.tolist())) >= size - 1:
                error = error_of(moment, moment[:, target], moment[target, target], other)
                near += error <= 1.01 * own
        found = count_near_equal(
            moment, moment[:, target], moment[target, target], support, allowed
        )
        assert found == near >= 1
    assert count_near_equal(moment, moment[:, 0], 1.0, np.array([], int), allowed) == 0


@pytest.fixture(scope="module")
def measured(stores):  # noqa: F811
    """Stability within f and from f to g."""
    _, logits, moments = stores
    found = {}
    for source, target in (("f", "f"), ("f", "g")):
        found[source, target] = measure_stability(
            subsets(stores, source, target),
            moments["f", "f"],
            moments[source, target],
            (logits[source], logits[target]),
            (source, target),
            sizes=[2, 4, 99],
            n_splits=3,
            exclude_own=True,
            seed=0,
        )
    return found


def test_the_store_has_what_the_halves_say(measured, stores):  # noqa: F811
    for pair, store in measured.items():
        assert store["support_size"].values.tolist() == [2, 4]
        assert store.attrs["n_halves"] == 6
        assert store["stability"].max() <= 1
        assert (store["stability_low"] <= store["stability_high"]).all()
        assert (store["n_near_equal"] >= 1).all()
        own = open_store(subsets(stores, *pair)).load()
        np.testing.assert_array_equal(store["target_category"], own["target_category"])
    # noise is not stable, and what is planted is
    assert 0.1 < float(measured["f", "f"]["mean_stability"][0]) < 1


def test_threads_change_nothing(measured, stores):  # noqa: F811
    _, logits, moments = stores
    again = measure_stability(
        subsets(stores, "f", "g"),
        *(moments["f", "f"], moments["f", "g"], (logits["f"], logits["g"]), ("f", "g")),
        sizes=[2, 4],
        n_splits=3,
        exclude_own=True,
        seed=0,
        n_threads=2,
    )
    assert again.equals(measured["f", "g"])


def test_tables(measured, stores):  # noqa: F811
    table = stability_table(measured.values())
    assert len(table) == 4
    at = measured["f", "g"].isel(support_size=1)
    assert table.iloc[3]["stability_median"] == pytest.approx(float(at["stability"].median()))
    assert table.iloc[3]["unique"] == pytest.approx(100 * float((at["n_near_equal"] == 1).mean()))
    both = [open_store(subsets(stores, "f", target)).load() for target in "fg"]
    agreed = agreement_table([both[0], both[0], both[1]], sizes=[3, 99])
    assert agreed["support_size"].tolist() == [3, 3, 3]
    assert agreed.iloc[0][["agreement_mean", "same", "shared"]].tolist() == [1, 100, 100]
    shared = np.mean(
        [
            len({*a} & {*b}) / 3
            for a, b in zip(
                *(one["support"].sel(support_size=3).values[:, :3] for one in both), strict=True
            )
        ]
    )
    assert agreed.iloc[1]["shared"] == pytest.approx(100 * shared)
