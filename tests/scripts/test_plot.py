from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image
from sklearn.linear_model import Lasso

from neuraldeps.dependencies.chord import draw_categories
from neuraldeps.dependencies.correlation import solve_correlation
from neuraldeps.figures.correlation import read_correlations
from neuraldeps.stores import open_store, provenance, strings, write_store
from scripts import (
    choose_cases,
    plot_chord,
    plot_contact_sheet,
    plot_correlation,
    plot_curves,
    plot_error_by_support,
    plot_share_within,
    plot_star,
    plot_star_panel,
    solve_chord,
)
from scripts import solve_correlation as solve_correlation_script
from tests.synthetic_results import CODES, N, category_coords, evaluation_store

AUTO = {"split": "fit", "cases": "auto", "support_size": [3, 4], "choose_by": "subset"}
AUTO |= {"min_positives": 10}
CASE = {"test": "test", "estimator": "subset"}


@pytest.fixture
def files(tmp_path):
    return str(tmp_path / "figures/a.png"), str(tmp_path / "figures/a.svg")


def stored(dataset, path, attrs=None, **options):
    title = provenance("test", "Test")
    write_store(dataset.assign_attrs(title | (attrs or {})), path, **options)
    return str(path)


def second_moments(tmp_path, empty=()):
    """Planted: logit 2 of network b is half of logit 5 of network a, and some noise."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4000, N))
    b[:, 2] = 0.5 * a[:, 5] + 0.01 * b[:, 2]
    b[:, list(empty)] = 0
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


def solved_targets(tmp_path, source, target, **options):
    """What Figure 3 shows of a pair: per target the positions of b and w, the two, and alpha."""
    logits, moments = second_moments(tmp_path)
    pair = tuple(sorted((source, target)))
    solved = solve_correlation(
        moments[source, source],
        moments[target, target],
        moments[pair],
        (source, target),
        **({"n_targets": 3, "relative_alpha": 0.3, "exclude_own": True, "seed": 0} | options),
    )
    return logits, solved, read_correlations(solved)


@pytest.mark.parametrize(("source", "target"), [("a", "a"), ("a", "b"), ("b", "a")])
def test_correlation_is_scikit_learns_lasso(tmp_path, source, target):
    logits, solved, shown = solved_targets(tmp_path, source, target)
    assert len(shown) == 3
    assert (solved.dual_gap <= 1e-12 * solved.squared_error).all()
    for i, one in zip(solved.target_category.values, shown, strict=True):
        assert one.category.code == str(solved.source_category_code.values[i])
        others = np.arange(N) != i
        features, wanted = logits[source][:, others], logits[target][:, i]
        np.testing.assert_allclose(one.correlation, features.T @ wanted / len(wanted), atol=1e-12)
        assert one.alpha == pytest.approx(0.3 * np.abs(one.correlation).max())
        model = Lasso(alpha=one.alpha, fit_intercept=False, tol=1e-12, max_iter=100_000)
        model.fit(features, wanted)
        # scikit-learn stops at its own tolerance
        np.testing.assert_allclose(one.coef, model.coef_, atol=1e-6)


def test_correlation_keeps_the_own_category_where_it_is_allowed(tmp_path):
    options = {"n_targets": N, "relative_alpha": 0.5, "exclude_own": False}
    _, _, shown = solved_targets(tmp_path, "a", "b", **options)
    assert len(shown[2].correlation) == len(shown[2].coef) == N
    assert np.flatnonzero(shown[2].coef).tolist() == [5]


def test_categories_without_a_logit_are_not_drawn(tmp_path):
    _, moments = second_moments(tmp_path, empty=range(3, N))
    options = {"relative_alpha": 0.3, "exclude_own": True, "seed": 0}
    path = moments["b", "b"]
    solved = solve_correlation(path, path, path, ("b", "b"), n_targets=9, **options)
    assert solved.target_category.values.tolist() == [0, 1, 2]


def test_targets_of_a_pair_are_drawn_by_seed(tmp_path):
    drawn = [
        solved_targets(tmp_path / str(run), "a", "b", seed=seed)[1].target_category.values.tolist()
        for run, seed in enumerate((0, 0, 1))
    ]
    assert drawn[0] == drawn[1] == sorted(drawn[0])
    assert drawn[0] != drawn[2]


def test_correlation_of_all_pairs(tmp_path, files):
    _, moments = second_moments(tmp_path)
    stores = []
    for source, target in [("a", "a"), ("a", "b"), ("b", "a")]:
        stores.append(str(tmp_path / f"correlation/{source}--{target}.zarr"))
        solve_correlation_script.main(
            moments[source, source],
            moments[target, target],
            moments["a", "b" if source != target else "a"],
            stores[-1],
            models=(source, target),
            n_targets=2,
            relative_alpha=0.5,
            exclude_own=True,
            seed=0,
        )
    plot_correlation.main(stores, *files)
    assert drawn(files)


def test_chords_are_solved_from_the_base_categories_alone(tmp_path, files):
    rng = np.random.default_rng(0)
    base, targets = draw_categories(N, n_base=4, n_targets=1, seed=0)
    logits = rng.normal(size=(4000, N))
    outside = np.setdiff1d(np.arange(N), [*base, *targets])[0]
    logits[:, targets[0]] = 0.9 * logits[:, outside] + 0.3 * logits[:, base[1]]
    coords = category_coords("source_category") | category_coords("target_category")
    both = ("source_category", "target_category")
    moments = stored(
        xr.Dataset({"second_moment": (both, logits.T @ logits / 4000)}, coords),
        tmp_path / "moments.zarr",
        {"source": "a", "target": "a"},
        contiguous=["second_moment"],
    )
    chord = str(tmp_path / "chord.zarr")
    solve_chord.main(moments, chord, n_base=4, n_targets=1, support_size=1, seed=0)
    solved = open_store(chord)
    assert solved.source_category.values.tolist() == base.tolist()
    assert solved.target_category.values.tolist() == targets.tolist()
    assert solved.coef.shape == (1, 4)
    assert np.flatnonzero(solved.coef[0]).tolist() == [1]
    assert [str(code) for code in solved.source_category_code.values] == [CODES[j] for j in base]
    plot_chord.main(chord, *files)
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
    plot_share_within.main([store], *files, test="test")
    assert drawn(files)
