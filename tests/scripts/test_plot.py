from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image
from sklearn.linear_model import Lasso

from neuraldeps.stores import provenance, strings, write_store
from scripts import (
    choose_cases,
    plot_chord,
    plot_contact_sheet,
    plot_correlation,
    plot_curves,
    plot_error_by_support,
    plot_star,
    plot_star_panel,
)
from tests.synthetic_results import N, category_coords, evaluation_store

AUTO = {"split": "fit", "cases": "auto", "support_size": [3, 4], "choose_by": "lasso"}
CASE = {"test": "test", "estimator": "lasso"}


@pytest.fixture
def files(tmp_path):
    return str(tmp_path / "figures/a.png"), str(tmp_path / "figures/a.svg")


def stored(dataset, path, attrs=None, **options):
    title = provenance("test", "Test")
    write_store(dataset.assign_attrs(title | (attrs or {})), path, **options)
    return str(path)


def second_moments(tmp_path):
    """Planted: logit 2 of network b is half of logit 5 of network a, and some noise."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4000, N))
    b[:, 2] = 0.5 * a[:, 5] + 0.01 * b[:, 2]
    coords = category_coords("source_category") | category_coords("target_category")
    logits, moments = {"a": a, "b": b}, {}
    for first, second in (("a", "a"), ("a", "b"), ("b", "b")):
        moment = logits[first].T @ logits[second] / len(a)
        moments[first, second] = stored(
            xr.Dataset({"second_moment": (("source_category", "target_category"), moment)}, coords),
            tmp_path / f"{first}--{second}.zarr",
            {"source": first, "target": second},
            contiguous=["second_moment"],
        )
    return logits, moments


def drawn(files):
    assert all(Path(path).stat().st_size > 0 for path in files)
    with Image.open(files[0]) as image:
        return np.asarray(image.convert("L")).std() > 0


def test_star_and_panel(tmp_path, files):
    evaluations = [
        stored(evaluation_store("a", target), tmp_path / f"a--{target}.zarr", {"source": "a"})
        for target in "ab"
    ]
    logits = stored(
        xr.Dataset(
            coords=category_coords("category") | {"label": ("sample", np.arange(N))},
        ),
        tmp_path / "logits.zarr",
    )
    cases = str(tmp_path / "cases.json")
    choose_cases.main(evaluations, cases, **AUTO)
    plot_star.main(evaluations[0], cases, logits, *files, **CASE)
    assert drawn(files)
    size = Image.open(files[0]).size
    plot_star_panel.main(evaluations, cases, logits, *files, **CASE)
    assert drawn(files)
    assert Image.open(files[0]).size > size


@pytest.mark.parametrize(("source", "target"), [("a", "a"), ("a", "b"), ("b", "a")])
def test_correlation_is_scikit_learns_lasso(tmp_path, source, target):
    logits, moments = second_moments(tmp_path)
    targets = np.array([2, 5])
    solved = plot_correlation.solve_targets(
        source,
        moments[source, source],
        moments["a", "b"] if source != target else moments[source, source],
        (logits[target] ** 2).mean(axis=0),
        targets,
        relative_alpha=0.3,
        exclude_own=True,
    )
    for i, (correlation, coef, alpha) in zip(targets, solved, strict=True):
        others = np.arange(N) != i
        features, wanted = logits[source][:, others], logits[target][:, i]
        np.testing.assert_allclose(correlation, features.T @ wanted / len(wanted), atol=1e-12)
        assert alpha == pytest.approx(0.3 * np.abs(correlation).max())
        model = Lasso(alpha=alpha, fit_intercept=False, tol=1e-12, max_iter=100_000)
        model.fit(features, wanted)
        # scikit-learn stops at its own tolerance
        np.testing.assert_allclose(coef, model.coef_, atol=1e-6)


def test_correlation_keeps_the_own_category_where_it_is_allowed(tmp_path):
    logits, moments = second_moments(tmp_path)
    ((correlation, coef, _),) = plot_correlation.solve_targets(
        "a",
        moments["a", "a"],
        moments["a", "b"],
        (logits["b"] ** 2).mean(axis=0),
        np.array([2]),
        relative_alpha=0.5,
        exclude_own=False,
    )
    assert len(correlation) == len(coef) == N
    assert np.flatnonzero(coef).tolist() == [5]


def test_correlation_of_all_pairs(tmp_path, files):
    _, moments = second_moments(tmp_path)
    models = [("a", "a"), ("a", "b"), ("b", "a")]
    plot_correlation.main(
        [moments["a", "a"], moments["b", "b"]],
        [moments["a", "a"], moments["a", "b"], moments["a", "b"]],
        *files,
        models=models,
        n_targets=2,
        relative_alpha=0.5,
        exclude_own=True,
        seed=0,
    )
    assert drawn(files)


def test_chords_are_solved_from_the_base_categories_alone(tmp_path, files):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 10))
    logits[:, 7] = 0.9 * logits[:, 8] + 0.3 * logits[:, 1]
    base, targets = np.array([0, 1, 2, 3]), np.array([7])
    coef = plot_chord.solve_chords(logits.T @ logits / 4000, base, targets, support_size=1)
    assert coef.shape == (1, 4)
    assert np.flatnonzero(coef[0]).tolist() == [1]
    _, moments = second_moments(tmp_path)
    options = {"model": "a", "n_base": 12, "n_targets": 3, "support_size": 2, "seed": 0}
    plot_chord.main(moments["a", "a"], *files, **options)
    assert drawn(files)


def test_contact_sheet_with_and_without_images_out_of_distribution(tmp_path, files):
    rng = np.random.default_rng(0)
    bitmaps = xr.Dataset(
        {"bitmap": (("category", "face", "y", "x"), rng.integers(0, 9, (N, 2, 8, 8), np.uint8))},
        {"face": strings(["DejaVuSans", "DejaVuSerif"])} | category_coords("category"),
    )
    images = xr.Dataset(
        {"image": (("sample", "y", "x"), rng.integers(0, 255, (2 * N, 8, 8), np.uint8))},
        {"label": ("sample", np.repeat(np.arange(N), 2))},
    )
    paths = stored(bitmaps, tmp_path / "bitmaps.zarr"), stored(images, tmp_path / "test.zarr")
    heights = []
    for ood in (paths[1], None):
        plot_contact_sheet.main(*paths, ood, *files, n_categories=4, n_images=2, seed=0)
        assert drawn(files)
        heights.append(Image.open(files[0]).height)
    assert heights[0] > heights[1]


def test_curves_and_errors(tmp_path, files):
    csv = tmp_path / "curve.csv"
    pd.DataFrame({"epoch": [1, 2], "train_loss": [2, 1], "learning_rate": [0.1, 0]}).to_csv(csv)
    plot_curves.main([str(csv)], *files, titles=["a"])
    assert drawn(files)
    store = stored(evaluation_store(), tmp_path / "e.zarr")
    plot_error_by_support.main([store], *files, fit="fit", test="test")
    assert drawn(files)
