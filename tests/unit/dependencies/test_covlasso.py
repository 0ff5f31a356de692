"""From moment stores to judged dependencies, against scikit-learn on the raw logits."""

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import Lasso

from neuraldeps.best_subset import best_subsets
from neuraldeps.covlasso import MomentError, UncertifiedError
from neuraldeps.dependencies.best_subset import gather_best_subset, solve_best_subset
from neuraldeps.dependencies.covlasso import _count_uncertified, gather_covlasso, solve_covlasso
from neuraldeps.dependencies.evaluation import evaluate_dependencies
from neuraldeps.errors import StoreError
from neuraldeps.logs import job_log
from neuraldeps.moments import reduce_second_moment
from neuraldeps.stores import open_store, write_store
from tests.unit.test_moments import values_of, write_logits

N, ROWS, BATCHES, MAX_SUPPORT = 17, 800, 3, 5


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dependencies")
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((9, N))
    logits = {}
    for model in "gf":
        values = rng.standard_normal((ROWS, 9)) @ mixing + 0.3 * rng.standard_normal((ROWS, N))
        logits[model] = write_logits(folder / f"{model}.zarr", values, rows=256)
    paths = {}
    for a, b in (("f", "f"), ("f", "g"), ("g", "g")):
        paths[a, b] = str(folder / f"{a}--{b}.zarr")
        moments = reduce_second_moment(logits[a], logits[b], "none", (a, b))
        write_store(moments, paths[a, b], contiguous=["second_moment"])
    return folder, logits, paths


def solved(stores, source, target):
    folder, _, paths = stores
    pair = paths[tuple(sorted((source, target)))]
    parts = []
    for batch in range(BATCHES):
        part = folder / f"{source}--{target}.part{batch}.zarr"
        dataset = solve_covlasso(
            *(paths[source, source], paths[target, target], pair, (source, target)),
            batch=batch,
            batches=BATCHES,
            max_support=MAX_SUPPORT,
            exclude_own=True,
            alpha=[0.05, 50.0],
            relative_alpha=[0.2],
        )
        write_store(dataset, part)
        parts.append(str(part))
    path = folder / f"{source}--{target}.paths.zarr"
    write_store(gather_covlasso(parts), path)
    return str(path), pair


def subsets(stores, source, target, batches=BATCHES, **options):
    folder, _, paths = stores
    parts = []
    for batch in range(batches):
        part = folder / f"{source}--{target}.{batches}.{batch}.zarr"
        dataset = solve_best_subset(
            *(paths[source, source], paths[target, target]),
            paths[tuple(sorted((source, target)))],
            (source, target),
            batch=batch,
            batches=batches,
            **{"max_support": MAX_SUPPORT, "exclude_own": True, "width": 1, "proven_size": 2}
            | options,
        )
        write_store(dataset, part)
        parts.append(str(part))
    path = folder / f"{source}--{target}.subsets{batches}.zarr"
    write_store(gather_best_subset(parts), path)
    return str(path)


def lasso(f, y, own, alpha):
    """scikit-learn on the raw logits, own category left out."""
    others = np.delete(np.arange(N), own)
    model = Lasso(alpha=alpha, fit_intercept=False, tol=1e-14, max_iter=100_000)
    coef = np.zeros(N)
    coef[others] = model.fit(f[:, others], y).coef_
    return coef


def dense(support, coef):
    w = np.zeros(N)
    w[support[support >= 0]] = coef[support >= 0]
    return w


@pytest.mark.parametrize("within", [True, False])
def test_own_categories_are_left_out_within_and_between_unless_asked_for(stores, within):
    _, _, paths = stores
    target = "f" if within else "g"
    dataset = solve_covlasso(
        *(paths["f", "f"], paths[target, target], paths["f", target], ("f", target)),
        batch=0,
        batches=1,
        max_support=MAX_SUPPORT,
        exclude_own=False,
        alpha=[0.05],
        relative_alpha=[],
    )
    own = (dataset["support"] == dataset["target_category"]).any()
    assert bool(own) == (not within)


@pytest.mark.parametrize(("source", "target"), [("f", "f"), ("f", "g"), ("g", "f")])
def test_gathered_solutions_are_scikit_learns(stores, source, target):
    dataset = open_store(solved(stores, source, target)[0]).load()
    f, g = values_of(stores[1][source]), values_of(stores[1][target])
    assert dataset["target_category"].values.tolist() == list(range(N))
    assert dataset["support"].dtype == np.int32
    for i in range(N):
        at = dataset.isel(target_category=i)
        for p, alpha in enumerate(at["alpha_at_penalty"].values):
            w = dense(at["support_at_penalty"].values[p], at["coef_at_penalty"].values[p])
            # coordinate descent to tolerance 1e-14 on a well conditioned problem
            np.testing.assert_allclose(w, lasso(f, g[:, i], i, alpha), atol=1e-7)
        for knot in range(1, int(at["n_knots"])):
            w = dense(at["support"].values[knot], at["coef"].values[knot])
            oracle = lasso(f, g[:, i], i, at["alpha"].values[knot])
            np.testing.assert_allclose(w, oracle, atol=1e-7)
        sizes = (at["support_at_support_size"].values >= 0).sum(axis=1)
        assert (sizes <= np.arange(1, MAX_SUPPORT + 1)).all()
    assert dataset["alpha_at_penalty"].values[0, 1] == 50
    assert (dataset["support_size_at_penalty"].values[:, 1] == 0).all()


def test_gathering_forgets_nothing_whatever_the_batches(stores):
    _, _, paths = stores
    gathered = open_store(solved(stores, "f", "g")[0]).load()
    whole = solve_covlasso(
        *(paths["f", "f"], paths["g", "g"], paths["f", "g"], ("f", "g")),
        batch=0,
        batches=1,
        max_support=MAX_SUPPORT,
        exclude_own=True,
        alpha=[0.05, 50.0],
        relative_alpha=[0.2],
    )
    assert gathered.attrs.pop("made_by") == "gather_covlasso"
    assert whole.attrs.pop("made_by") == "solve_covlasso"
    xr.testing.assert_identical(gathered, whole)


@pytest.mark.parametrize(("source", "target"), [("f", "f"), ("f", "g"), ("g", "f")])
def test_gathered_subsets_are_the_solvers_whatever_the_batches(stores, source, target):
    _, logits, _ = stores
    stored = open_store(subsets(stores, source, target)).load()
    f, g = values_of(logits[source]), values_of(logits[target])
    given = () if source == target else (f.T @ g / ROWS, np.square(g).mean(axis=0))
    found = best_subsets(f.T @ f / ROWS, *given, max_support=MAX_SUPPORT, proven_size=2)
    assert stored["target_category"].values.tolist() == list(range(N))
    np.testing.assert_array_equal(stored["support"].values, found.support)
    np.testing.assert_allclose(stored["coef"].values, found.coef, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(stored["n_sources"].values, found.support_size)
    assert stored.attrs["status"]["1"] == {"proven": N}
    assert (stored["status"].values[:, 2:] == "exchange-optimal").all()
    whole = open_store(subsets(stores, source, target, batches=1)).load()
    xr.testing.assert_identical(stored, whole)


def test_held_out_logits_over_other_images_are_refused(stores, tmp_path):
    _, logits, paths = stores
    path, pair = solved(stores, "f", "g")
    found = subsets(stores, "f", "g")
    f, g = values_of(logits["f"]), values_of(logits["g"])
    codes = [f"U+{i:04X}" for i in range(N)]
    cases = {
        "values along sample where": write_logits(tmp_path / "fewer.zarr", f[:-1]),
        "bring both networks' categories": write_logits(tmp_path / "turned.zarr", f, codes[::-1]),
    }
    for message, source in cases.items():
        with pytest.raises(StoreError, match=message):
            evaluate_dependencies(
                *(path, found, paths["f", "f"], pair),
                {"test": (source, logits["g"])},
                dataset="test",
            )
    sides = tuple(
        write_logits(tmp_path / f"{name}.zarr", values, codes[::-1])
        for name, values in (("f", f), ("g", g))
    )
    with pytest.raises(StoreError, match="bring the categories of all splits into the same order"):
        evaluate_dependencies(
            *(path, found, paths["f", "f"], pair), {"test": sides}, dataset="test"
        )


def test_judged_on_each_split(stores):
    _, logits, paths = stores
    path, pair = solved(stores, "f", "g")
    judged = evaluate_dependencies(
        *(path, subsets(stores, "f", "g"), paths["f", "f"], pair),
        {"fit": (logits["f"], logits["g"])},
        dataset="test",
    )
    f, g = values_of(logits["f"]), values_of(logits["g"])
    winners = g.argmax(1)
    for i in range(N):
        at = judged.sel(target_category=i, split="fit")
        positive = winners == i
        assert int(at["n_positive"]) == positive.sum()
        for k in range(1, MAX_SUPPORT + 1):
            for estimator in ("lasso", "refit", "subset"):
                one = at.sel(support_size=k, estimator=estimator)
                w = dense(one["support"].values, one["coef"].values)
                error = np.abs(g[:, i] - f @ w)
                assert float(one["absolute_error"]) == pytest.approx(error.mean(), rel=1e-12)
                assert float(one["relative_error_positive"]) == pytest.approx(
                    error[positive].sum() / np.abs(g[positive, i]).sum(), rel=1e-12
                )
                missed = error[:, None] > judged["epsilon"].values * np.sqrt(np.mean(g[:, i] ** 2))
                assert one["delta"].values.tolist() == missed.mean(axis=0).tolist()
                own = error[:, None] > judged["epsilon"].values * np.abs(g[:, [i]])
                own = own[positive].mean(axis=0)
                assert one["delta_positive"].values.tolist() == own.tolist()
        null = at.isel(penalty=1)  # alpha 50: w = 0
        assert float(null["relative_error_at_penalty"].sel(estimator_at_penalty="lasso")) == 1
    squared = []
    for estimator in ("refit", "subset"):
        one = judged.sel(estimator=estimator)
        w = [
            [dense(*two) for two in zip(*of_target, strict=True)]
            for of_target in zip(one["support"].values, one["coef"].values, strict=True)
        ]
        squared.append(np.square(g[:, :, None] - np.einsum("rj,tkj->rtk", f, w)).mean(axis=0))
    assert (squared[1] <= squared[0] * (1 + 1e-9)).all()
    assert (squared[1] < (1 - 1e-4) * squared[0]).any()
    assert judged.attrs["positives"]["fit"].startswith("pseudo-positives")
    assert float(judged["original_accuracy"].sel(split="fit")) == 1


@pytest.fixture(scope="module")
def uncertified(tmp_path_factory):
    """Solved and judged: the last two categories are equal but for float32 rounding."""
    folder = tmp_path_factory.mktemp("uncertified")
    rng = np.random.default_rng(0)
    values = rng.standard_normal((2000, 20))
    values += 3 * np.eye(20)[rng.integers(0, 20, 2000)]
    absent = 0.5 * values[:, 0] - 0.3 * values[:, 1] + 0.2 * rng.standard_normal(2000) - 2
    absent = absent[:, None] * (1 + 6e-8 * rng.standard_normal((2000, 2)))
    logits = write_logits(folder / "f.zarr", np.hstack([values, absent]), rows=2000)
    moments, paths = str(folder / "moments.zarr"), str(folder / "paths.zarr")
    write_store(
        reduce_second_moment(logits, logits, "none", ("f", "f")),
        moments,
        contiguous=["second_moment"],
    )
    dataset = solve_covlasso(
        *(moments, moments, moments, ("f", "f")),
        batch=1,
        batches=4,
        max_support=21,
        exclude_own=True,
        alpha=[0.1, 1e-9],
        relative_alpha=[],
    )
    write_store(dataset, paths)
    found = str(folder / "subsets.zarr")
    write_store(
        solve_best_subset(
            *(moments, moments, moments, ("f", "f")),
            batch=1,
            batches=4,
            max_support=21,
            exclude_own=True,
            width=1,
            proven_size=1,
        ),
        found,
    )
    judged = evaluate_dependencies(
        *(paths, found), moments, moments, {"fit": (logits, logits)}, dataset="test"
    )
    return open_store(paths).load(), judged


def test_a_target_that_cannot_be_certified_ends_no_others_path(uncertified):
    paths, _ = uncertified
    ended = paths["ended_by"].values
    assert set(ended) == {"certificate", "precision"}
    assert paths.attrs["paths_ended_by"] == {
        reason: (ended == reason).sum() for reason in ("certificate", "precision")
    }
    last = paths["n_knots"].values - 1
    gap = np.take_along_axis(paths["dual_gap"].values, last[:, None], axis=1)[:, 0]
    assert (gap <= 1e-12 * paths["target_second_moment"].values).all()
    at = (paths["support_at_support_size"].values >= 0).sum(axis=2)
    assert (at[:, -1] == paths["knot_support_size"].values[np.arange(len(last)), last]).all()


def test_a_solution_that_cannot_be_certified_is_no_number(uncertified):
    paths, judged = uncertified
    failed = np.isnan(paths["dual_gap_at_penalty"].values)
    assert failed.any()
    assert not failed[:, 0].any()
    assert paths.attrs["uncertified_at_penalty"] == failed.sum(axis=0).tolist()
    assert (paths["support_at_penalty"].values[failed] == -1).all()
    for name in ("relative_error_at_penalty", "accuracy_at_penalty", "absolute_error_at_penalty"):
        values = judged[name].transpose(..., "target_category", "penalty").values
        assert (np.isnan(values) == failed).all()


def test_what_was_not_certified_is_said_in_one_line(uncertified, caplog):
    paths, _ = uncertified
    _count_uncertified(paths)
    (record,) = caplog.records
    count = int((paths["ended_by"].values == "certificate").sum())
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"{count} of 6 paths end where what comes next cannot")


@pytest.mark.parametrize("error", [UncertifiedError("target 3 ..."), MomentError("not definite")])
def test_a_job_that_cannot_be_solved_ends_with_one_line(error, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended, job_log(str(tmp_path / "job.log")):
        raise error
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"Error: {error}\n"
    assert "Traceback" not in (tmp_path / "job.log").read_text()
