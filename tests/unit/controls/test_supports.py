"""Random, nearest and all sources, against NumPy; judged and tabulated beside what was searched for."""

import numpy as np
import pytest

from neuraldeps.controls.evaluation import evaluate_controls
from neuraldeps.controls.planting import plan
from neuraldeps.controls.supports import dense_solutions, nearest_supports, random_supports
from neuraldeps.moments import reduce_second_moment
from neuraldeps.stores import open_store, write_store
from neuraldeps.tables.controls import controls_table, planted_table
from tests.synthetic_results import evaluation_store
from tests.unit.dependencies.test_covlasso import N, solved, stores, subsets  # noqa: F401
from tests.unit.test_moments import values_of, write_logits

TARGETS = np.arange(8)


def moments(rank, seed=0, rows=400):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((rank, 8))
    f = (rng.standard_normal((rows, rank)) @ mixing).astype(np.float32).astype(float)
    g = f @ rng.standard_normal((8, 8)) + rng.standard_normal((rows, 8))
    return f, g


def test_random_sources_are_nested_allowed_and_the_targets_own():
    allowed = ~np.eye(8, dtype=bool)
    allowed[:, 3] = False
    support = random_supports(allowed, [1, 3, 7], TARGETS, seed=5)
    assert support.shape == (8, 3, 7)
    for target, of in enumerate(support):
        one, three, seven = (set(row[row >= 0].tolist()) for row in of)
        assert one < three <= seven
        assert (len(one), len(three)) == (1, 3)
        assert seven == set(range(8)) - {3, target}
    np.testing.assert_array_equal(
        random_supports(allowed[2:4], [1, 3, 7], TARGETS[2:4], seed=5), support[2:4]
    )
    assert not np.array_equal(random_supports(allowed, [1, 3, 7], TARGETS, seed=6), support)


def test_nearest_sources_have_the_largest_cosines():
    f, g = moments(8)
    allowed = ~np.eye(8, dtype=bool)
    support = nearest_supports(f.T @ f / 400, f.T @ g / 400, allowed, [1, 4], TARGETS)
    cosine = np.abs(f.T @ g) / np.outer(np.linalg.norm(f, axis=0), np.linalg.norm(g, axis=0))
    for i in range(8):
        order = [j for j in np.argsort(-cosine[:, i]) if j != i]
        assert support[i, 0].tolist() == [order[0], -1, -1, -1]
        assert support[i, 1].tolist() == order[:4]


@pytest.mark.parametrize("rank", [8, 5, 1])
@pytest.mark.parametrize("own", [False, True])
def test_all_sources_predict_as_numpys_least_squares_does(rank, own):
    f, g = moments(rank)
    for other in (f, g) if not own else (g,):
        found = dense_solutions(f.T @ f / 400, f.T @ other / 400, TARGETS, own=own)
        for i in TARGETS:
            others = np.arange(8) if own else np.delete(TARGETS, i)
            best = f[:, others] @ np.linalg.lstsq(f[:, others], other[:, i], rcond=1e-5)[0]
            # normal equations square the condition number
            np.testing.assert_allclose(
                f @ found.coef[i, 0], best, rtol=0, atol=1e-4 * np.abs(best).max()
            )
            assert own or found.coef[i, 0, i] == 0


def test_controls_are_judged_as_dependencies_are(stores):  # noqa: F811
    _, logits, paths = stores
    best = subsets(stores, "f", "g")
    store = evaluate_controls(
        *(best, paths["f", "f"], paths["f", "g"], (logits["f"], logits["g"]), ("f", "g")),
        sizes=[1, 3, 99],
        exclude_own=True,
        seed=0,
    )
    names = list(zip(store["predictor"].values, store["predictor_size"].values, strict=True))
    assert names == [
        *[("random", 1), ("random", 3), ("nearest", 1), ("nearest", 3)],
        *[("own", 1), ("with own", 2), ("with own", 4), ("dense", N - 1)],
    ]
    f, g = (values_of(logits[name]) for name in "fg")
    for i in (0, 9):
        others = np.delete(np.arange(N), i)
        fitted = f[:, others] @ np.linalg.lstsq(f[:, others], g[:, i], rcond=None)[0]
        error = np.abs(g[:, i] - fitted).mean() / np.abs(g[:, i]).mean()
        dense = store["relative_error"].sel(target_category=i).values[-1]
        assert dense == pytest.approx(error, rel=1e-8)
        cosine = np.abs(f[:, others].T @ g[:, i]) / np.linalg.norm(f[:, others], axis=0)
        x = f[:, others[cosine.argmax()]]
        error = np.abs(g[:, i] - x * (x @ g[:, i]) / (x @ x)).mean() / np.abs(g[:, i]).mean()
        nearest = store["relative_error"].sel(target_category=i).values[2]
        assert nearest == pytest.approx(error, rel=1e-8)
        chosen = open_store(best)["support"].sel(target_category=i, support_size=3).values
        both = f[:, [i, *chosen[chosen >= 0]]]
        fitted = both @ np.linalg.lstsq(both, g[:, i], rcond=None)[0]
        error = np.abs(g[:, i] - fitted).mean() / np.abs(g[:, i]).mean()
        with_own = store["relative_error"].sel(target_category=i).values[6]
        assert with_own == pytest.approx(error, rel=1e-8)


def test_the_table_has_own_and_control_rows_in_order(stores):  # noqa: F811
    _, logits, paths = stores
    controls = evaluate_controls(
        *(
            subsets(stores, "f", "f"),
            paths["f", "f"],
            paths["f", "f"],
            (logits["f"], logits["f"]),
            ("f", "f"),
        ),
        sizes=[2],
        exclude_own=True,
        seed=0,
    )
    own = evaluation_store()
    own.attrs |= {"source": "f", "target": "f"}
    shuffled = own.assign_attrs(source="h@shuffled", target="f")
    table = controls_table([shuffled, own], [controls], [2, 99], split="test")
    assert table["control"].tolist() == ["none"] * 5 + ["shuffled"] * 2
    assert table["sources_by"].tolist()[:5] == ["dense", "nearest", "random", "refit", "subset"]
    at = own.sel(split="test", estimator="subset", support_size=2)
    error = at["relative_error_positive"].values
    share = table.set_index(["control", "sources_by"]).loc[("none", "subset")]
    assert share["rel_err_share_below_20"] == pytest.approx(100 * (error < 0.2).mean())
    assert table.iloc[5]["source"] == "h"


def test_the_planted_table_tells_found_from_missed(tmp_path):
    rng = np.random.default_rng(1)
    base = rng.standard_normal((900, 9)) @ rng.standard_normal((9, N))
    what = plan(base.T @ base / 900, 0)
    path = write_logits(tmp_path / "f.zarr", base @ what.transform)
    moment = str(tmp_path / "f--f.zarr")
    write_store(
        reduce_second_moment(path, path, "none", ("f", "f")), moment, contiguous=["second_moment"]
    )
    given = (tmp_path, {"f": path}, {("f", "f"): moment})
    found = open_store(subsets(given, "f", "f")).load()
    lasso = open_store(solved(given, "f", "f")[0]).load()
    moments_of = open_store(moment)["second_moment"].values
    table = planted_table(found, lasso, moments_of, what)
    assert table["is_planted"].tolist() == [True, True, False, False]
    assert table["found_by_subset"].tolist()[:2] == [True, True]
    assert (table["coef_error"] <= table["coef_error_bound"])[:2].all()
    assert table["is_claimed"].tolist() == [True, True, False, False]
    other = what._replace(support=np.where(what.support >= 0, (what.support + 1) % N, -1))
    missed = planted_table(found, lasso, moments_of, other)
    assert missed["found_by_subset"].tolist()[:2] == [False, False]
    assert missed["coef_error"].isna().all()
