from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from neuraldeps.covlasso import covlasso_path
from neuraldeps.stores import open_store, provenance, strings, write_store
from scripts import (
    plot_chord,
    plot_contact_sheet,
    plot_correlation,
    plot_curves,
    plot_error_by_support,
    plot_star,
    plot_star_panel,
)
from tests.synthetic_results import N, category_coords, evaluation_store

CASE = {
    "splits": ("fit", "test"),
    "cases": "auto",
    "support_size": [3, 4],
    "choose_by": "lasso",
    "estimator": "lasso",
}


@pytest.fixture
def files(tmp_path):
    return str(tmp_path / "figures/a.png"), str(tmp_path / "figures/a.svg")


def stored(dataset, path, attrs=None):
    title = provenance("test", "Test")
    write_store(dataset.assign_attrs(title | (attrs or {})), path)
    return str(path)


def second_moments(tmp_path):
    """Planted: logit 2 of network b is half of logit 5 of network a, and some noise."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4000, N))
    b[:, 2] = 0.5 * a[:, 5] + 0.01 * b[:, 2]
    coords = category_coords("source_category") | category_coords("target_category")
    moments = {}
    for first, second, left, right in (("a", "a", a, a), ("a", "b", a, b)):
        moments[first, second] = stored(
            xr.Dataset(
                {"second_moment": (("source_category", "target_category"), left.T @ right / 4000)},
                coords,
            ),
            tmp_path / f"{first}--{second}.zarr",
            {"source": first, "target": second},
        )
    return a, b, moments


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
    plot_star.main(evaluations[0], logits, *files, **CASE)
    assert drawn(files)
    size = Image.open(files[0]).size
    plot_star_panel.main(evaluations, logits, *files, **CASE)
    assert drawn(files)
    assert Image.open(files[0]).size > size


def test_correlation_takes_the_side_of_the_source(tmp_path, files):
    _, b, moments = second_moments(tmp_path)
    # the store of the unordered pair is a--b; the ordered pair is b -> a
    cross = open_store(moments["a", "b"]).second_moment.values.T
    path = covlasso_path(
        b.T @ b / 4000,
        cross_moment=cross,
        target_second_moment=np.ones(N),
        max_support=3,
    )
    solved = xr.Dataset(
        {
            "alpha": (("target_category", "knot"), path.alpha),
            "alpha_max": ("target_category", path.alpha_max),
            "support": (("target_category", "knot", "slot"), path.support),
            "coef": (("target_category", "knot", "slot"), path.coef),
        },
        category_coords("target_category"),
    )
    paths = stored(
        solved,
        tmp_path / "paths.zarr",
        {"source": "b", "target": "a", "config": {"exclude_own": True}},
    )
    source, target, (one,) = plot_correlation.read_targets(paths, moments["a", "b"], [5], 0.5)
    assert (source, target) == ("b", "a")
    held = np.flatnonzero(one.coef)
    assert held.tolist() == [2]
    assert one.correlation[2] == pytest.approx(cross[2, 5])
    assert len(one.correlation) == N - 1
    plot_correlation.main(
        [paths], [moments["a", "b"]], *files, n_targets=2, relative_alpha=0.5, seed=0
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
    _, _, moments = second_moments(tmp_path)
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
    plot_curves.main([str(csv)], *files, models=["a"])
    assert drawn(files)
    store = stored(evaluation_store(), tmp_path / "e.zarr")
    plot_error_by_support.main([store], *files, fit="fit", test="test")
    assert drawn(files)
