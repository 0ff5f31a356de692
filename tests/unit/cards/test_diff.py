"""What is kept, lost and gained between two versions of one network, with its probability."""

import numpy as np
import pytest

from neuraldeps.cards import compare_networks
from neuraldeps.stability.stability import measure_stability
from neuraldeps.stores import open_store, write_store
from tests.unit.dependencies.test_covlasso import ROWS, N, stores, subsets  # noqa: F401
from tests.unit.test_moments import values_of


@pytest.fixture(scope="module")
def networks(stores):  # noqa: F811
    """Networks f and g, of which the tests make versions, with their stability."""
    folder, logits, moments = stores
    found = {}
    for name in "fg":
        best, moment = subsets(stores, name, name), moments[name, name]
        store = measure_stability(
            *(best, moment, moment, (logits[name], logits[name]), (name, name)),
            sizes=[3],
            n_splits=3,
            exclude_own=True,
            seed=0,
        )
        path = str(folder / f"{name}.stability.zarr")
        write_store(store, path)
        found[name] = (best, moment, path)
    return found, logits


def diff(networks, first, second, sizes=(3,), *, stable=True):
    of = [networks[0][first], networks[0][second]]
    subsets_of, moments, stability = zip(*of, strict=True)
    how = {"sizes": sizes, "stability": stability if stable else None}
    return compare_networks(subsets_of, moments, (first, second), **how)


def test_a_network_and_itself_differ_in_nothing(networks):
    rows = diff(networks, "f", "f")
    assert len(rows) == N
    for row in rows:
        assert len(row["3_kept"]) == 3
        assert row["3_lost"] == row["3_gained"] == row["3_surely_lost"] == []
        assert row["3_first_error"] == row["3_second_error"] == row["3_transferred_error"]


def test_rows_are_what_the_stores_and_numpy_say(networks):
    found, logits = networks
    rows = diff(networks, "f", "g")
    stored = [open_store(found[name][0]).load() for name in "fg"]
    halves = [open_store(found[name][2])["half_support"].load() for name in "fg"]
    g = values_of(logits["g"])
    names = [str(one) for one in range(N)]  # what categories without names are called
    n_lost = 0
    for i, row in enumerate(rows):
        ours, theirs = (
            store["support"].sel(target_category=i, support_size=3).values[:3].tolist()
            for store in stored
        )
        lost = [one for one in ours if one not in theirs]
        assert row["3_lost"] == [names[one] for one in lost]
        assert row["3_kept"] == [names[one] for one in ours if one in theirs]
        assert row["3_gained"] == [names[one] for one in theirs if one not in ours]
        in_second = [
            (halves[1].sel(target_category=i, support_size=3).values == one).any(axis=1).mean()
            for one in lost
        ]
        assert row["3_lost_probability"] == pytest.approx(in_second)
        residual = np.linalg.lstsq(g[:, ours], g[:, i], rcond=None)[1][0] / ROWS
        expected = np.sqrt(residual / (g[:, i] ** 2).mean())
        assert row["3_transferred_error"] == pytest.approx(expected, rel=1e-9)
        assert row["3_second_error"] <= row["3_transferred_error"] * (1 + 1e-12)
        sure = [name for name, p in zip(row["3_lost"], in_second, strict=True) if p <= 0.1]
        assert set(row["3_surely_lost"]) <= set(sure)
        n_lost += len(lost)
    assert n_lost > 0


def test_without_stability_there_is_no_probability_and_nothing_is_sure(networks):
    rows = diff(networks, "f", "g", stable=False)
    for row in rows:
        assert set(row["3_lost_probability"]) <= {None}
        assert row["3_surely_lost"] == row["3_surely_gained"] == []
    assert "5_kept" in diff(networks, "f", "g", sizes=[99])[0]
