"""Theorem 3, Eq. 5 and Conjecture 1, counted as Sec. 2.3 states them, on solutions of both kinds of pair."""

import numpy as np
import pytest

from neuraldeps.stores import open_store, write_store
from neuraldeps.tables.theory import sparsity_table
from neuraldeps.theory.redundancy import measure_redundancy
from neuraldeps.theory.sparsity import breaks_of_monotony, check_sparsity, count_zeros
from tests.unit.dependencies.test_covlasso import N, lasso, solved, stores  # noqa: F401
from tests.unit.test_moments import values_of


@pytest.fixture(scope="module")
def checked(stores):  # noqa: F811
    """Sparsity of a pair within and one between, with where their logits are."""
    folder, logits, moments = stores
    redundancy = folder / "redundancy.zarr"
    write_store(measure_redundancy(logits["f"], "f", "none"), redundancy)
    found = {}
    for source, target in (("f", "f"), ("f", "g")):
        paths, pair = solved(stores, source, target)
        found[source, target] = check_sparsity(
            *(paths, moments[source, source], pair, (source, target)),
            exclude_own=True,
            redundancy=str(redundancy) if source == target else None,
        )
    return found, logits


@pytest.mark.parametrize("pair", [("f", "f"), ("f", "g")])
def test_counts_are_those_of_scikit_learns_solutions(checked, pair):
    found, logits = checked
    f, g = values_of(logits[pair[0]]), values_of(logits[pair[1]])
    store = found[pair]
    gram = f.T @ f / len(f)
    n_wrong = 0
    for i in range(N):
        others = np.delete(np.arange(N), i)
        b = np.abs(f.T @ g[:, i] / len(f))[others]
        alpha = 0.2 * b.max()
        coef = lasso(f, g[:, i], i, alpha)
        power = (g[:, i] ** 2).mean()
        err0 = 0.0
        if pair == ("f", "f"):
            err0 = np.linalg.lstsq(f[:, others], g[:, i], rcond=None)[1][0] / len(f)
        reach = np.sqrt(np.diagonal(gram)[others]) * np.sqrt(power - err0)
        screened = b / b.max() < 1 - 2 * reach * (1 / (2 * alpha) - 1 / (2 * b.max()))
        at = store.sel(target_category=i).isel(penalty=2)
        assert int(at["n_screened_at_penalty"]) == screened.sum()
        assert int(at["n_supposed_at_penalty"]) == (b < alpha).sum()
        assert int(at["n_supposed_wrong_at_penalty"]) == ((b < alpha) & (coef[others] != 0)).sum()
        assert int(at["n_sources_at_penalty"]) == np.count_nonzero(coef)
        assert not coef[others][screened].any()
        n_wrong += int(at["n_supposed_wrong_at_penalty"])
    assert n_wrong > 0  # a conjecture, seldom wrong


def test_err0_screens_more_than_its_lower_bound(checked, stores):  # noqa: F811
    found, _ = checked
    paths, pair = solved(stores, "f", "f")
    without = check_sparsity(paths, stores[2]["f", "f"], pair, ("f", "f"), exclude_own=True)
    known = found["f", "f"]["n_screened"].sum()
    assert known >= without["n_screened"].sum() > 0
    assert known > 0


def test_a_solution_that_breaks_theorem_3_fails_the_run(checked, stores, tmp_path):  # noqa: F811
    paths, pair = solved(stores, "f", "f")
    broken = open_store(paths).load()
    f = values_of(stores[1]["f"])
    b = np.abs(f.T @ f[:, 0] / len(f))
    least = int(np.delete(np.arange(N), 0)[np.delete(b, 0).argmin()])
    broken["support_at_support_size"][0, 0, 0] = least
    broken["alpha_at_support_size"][0, 0] = 0.999 * broken["alpha_max"][0]
    write_store(broken, tmp_path / "broken.zarr")
    with pytest.raises(ArithmeticError, match=r"broken\.zarr: Theorem 3 .* category 0 1 times"):
        check_sparsity(
            *(str(tmp_path / "broken.zarr"), stores[2]["f", "f"], pair, ("f", "f")),
            exclude_own=True,
        )


def test_a_path_that_breaks_eq_5_fails_the_run(checked, stores, tmp_path):  # noqa: F811
    paths, pair = solved(stores, "f", "g")
    broken = open_store(paths).load()
    broken["squared_error"][3, 1] *= 1.5
    write_store(broken, tmp_path / "broken.zarr")
    with pytest.raises(ArithmeticError, match=r"Eq\. 5 .* category 3"):
        check_sparsity(
            *(str(tmp_path / "broken.zarr"), stores[2]["f", "f"], pair, ("f", "g")),
            exclude_own=True,
        )


@pytest.mark.parametrize(
    ("error", "err0", "count"),
    [
        ([4.0, 3.0, 2.0, np.nan], 1.0, 0),
        ([4.0, 3.0, 3.0 + 1e-12], 1.0, 0),
        ([4.5, 3.0], 1.0, 1),
        ([4.0, 0.5], 1.0, 1),
        ([np.nan, np.nan], 0.0, 0),
    ],
)
def test_eq_5(error, err0, count):
    assert breaks_of_monotony(np.array(error), err0, 4.0) == count


def test_targets_that_nothing_predicts_count_for_nothing():
    nothing = np.full((2, 3), -1)
    for b in (np.zeros(4), np.full(4, np.nan)):
        found = count_zeros(b, np.ones(4), 0.0, np.array([0.0, np.nan]), nothing)
        assert not np.any(found)


def test_the_table_has_shares_and_no_nan(checked):
    found, _ = checked
    table = sparsity_table(found.values(), sizes=[2, 99])
    assert table["at"].tolist() == 2 * ["size 2", "alpha 0.05", "alpha 50", "relative_alpha 0.2"]
    at = table.iloc[3]
    counts = found["f", "f"].isel(penalty=2)
    wrong, supposed = (
        int(counts[f"n_supposed{which}_at_penalty"].sum()) for which in ("_wrong", "")
    )
    assert at["counterexamples"] == wrong
    assert at["precision"] == pytest.approx(100 * (1 - wrong / supposed))
    # at a penalty above every alpha_max there is no solution, and no share of anything
    assert table.iloc[2]["n_solutions"] == 0
    assert table.iloc[2][["screened", "precision", "recall"]].isna().all()
    assert (table["violations"] == 0).all()
