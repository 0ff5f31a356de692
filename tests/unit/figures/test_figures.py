import hashlib
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.patches import Circle
from PIL import Image

from neuraldeps.categories import Category
from neuraldeps.dependencies.cases import describe_case
from neuraldeps.dependencies.chord import draw_categories
from neuraldeps.figures.chord import (
    Chords,
    arcs,
    arrange,
    plot_chord,
    sector_degrees,
)
from neuraldeps.figures.contact_sheet import choose_rows, mosaic, plot_contact_sheet
from neuraldeps.figures.correlation import Correlation, plot_correlation
from neuraldeps.figures.curves import plot_curves
from neuraldeps.figures.distribution import (
    error_quartiles,
    plot_error_by_support,
    plot_share_within,
    share_within,
)
from neuraldeps.figures.pictures import sample_pictures
from neuraldeps.figures.robustness import plot_robustness
from neuraldeps.figures.star import angles, plot_star, plot_star_panel
from neuraldeps.figures.style import RC, save_figure, signed
from neuraldeps.stores import strings
from tests.synthetic_results import CODES, NAMES, N, category_coords, evaluation_store

KNOWN = [Category(name, code) for name, code in zip(NAMES, CODES, strict=True)]


def a_case(source="a", target="a", seed=0):
    return describe_case(evaluation_store(source, target, seed=seed), 4, 3)


def a_chord():
    coef = np.zeros((3, 20))
    coef[[0, 1, 2, 2], [4, 5, 5, 9]] = [0.5, -0.25, 1.0, 0.1]
    return plot_chord(Chords(KNOWN[:20], KNOWN[20:23], coef), "title", "subtitle")


def a_correlation():
    rng = np.random.default_rng(0)
    one = Correlation(KNOWN[0], rng.normal(0, 1, N), np.where(np.arange(N) < 3, 0.3, 0.0), 0.5)
    return plot_correlation([("a", "a", [one, one]), ("a", "b", [one, one])])


def some_images():
    rng = np.random.default_rng(0)
    bitmaps = xr.Dataset(
        {"bitmap": (("category", "face", "y", "x"), rng.integers(0, 255, (N, 3, 8, 8), np.uint8))},
        {"face": strings(["DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif"])}
        | category_coords("category"),
    )
    label = np.tile(np.arange(N), 4)
    image = np.broadcast_to(label[:, None, None], (4 * N, 6, 6)).astype(np.uint8)
    test = xr.Dataset({"image": (("sample", "y", "x"), image)}, {"label": ("sample", label)})
    return bitmaps, test


def a_contact_sheet():
    bitmaps, test = some_images()
    return plot_contact_sheet(choose_rows(bitmaps, test, test, n_categories=5, n_images=2))


def some_curves():
    frame = pd.DataFrame(
        {"epoch": [1, 2], "train_loss": [3, 1], "valid_top1": [50, 90], "learning_rate": [0.1, 0]}
    )
    return plot_curves({"a": [frame], "b": [frame, frame.assign(train_loss=[2, 1])]})


def robustness(arms=("baseline", "control", "literal", "normalised")):
    rows = [
        {"model": model, "arm": arm, "theta_relative": 0.3 - 0.1 * i, "theta_relative_std": 0.02}
        | {"theta_alpha": 0.2, "theta_alpha_std": float("nan"), "acc_target": 90 - 30 * i}
        | {"acc_target_std": 1.0, "acc_source": 80, "acc_source_std": float("nan")}
        for model in ("a", "b")
        for i, arm in enumerate(arms)
    ]
    paper = {"model": "a", "arm": "paper: ours", "theta_alpha": 0.02}
    return pd.DataFrame([*rows, paper])


def errors():
    stores = [evaluation_store(seed=seed) for seed in range(3)]
    return plot_error_by_support(stores, "fit", "test")


def shares():
    pairs = [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]
    stores = [evaluation_store(*pair, seed=seed) for seed, pair in enumerate(pairs)]
    return plot_share_within(stores, "test")


FIGURES = {
    "star": lambda: plot_star(a_case()),
    "star of the paper's method": lambda: plot_star(a_case(), estimator="lasso"),
    "panel": lambda: plot_star_panel([a_case(), a_case("b", "b", 1), a_case("a", "b", 2)]),
    "chord": a_chord,
    "correlation": a_correlation,
    "contact_sheet": a_contact_sheet,
    "curves": some_curves,
    "robustness": lambda: plot_robustness(robustness()),
    "errors": errors,
    "shares": shares,
}


@pytest.mark.parametrize("name", FIGURES)
def test_same_input_gives_the_same_bytes(name, tmp_path):
    digests = []
    for turn in ("first", "second"):
        png, svg = (tmp_path / turn / f"figure.{form}" for form in ("png", "svg"))
        save_figure(FIGURES[name](), str(png), str(svg))
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in (png, svg)])
        assert "dc:date" not in svg.read_text()
    assert digests[0] == digests[1]


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_cut_off(name):
    figure = FIGURES[name]()
    with matplotlib.rc_context(RC):
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


def test_curves_of_all_seeds_are_drawn_and_named_once():
    first, second = some_curves().axes[0], some_curves().axes[3]
    assert [len(axes.lines) for axes in (first, second)] == [1, 2]
    assert [line.get_label().startswith("_") for line in second.lines] == [False, True]


def test_robustness_shows_every_arm_and_no_paper():
    theta, accuracy, *_ = plot_robustness(robustness()).axes
    assert [label.get_text() for label in theta.get_yticklabels()] == [
        "baseline",
        "control",
        "literal",
        "normalised",
    ]
    relative = theta.containers[0].lines[0].get_xdata()
    np.testing.assert_allclose(np.asarray(relative, float), [0.3, 0.2, 0.1, 0.0], atol=1e-12)
    assert len(accuracy.containers) == 2


@pytest.mark.parametrize("estimator", ["refit", "subset"])
def test_star_shows_names_coefficients_and_accuracies(estimator):
    case = a_case()
    figure = plot_star(case, estimator=estimator)
    texts = {text.get_text().replace("\n", " ") for text in figure.axes[0].texts}
    for term in case.terms[estimator]:
        assert f"{term.coef:.2f}".replace("-", "\N{MINUS SIGN}") in texts
        assert term.category.caption in texts
    assert case.category.caption in texts
    measured, original = case.metrics["test"][estimator], case.original["test"]
    assert (
        f"acc {100 * measured['accuracy']:.1f} ({100 * original['accuracy']:.1f})   "
        f"pos {100 * measured['positive_accuracy']:.1f} ({100 * original['positive_accuracy']:.1f})"
    ) in texts
    beside = figure.axes[0].child_axes
    assert len(beside) == (estimator == "subset")
    kept = 100 * case.metrics["test"]["refit"]["positive_accuracy"]
    assert all(f"pos {kept:.1f}" in one.get_title() for one in beside)


def test_shares_are_those_of_the_categories_with_images():
    store = evaluation_store()
    store.relative_error_positive[:, :, 3] = np.nan
    values = store.relative_error_positive.sel(split="test", estimator="subset").values
    expected = 100 * (np.delete(values, 3, axis=0) < 0.3).mean(axis=0)
    np.testing.assert_allclose(share_within(store, "test", "subset", 0.3), expected)
    (line,) = [
        line
        for line in plot_share_within([store], "test").axes[2].lines
        if line.get_label() == "subset"
    ]
    np.testing.assert_allclose(line.get_ydata(), expected)


@pytest.mark.parametrize("n", range(1, 9))
def test_star_nodes_are_evenly_spread_and_none_is_straight_down(n):
    directions = angles(n)
    assert np.allclose(np.diff(directions), 2 * np.pi / n)
    assert np.sin(directions).min() > -1 + 1e-6


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.50"), (-0.126, "-0.13"), (0.0021, "0.002"), (-0.00004, "-0.00004"), (0, "0.00")],
)
def test_small_coefficients_are_not_written_as_zero(value, text):
    assert signed(value) == text.replace("-", "\N{MINUS SIGN}")


def test_conjecture_counts_what_is_held_left_of_the_bar():
    one = Correlation(KNOWN[0], np.array([-2, 0.4, 3, 0.1]), np.array([0.2, -0.1, 0, 0]), 0.5)
    assert one.n_below_bar == 1


def test_arcs_are_as_long_as_the_coefficients():
    parts = arcs(np.array([0.5, 0.0, -0.25]), size=10, unit=4)
    lengths = [end - start for start, end, _ in parts]
    assert lengths == pytest.approx([2, 0, 1])
    assert parts[0][0] == pytest.approx(3.5)
    assert parts[2][1] == pytest.approx(6.5)


@pytest.mark.parametrize("length", [[0, 0, 0, 5.0], [1.0, 2, 3, 4], [0.0, 0, 0, 0]])
def test_sectors_fill_the_ring(length):
    length = np.array(length)
    degrees, unit = sector_degrees(length, 352)
    assert degrees.sum() == pytest.approx(352)
    assert (degrees >= unit * length - 1e-9).all()
    assert (degrees > 0).all()


def test_arrangement_holds_every_base_category_once():
    coef = np.zeros((4, 30))
    coef[[0, 1, 2, 3], [3, 8, 20, 29]] = 1
    order = arrange(coef)
    assert sorted(order) == list(range(30))
    linked = [j for j in order if coef[:, j].any()]
    assert linked in [[3, 8, 20, 29]]


def test_base_and_target_categories_are_disjoint_and_drawn_by_seed():
    base, targets = draw_categories(100, 88, 10, seed=1)
    assert (len(base), len(targets)) == (88, 10)
    assert not set(base) & set(targets)
    again = draw_categories(100, 88, 10, seed=1)
    assert (again[0] == base).all()
    assert (draw_categories(100, 88, 10, seed=2)[0] != base).any()


def test_names_of_targets_do_not_lie_on_each_other_or_on_nodes():
    coef = np.abs(np.random.default_rng(0).normal(size=(10, 12)))
    figure = plot_chord(Chords(KNOWN[:12], KNOWN[12:22], coef), "title", "")
    figure.draw_without_rendering()
    axes = figure.axes[1]
    names = {known.caption for known in KNOWN[12:22]}
    texts = [text for text in axes.texts if text.get_text().replace("\n", " ") in names]
    assert len(texts) == 10
    boxes = [text.get_window_extent() for text in texts]
    nodes = [p.get_window_extent() for p in axes.patches if isinstance(p, Circle)]
    assert len(nodes) == 10
    for first, second in combinations([*boxes, *nodes], 2):
        assert not first.overlaps(second)


def test_mosaic_puts_tiles_in_their_places():
    tiles = np.arange(6, dtype=np.uint8).reshape(2, 3, 1, 1) * np.ones((2, 2), np.uint8)
    sheet = mosaic(tiles)
    assert sheet.shape == (5, 8)
    assert sheet[3, 6] == 255 - 5
    assert sheet[0, 3] == 255 - 1
    assert sheet[2].tolist() == [255] * 8


def test_contact_sheet_shows_images_of_its_own_categories():
    sheet = choose_rows(*some_images(), None, n_categories=4, n_images=3)
    for category, images in zip(sheet.categories, sheet.images, strict=True):
        assert (images == NAMES.index(category.name)).all()
    assert sheet.images.shape == (4, 3, 6, 6)


def test_error_quartiles_leave_out_categories_without_positives():
    store = evaluation_store()
    store.relative_error_positive[:, :, 3] = np.nan
    values = store.relative_error_positive.sel(split="test", estimator="refit").values
    expected = 100 * np.percentile(np.delete(values, 3, axis=0), [25, 50, 75], axis=0)
    np.testing.assert_allclose(error_quartiles(store, "test", "refit"), expected)


def test_pictures_are_read_from_the_paths_of_the_logits(tmp_path, caplog):
    Image.new("RGB", (40, 20), (255, 0, 0)).save(tmp_path / "hen.png")
    logits = xr.Dataset(
        coords={
            "category": [0, 1, 2],
            "category_name": ("category", strings(["cock", "hen", "BROKEN BAR"])),
            "category_code": ("category", strings(["n0", "n1", "U+00A6"])),
            "label": ("sample", [0, 1, 1]),
            "path": ("sample", strings(["cock.png", "hen.png", "none.png"])),
        }
    )
    pictures = sample_pictures(logits, ["n0", "n1", "U+00A6"], root=str(tmp_path))
    assert list(pictures) == ["n1"]
    assert (pictures["n1"] == [255, 0, 0]).all()
    assert "n0 is drawn without a picture" in caplog.text
    assert not sample_pictures(logits, ["U+00A6"])


def test_a_picture_stands_in_the_node(tmp_path):
    case = describe_case(
        evaluation_store().assign_coords(
            source_category_code=("source_category", strings([f"n{i}" for i in range(N)]))
        ),
        4,
        0,
    )
    red = {case.terms["subset"][0].category.code: np.full((8, 8, 3), (255, 0, 0), np.uint8)}
    figure = plot_star(case, pictures=red)
    png = tmp_path / "a.png"
    save_figure(figure, str(png), str(tmp_path / "a.svg"))
    pixels = np.asarray(Image.open(png).convert("RGB")).reshape(-1, 3)
    assert (pixels == [255, 0, 0]).all(axis=1).sum() > 1000
    assert Path(png).stat().st_size > 0


def test_tables_and_figures_do_not_load_torch():
    modules = "neuraldeps.tables.dependencies, neuraldeps.figures.chord, neuraldeps.figures.star"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
