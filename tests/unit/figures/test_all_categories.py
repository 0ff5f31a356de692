"""Figures over all categories show the stores' numbers, and galleries the right categories."""

import hashlib
from pathlib import Path

import matplotlib
import networkx as nx
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import LineCollection
from PIL import Image

from neuraldeps.categories import Category
from neuraldeps.figures.accuracy import (
    accuracy_pairs,
    kept_accuracy,
    plot_accuracy_kept,
    plot_accuracy_replaced,
)
from neuraldeps.figures.gallery import choose_gallery, plot_galleries, unlikeness
from neuraldeps.figures.graph import dependency_graph, lay_out, pack_disks, plot_graph, strongest
from neuraldeps.figures.stability import grouped_quartiles, plot_stability, stability_pairs
from neuraldeps.figures.style import (
    ONE_COLUMN,
    RC,
    TWO_COLUMNS,
    save_figure,
    save_pages,
    save_widths,
)
from neuraldeps.stores import strings
from tests.synthetic_results import CODES, NAMES, K, N, category_coords, evaluation_store

KNOWN = [Category(name, code) for name, code in zip(NAMES, CODES, strict=True)]
PAIRS = [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]
GALLERY = {"estimator": "subset", "fit": "fit", "support_size": 4, "n_categories": 5}


def evaluations():
    return [evaluation_store(*pair, seed=seed) for seed, pair in enumerate(PAIRS)]


def controls(source="a", target="b"):
    rng = np.random.default_rng(0)
    predictors = [(name, size) for name in ("random", "nearest") for size in (1, 3, 5)]
    return xr.Dataset(
        {
            "positive_accuracy": (("target_category", "predictor"), rng.uniform(0, 0.5, (N, 6))),
            "original_positive_accuracy": ("target_category", rng.uniform(0.8, 1, N)),
        },
        {
            "predictor": strings([name for name, _ in predictors]),
            "predictor_size": ("predictor", [size for _, size in predictors]),
        }
        | category_coords("target_category"),
        {"source": source, "target": target},
    )


def stability_store(seed=0):
    values = np.random.default_rng(seed).uniform(-0.1, 1, (N, K))
    coords = {"support_size": np.arange(1, K + 1)} | category_coords("target_category")
    return xr.Dataset({"stability": (("target_category", "support_size"), values)}, coords)


def kept(width=TWO_COLUMNS):
    networks = [evaluation_store("a@untrained", "a@untrained", seed=9)]
    return plot_accuracy_kept(evaluations(), [controls()], networks, test="test", width=width)


def replaced(width=TWO_COLUMNS):
    return plot_accuracy_replaced(
        evaluations(), test="test", estimator="subset", size=4, width=width
    )


def stability(width=TWO_COLUMNS):
    stores = [stability_store(seed) for seed in range(4)]
    return plot_stability(evaluations(), stores, test="test", size=4, width=width)


def graph(width=TWO_COLUMNS):
    return plot_graph(dependency_graph(evaluation_store(), "subset", 2, 0), "a", width=width)


def gallery(width=TWO_COLUMNS):
    store = evaluation_store("a", "b")
    chosen = choose_gallery(store, **GALLERY)
    given = {"n_pages": 2, "per_page": 3, "estimator": "subset", "split": "test"}
    return plot_galleries(chosen, "a", "b", **given)["peculiar"][1]


FIGURES = {one.__name__: one for one in (kept, replaced, stability, graph, gallery)}


SHOWN = [(name, width) for name in FIGURES for width in (TWO_COLUMNS, ONE_COLUMN)][:-1]


@pytest.mark.parametrize(("name", "width"), SHOWN)
def test_nothing_is_cut_off_or_lies_on_other_words(name, width):
    figure = FIGURES[name](width)
    with matplotlib.rc_context(RC):
        box, size = figure.get_tightbbox(), figure.get_size_inches()
        figure.draw_without_rendering()
    assert min(box.x0, box.y0) >= -1e-9
    assert box.x1 <= size[0]
    assert box.y1 <= size[1]
    assert size[0] == width or name == "gallery"
    words = [*figure.texts, *figure.legends, *(axes.title for axes in figure.axes)]
    for axes in figure.axes:
        words += axes.texts
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            words += [
                tick.label1
                for tick in axis.get_major_ticks()
                if limits[0] <= tick.get_loc() <= limits[1]
            ]
    boxes = [one.get_window_extent() for one in words if one.get_visible()]
    boxes = [one for one in boxes if one.width > 1]
    for at, first in enumerate(boxes):
        assert not any(first.overlaps(second) for second in boxes[at + 1 :])


def test_the_same_input_gives_the_same_bytes_in_every_form_and_width(tmp_path):
    digests, store = [], evaluation_store()

    def draw(width):
        return plot_accuracy_replaced([store], test="test", estimator="subset", size=4, width=width)

    for turn in ("first", "second"):
        forms = {"png": "a.png", "svg": "a.svg", "pdf": "a.pdf", "column_png": "b.png"}
        outputs = {form: str(tmp_path / turn / name) for form, name in forms.items()}
        save_widths(draw, outputs)
        pages = str(tmp_path / turn / "g.png"), str(tmp_path / turn / "g.pdf")
        save_pages([draw(ONE_COLUMN)], [pages[0]], pages[1])
        files = sorted((tmp_path / turn).iterdir())
        digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
        assert len(files) == 6
    assert digests[0] == digests[1]
    widths = [Image.open(tmp_path / f"first/{name}.png").width for name in "ab"]
    assert widths == [round(200 * TWO_COLUMNS), round(200 * ONE_COLUMN)]


def test_a_png_has_few_colours_and_white_is_white(tmp_path):
    png, svg = str(tmp_path / "a.png"), str(tmp_path / "a.svg")
    store = evaluation_store()
    figure = plot_accuracy_replaced([store], test="test", estimator="subset", size=4)
    save_figure(figure, png, svg)
    full = tmp_path / "full.png"
    with matplotlib.rc_context(RC):
        figure.savefig(full, dpi=200)
    with Image.open(png) as drawn, Image.open(full) as whole:
        assert drawn.mode == "P"
        few, many = (np.asarray(one.convert("RGB"), int) for one in (drawn, whole))
    assert (few[(many == 255).all(axis=2)] == 255).all()
    assert np.abs(few - many).max() <= 40  # one pixel of an antialiased edge
    assert Path(png).stat().st_size < full.stat().st_size / 2


def test_accuracy_kept_is_the_stores_share_of_the_original():
    store = evaluation_store()
    store.original_positive_accuracy[:, 3] = 0
    at = store.sel(split="test", estimator="refit")
    with np.errstate(divide="ignore"):
        shares = at.positive_accuracy.values / at.original_positive_accuracy.values[:, None]
    expected = 100 * np.percentile(np.delete(shares, 3, axis=0), [25, 50, 75], axis=0)
    own = kept_accuracy(at.positive_accuracy.values, at.original_positive_accuracy.values)
    np.testing.assert_allclose(own, expected)
    drawn = plot_accuracy_kept([store], test="test").axes[0].lines[1]
    np.testing.assert_allclose(drawn.get_ydata(), expected[1])


def test_nulls_are_drawn_in_the_panel_of_their_pair_alone():
    lines = [{line.get_label(): line for line in axes.lines} for axes in kept().axes]
    named = [{name for name in one if not name.startswith("_")} for one in lines]
    assert named == [{"untrained"}, {"random", "nearest"}, set(), set()]
    store = controls()
    shares = store.positive_accuracy.values / store.original_positive_accuracy.values[:, None]
    assert lines[1]["nearest"].get_xdata().tolist() == [1, 3, 5]
    np.testing.assert_allclose(
        lines[1]["nearest"].get_ydata(), 100 * np.median(shares[:, 3:], axis=0)
    )


def test_every_category_is_in_a_dot_of_its_accuracies():
    store = evaluation_store()
    store.original_positive_accuracy[:, :4] = 0.5
    store.positive_accuracy[:, :, :4] = 0.25
    store.positive_accuracy[:, :, 9] = np.nan
    original, now, count = accuracy_pairs(store, "test", "subset", 4)
    assert count.sum() == N - 1
    assert count[(original == 50) & (now == 25)].tolist() == [4]
    (dots,) = (
        plot_accuracy_replaced([store], test="test", estimator="subset", size=4).axes[0].collections
    )
    np.testing.assert_allclose(dots.get_offsets(), np.stack([original, now], axis=1))
    assert dots.get_sizes() / count == pytest.approx(dots.get_sizes()[0] / count[0])


def test_stability_stands_over_the_error_of_the_same_category():
    store, stable = evaluation_store(), stability_store()
    stable.stability[5, 3] = np.nan
    pairs = stability_pairs(store, stable, "test", 4)
    assert len(pairs.error) == N - 1
    at = {"split": "test", "estimator": "subset", "target_category": 6, "support_size": 4}
    assert pairs.error[5] == 100 * float(store.relative_error_positive.sel(at))
    assert pairs.stability[5] == float(stable.stability[6, 3])
    middle, quartiles = grouped_quartiles(pairs)
    assert (np.diff(middle) > 0).all()
    lowest = pairs.stability[np.argsort(pairs.error)[:3]]  # 24 in ten groups
    np.testing.assert_allclose(quartiles[:, 0], np.percentile(lowest, [25, 50, 75]))
    offsets = (
        plot_stability([store], [stable], test="test", size=4).axes[0].collections[0].get_offsets()
    )
    np.testing.assert_allclose(offsets, np.stack(pairs, axis=1))


def planted_groups():
    """Three groups of categories that are made of each other alone."""
    store = evaluation_store()
    group = np.arange(N) % 3
    for i in range(N):
        members = [j for j in np.flatnonzero(group == group[i]) if j != i]
        store.support[-1, i, 1] = [members[0], members[-1], *[-1] * (K - 2)]
        store.coef[-1, i, 1] = [0.9, -0.8, *[0] * (K - 2)]
    return store, group


def test_the_graph_has_the_stores_edges_and_finds_planted_communities():
    store, group = planted_groups()
    found = dependency_graph(store, "subset", 2, seed=0)
    assert len(found.sources) == 2 * N
    assert nx.utils.graphs_equal(
        nx.DiGraph(list(zip(found.sources, found.targets, strict=True))),
        nx.DiGraph([(int(j), i) for i in range(N) for j in store.support.values[-1, i, 1, :2]]),
    )
    scale = np.sqrt(store.target_second_moment.values)
    np.testing.assert_allclose(
        found.share, np.abs(found.coef) * scale[found.sources] / scale[found.targets]
    )
    pairs = set(zip(group.tolist(), found.community.tolist(), strict=True))
    assert len(pairs) == len({one for one, _ in pairs}) == 3
    figure = plot_graph(found, "a")
    segments = [
        len(one.get_segments())
        for one in figure.axes[0].collections
        if isinstance(one, LineCollection)
    ]
    assert segments == [0, N]
    edges = strongest(found)
    assert sorted(found.targets[edges]) == list(range(N))
    assert all(
        found.share[edge] == found.share[found.targets == found.targets[edge]].max()
        for edge in edges
    )
    assert (np.diff(found.share[edges]) >= 0).all()
    assert "100 % of the dependencies stay inside one" in figure.texts[1].get_text()


def test_categories_lie_in_their_communitys_disk_and_disks_apart():
    found = dependency_graph(evaluation_store(), "subset", 2, seed=0)
    places, centres, radii = lay_out(found)
    own = np.hypot(*(places - centres[found.community]).T)
    assert (own <= radii[found.community]).all()
    gaps = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    assert gaps[~np.eye(N, dtype=bool)].min() > 0.5
    radii = np.sort(np.random.default_rng(0).uniform(0.5, 4, 30))[::-1]
    centres = pack_disks(radii)
    apart = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1))
    assert (apart + np.eye(30) * 99 >= radii[:, None] + radii[None] + 0.5 - 1e-6).all()


def test_the_best_of_a_gallery_are_missed_least_on_the_split_that_chooses():
    store = evaluation_store("a", "b")
    chosen = choose_gallery(store, **GALLERY)
    error = store.relative_error_positive.sel(split="fit", estimator="subset", support_size=4)
    expected = [NAMES[at] for at in np.argsort(error.values)[:5]]
    assert [case.category.name for case in chosen["best"]] == expected
    holding = {NAMES[at] for at in np.argsort(error.values)[: -(-N // 2)]}
    assert {case.category.name for case in chosen["peculiar"]} <= holding
    assert all(len(case.terms["subset"]) == 4 for case in chosen["best"])
    assert (
        len(choose_gallery(store, **(GALLERY | {"support_size": 99}))["best"][0].terms["subset"])
        == K
    )


def test_the_most_peculiar_have_the_least_alike_sources():
    store = evaluation_store("a", "b")
    store.relative_error_positive[:] = 0.5
    place = {name: at for at, name in enumerate(NAMES)}
    target = place["LATIN CAPITAL LETTER A"]
    for row, sources in (
        (target, ["LATIN CAPITAL LETTER B", "LATIN SMALL LETTER B"]),
        (place["AMPERSAND"], ["LATIN CAPITAL LETTER A WITH GRAVE", "DOWNWARDS ARROW"]),
    ):
        for j in range(2):
            store.support[-1, row, 3, j] = place[sources[j]]
        store.support[-1, row, 3, 2:] = -1
    unlike = unlikeness(store.sel(support_size=4), "subset")
    assert unlike[target] < 0.2 < unlike[place["AMPERSAND"]]
    first = choose_gallery(store, **GALLERY)["peculiar"][0].category.name
    holding = np.arange(-(-N // 2))  # equal errors: the first half
    assert first == NAMES[holding[np.argmax(unlike[holding])]]


def test_pages_show_the_numbers_of_the_judging_split_and_say_if_they_are_empty():
    store = evaluation_store("a", "b")
    chosen = choose_gallery(store, **GALLERY)
    given = {"n_pages": 3, "per_page": 3, "estimator": "subset", "split": "test"}
    pages = plot_galleries(chosen, "a", "b", **given)
    assert {kind: [len(page.axes) for page in of] for kind, of in pages.items()} == {
        "best": [3, 2, 0],
        "peculiar": [3, 2, 0],
    }
    case = chosen["best"][1]
    measured, original = case.metrics["test"]["subset"], case.original["test"]
    texts = [text.get_text() for text in pages["best"][0].axes[1].texts]
    assert (
        f"acc {100 * measured['accuracy']:.1f} ({100 * original['accuracy']:.1f})   "
        f"pos {100 * measured['positive_accuracy']:.1f} ({100 * original['positive_accuracy']:.1f})   "
        f"err {100 * measured['relative_error_positive']:.1f} %"
    ) in texts
    assert "page 2 of 3" in pages["best"][1].texts[0].get_text()
    assert "no category" in pages["best"][2].texts[1].get_text()
