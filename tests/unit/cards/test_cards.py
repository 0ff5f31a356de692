"""Cards hold the stores' numbers, what held-out images say, and flags by their own rules."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

from neuraldeps.cards import make_cards, write_cards
from neuraldeps.cards.cards import _intervals
from neuraldeps.cards.flags import FLAGS, name_likeness
from neuraldeps.cards.residuals import measure_residuals
from neuraldeps.estimators import Solutions
from neuraldeps.logits.store import LogitsFile
from neuraldeps.stores import strings, write_store
from tests.synthetic_results import CODES, NAMES, K, N, evaluation_store
from tests.unit.test_moments import write_logits

ROWS = 5000  # more than two blocks


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """An evaluation, and logits that its dependencies are held against."""
    folder = tmp_path_factory.mktemp("cards")
    store = evaluation_store()
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (ROWS, N)).astype(np.float32)
    store["target_second_moment"] = ("target_category", np.full(N, 4.0))
    store["source_second_moment"] = ("source_category", np.full(N, 4.0))
    store["target_second_moment"][3] = 0.1
    for name in ("delta", "delta_positive"):
        axes = ("split", "estimator", "target_category", "support_size", "epsilon")
        shares = rng.integers(0, 41, (2, store.sizes["estimator"], N, K, 2)) / 40
        store[name] = (axes, shares)
    store = store.assign_coords(epsilon=[0.1, 0.2])
    store["n_positive"].loc[{"target_category": 5}] = 0
    for name in ("relative_error_positive", "positive_accuracy", "delta_positive"):
        store[name].loc[{"target_category": 5}] = np.nan
    store.attrs["positives"] = {"fit": "labelled", "test": "labelled"}
    write_store(store, folder / "evaluation.zarr")
    path = write_logits(folder / "logits.zarr", logits, rows=1024)
    return str(folder / "evaluation.zarr"), path, store.sel(split="test"), logits.astype(float)


def cards_of(judged, **options):
    given = {"split": "test", "sizes": [2, 4], "n_worst": 3} | options
    return make_cards(judged[0], judged[1], judged[1], **given)


def weights(store, estimator, size):
    at = store.sel(estimator=estimator, support_size=size)
    dense = np.zeros((N, N))
    for row, (support, coef) in enumerate(zip(at.support.values, at.coef.values, strict=True)):
        dense[row, support[support >= 0]] = coef[support >= 0]
    return dense


def test_a_card_has_the_stores_numbers(judged):
    store = judged[2]
    card = cards_of(judged)[4]
    assert (card["code"], card["name"], card["n_images"]) == (CODES[4], NAMES[4], 40)
    for size in (2, 4):
        for name in ("lasso", "refit", "subset"):
            at = store.sel(estimator=name, support_size=size).isel(target_category=4)
            order = np.argsort(-np.abs(at.coef.values[:size]))
            assert card[f"{name}_{size}_coef"] == at.coef.values[order].tolist()
            assert card[f"{name}_{size}_sources"] == [CODES[i] for i in at.support.values[order]]
            assert card[f"{name}_{size}_error"] == float(at.relative_error_positive)
            assert card[f"{name}_{size}_accuracy"] == float(at.positive_accuracy)
            assert card[f"{name}_{size}_delta_10"] == float(at.delta[0])
            assert card[f"{name}_{size}_delta_20_own"] == float(at.delta_positive[1])


def test_residuals_are_numpys_whatever_the_blocks(judged):
    _, _, store, logits = judged
    cards = cards_of(judged)
    residual = logits - logits @ weights(store, "subset", 2).T
    worst = np.argsort(-np.abs(residual), axis=0, kind="stable")[:3].T
    for i, card in enumerate(cards):
        assert card["worst_images"] == [str(image) for image in worst[i]]
        np.testing.assert_allclose(card["worst_residuals"], residual[worst[i], i], rtol=1e-12)
        for quantile in (50, 90, 99):
            exact = np.quantile(np.abs(residual[:, i]), quantile / 100, method="inverted_cdf")
            stored = card[f"subset_2_residual_q{quantile}"]
            assert exact <= stored <= exact * 10 ** (1 / 48) * (1 + 1e-12)
        bound = np.mean(residual[:, i] ** 2) / (0.1**2 * float(store.target_second_moment[i]))
        assert card["subset_2_delta_10_markov"] == pytest.approx(min(1, bound), rel=1e-12)


def test_intervals_are_scipys():
    n = np.array([10, 10, 10, 40_000, 0])
    found = _intervals(np.array([0.0, 1.0, 0.3, 0.02, np.nan]), n)
    for interval, count, total in zip(found[:4], (0, 10, 3, 800), n, strict=False):
        exact = scipy.stats.binomtest(count, int(total)).proportion_ci(0.95, method="exact")
        np.testing.assert_allclose(interval, [exact.low, exact.high], rtol=1e-9)
    assert found[4] is None


def test_redundancy_and_stability_come_from_their_stores(judged, tmp_path):
    err0, of_size = np.linspace(0, 1, N), np.tile([[0.3], [0.9]], N).T
    of_size[2, 0] = np.nan
    write_store(xr.Dataset({"err0_relative": ("category", err0)}), tmp_path / "redundancy.zarr")
    axes = ("target_category", "support_size")
    near = np.tile([[3], [7]], N).T
    stability = xr.Dataset({"stability": (axes, of_size), "n_near_equal": (axes, near)})
    write_store(stability, tmp_path / "stability.zarr")
    cards = cards_of(
        judged,
        redundancy=str(tmp_path / "redundancy.zarr"),
        stability=str(tmp_path / "stability.zarr"),
    )
    assert [card["err0_relative"] for card in cards] == err0.tolist()
    assert [card["stability"] for card in cards][:3] == [0.3, 0.3, None]
    assert {card["near_equal_supports"] for card in cards} == {3}
    assert "unstable" in cards[0]["flags"]
    assert "unstable" not in cards[2]["flags"]


def test_what_was_not_measured_is_null_and_no_category_is_lost(judged, tmp_path):
    cards = cards_of(judged)
    assert len(cards) == N
    assert cards[5]["subset_2_error"] is None
    assert cards[5]["subset_2_delta_10_own_interval"] is None
    assert {card["stability"] for card in cards} == {None}
    files = [str(tmp_path / f"cards.{form}") for form in ("csv", "parquet", "json")]
    write_cards(cards, *files)
    assert json.loads((tmp_path / "cards.json").read_text()) == cards
    table, flat = pd.read_parquet(files[1]), pd.read_csv(files[0])
    assert list(table) == list(flat) == list(cards[0])
    assert table["subset_2_sources"][4].tolist() == cards[4]["subset_2_sources"]
    assert flat["subset_2_sources"][4] == "; ".join(cards[4]["subset_2_sources"])
    assert "nan" not in (tmp_path / "cards.csv").read_text().lower().split(",")
    again = [str(tmp_path / f"again.{form}") for form in ("csv", "parquet", "json")]
    write_cards(cards_of(judged), *again)
    for one, other in zip(files, again, strict=True):
        with open(one, "rb") as first, open(other, "rb") as second:
            assert first.read() == second.read()


def test_sizes_beyond_the_path_are_left_out(judged):
    assert not [name for name in cards_of(judged, sizes=[2, 99])[0] if "_99_" in name]
    assert f"subset_{K}_error" in cards_of(judged, sizes=[99])[0]


def test_images_are_named_by_their_paths(judged, tmp_path):
    logits = xr.open_zarr(judged[1])
    named = logits.assign_coords(path=("sample", strings([f"{i}.png" for i in range(ROWS)])))
    write_store(named.load().drop_encoding(), tmp_path / "named.zarr")
    path = str(tmp_path / "named.zarr")
    card = make_cards(judged[0], path, path, split="test", sizes=[2], n_worst=1)[0]
    assert card["worst_images"] == [f"{cards_of(judged)[0]['worst_images'][0]}.png"]


def raised(**numbers):
    known = {
        "subset_errors": {4: 0.2},
        "shares": [0.9],
        "likeness": [0.8],
        "relative_second_moment": 1.0,
        "stability": 0.9,
    }
    return [name for name, flag in FLAGS.items() if flag.rule(known | numbers)]


@pytest.mark.parametrize(
    ("numbers", "flags"),
    [
        ({}, []),
        ({"subset_errors": {4: 0.09, 10: 0.01}}, ["redundant"]),
        ({"subset_errors": {4: 0.2, 10: 0.01}}, []),
        ({"subset_errors": {4: None}}, []),
        ({"likeness": [0.1]}, ["peculiar"]),
        ({"likeness": [0.1], "shares": [0.1]}, []),
        ({"relative_second_moment": 0.05}, ["unconfident"]),
        ({"stability": 0.2}, ["unstable"]),
        ({"stability": None}, []),
    ],
)
def test_flags_are_raised_by_their_rules(numbers, flags):
    assert raised(**numbers) == flags


def test_likeness_of_names_has_no_order():
    assert name_likeness("hen", "hen") == 1
    assert name_likeness("sea lion", "lion") == name_likeness("lion", "sea lion")
    assert name_likeness("hen", "oboe") < 0.3


def test_a_category_without_a_logit_has_finite_residuals(tmp_path):
    logits = np.zeros((10, 2), np.float32)
    logits[:, 1] = 3
    path = write_logits(tmp_path / "f.zarr", logits)
    solutions = Solutions(np.array([[[1]], [[0]]], np.int32), np.zeros((2, 1, 1)))
    (found,) = measure_residuals(
        LogitsFile(path),
        LogitsFile(path),
        np.arange(2),
        [solutions],
        np.array([0.0, 3.0]),
        n_samples=10,
        n_worst=20,
    )
    assert np.isfinite(found.quantile).all()
    assert found.worst.tolist() == [list(range(10))] * 2
    assert found.mean_square.tolist() == [0, 9]
