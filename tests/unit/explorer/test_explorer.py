"""The explorer's data are the stores', rounded as it says; its folder is whole, and the same from the same run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from neuraldeps.cards.flags import FLAGS
from neuraldeps.errors import StoreError
from neuraldeps.explorer import make_explorer
from neuraldeps.explorer.writing import new_folder, write_script
from neuraldeps.stores import strings, write_store
from tests.synthetic_explorer import AWKWARD, N, evaluation, explore

BLOCK, SIZES = 20, 20


def read(folder, name):
    """What a script registers, and under its own name."""
    text = (folder / "data" / f"{name}.js").read_text(encoding="utf-8")
    called, data = re.fullmatch(r'neuraldeps_register\("([^"]+)",(.*)\);\n', text).groups()
    assert called == name
    return json.loads(data)


def first(run):
    """The same run with one pair alone."""
    return run._replace(evaluations=run.evaluations[:1])


def contents(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("pair", [0, 1])
def test_blocks_hold_the_stores_dependencies(run, made, pair):
    store = xr.open_zarr(run.evaluations[pair]).load()
    for target in (0, BLOCK - 1, BLOCK, N - 1):
        block, row = read(made, f"blocks/{pair}/{target // BLOCK}"), target % BLOCK
        for name in ("lasso", "refit", "subset"):
            first = 0
            for place, size in enumerate(range(1, SIZES + 1)):
                at = store.sel(estimator=name, support_size=size).isel(target_category=target)
                support = at.support.values[at.support.values >= 0]
                chosen, counts = block["chosen"][name], block["n_chosen"][name]
                if isinstance(chosen, str):
                    chosen, counts = block["chosen"][chosen], block["n_chosen"][counts]
                n = counts[row][place]
                places = chosen[row][first : first + n]
                assert [block["sources"][row][one] for one in places] == support.tolist()
                coef = np.array(block["coef"][name][row][first : first + n]) / 1000
                np.testing.assert_allclose(coef, at.coef.values[:n], atol=5.1e-4)
                first += n


def test_refit_takes_its_sources_from_the_lasso_once(made):
    block = read(made, "blocks/0/0")
    assert block["chosen"]["refit"] == block["n_chosen"]["refit"] == "lasso"
    assert isinstance(block["chosen"]["subset"], list)


def test_blocks_hold_the_stores_measures(run, made):
    store = xr.open_zarr(run.evaluations[2]).load()
    test, fit = store.sel(split="test"), store.sel(split="fit")
    wanted = {
        "error": test.relative_error_positive,
        "error_all": test.relative_error,
        "accuracy": test.positive_accuracy,
        "error_fit": fit.relative_error_positive,
        "delta": test.delta.transpose(..., "epsilon", "support_size"),
        "delta_own": test.delta_positive.transpose(..., "epsilon", "support_size"),
    }
    block = read(made, "blocks/2/1")
    for name, array in wanted.items():
        values = array.sel(estimator="subset").isel(target_category=slice(BLOCK, 2 * BLOCK)).values
        np.testing.assert_allclose(
            np.array(block[name]["subset"]) / 1000, values, atol=5.1e-4, err_msg=name
        )
    moved = np.array(block["accuracy_change"]["lasso"]) / 1e5 + 0.93
    values = test.accuracy.sel(estimator="lasso").isel(target_category=slice(BLOCK, 2 * BLOCK))
    np.testing.assert_allclose(moved, values, atol=5.1e-6)
    np.testing.assert_allclose(block["alpha"], store.alpha[BLOCK : 2 * BLOCK].values, rtol=5.1e-3)


def test_what_was_not_measured_is_null(made):
    block = read(made, "blocks/0/0")
    assert set(block["error"]["lasso"][3]) == {None}
    assert read(made, "tables/0/facts")["original"][3] is None
    assert read(made, "tables/0/lasso-4")["error"][3] is None


def test_cards_stability_and_controls_come_along(run, made):
    cards = json.loads(Path(run.cards[1]).read_text(encoding="utf-8"))
    facts, block = read(made, "tables/1/facts"), read(made, "blocks/1/2")
    for at, card in enumerate(cards):
        raised = [name for bit, name in enumerate(FLAGS) if facts["flags"][at] >> bit & 1]
        assert raised == card["flags"]
        assert facts["err0_relative"][at] == pytest.approx(card["err0_relative"], rel=5.1e-3)
        assert facts["near_equal_supports"][at] == card["near_equal_supports"]
    assert block["worst"][0] == cards[2 * BLOCK]["worst_images"]
    stable = xr.open_zarr(run.stability[1]).isel(target_category=2 * BLOCK)
    assert block["stability"]["sizes"] == stable.support_size.values.tolist()
    np.testing.assert_allclose(
        np.array(block["stability"]["value"][0]) / 1000, stable.stability, atol=5.1e-4
    )
    controls = xr.open_zarr(run.controls[0]).isel(target_category=0)
    found = read(made, "blocks/0/0")["controls"]
    assert found["predictors"] == controls.predictor.values.tolist()
    np.testing.assert_allclose(
        np.array(found["error"][0]) / 1000, controls.relative_error_positive, atol=5.1e-4
    )
    assert "controls" not in block  # two has none as a target


def test_the_index_names_everything_as_the_stores_do(run, made):
    index = read(made, "index")
    store = xr.open_zarr(run.evaluations[1])
    assert index["categories"]["name"] == store.target_category_name.values.tolist()
    assert index["categories"]["name"][: len(AWKWARD)] == AWKWARD
    assert [(one["source"], one["target"]) for one in index["pairs"]] == [
        ("one", "one"),
        ("one", "two"),
        ("two", "one"),
        ("two", "two"),
    ]
    assert index["sizes"] == list(range(1, SIZES + 1))
    assert index["images"] == [4] * N
    assert all(one["worst"] == [5] * N for one in index["pairs"])


def test_distributions_are_numpys(run, made):
    store = xr.open_zarr(run.evaluations[0]).sel(split="test", estimator="refit").load()
    found = read(made, "overview")["pairs"][0]["refit"]
    for place in (0, SIZES - 1):
        error = store.relative_error_positive.isel(support_size=place).values
        error = error[np.isfinite(error)]
        quantiles = np.array(found["quantiles"][place]) / 1000
        np.testing.assert_allclose(
            quantiles, np.quantile(error, [0.05, 0.25, 0.5, 0.75, 0.95]), atol=5.1e-4
        )
        assert found["within"][place][1] == round(1000 * np.mean(error < 0.2))
        assert sum(found["histogram"][place]) == len(error)
        assert found["histogram"][place][20] == np.sum(error >= 1)


def test_pictures_are_of_the_right_images(run, made):
    store = xr.open_zarr(run.images)
    rows = np.flatnonzero(store.label.values == 7)
    with Image.open(made / "images/0/7.webp") as picture:
        pixels = np.asarray(picture.convert("L"), float)
    own, other = (
        np.corrcoef(pixels.ravel(), store.image.values[row].ravel())[0, 1]
        for row in (rows[0], rows[0] + 60)
    )
    assert own > 0.98 > other
    cards = json.loads(Path(run.cards[3]).read_text(encoding="utf-8"))
    with Image.open(made / "images/worst3/0/7.webp") as strip:
        assert strip.size == (5 * 32, 32)
        second = np.asarray(strip.convert("L"), float)[:, 32:64]
    row = store.path.values.tolist().index(cards[7]["worst_images"][1])
    assert np.corrcoef(second.ravel(), store.image.values[row].ravel())[0, 1] > 0.98


def test_images_are_capped_and_may_be_left_out(run, tmp_path):
    folder = explore(first(run), tmp_path / "few", max_images=50)
    index = read(folder, "index")
    assert sum(index["images"]) + sum(sum(one["worst"]) for one in index["pairs"]) == 50
    assert index["images"][0] == 4
    none = explore(first(run), tmp_path / "none", images=None)
    assert read(none, "index")["images"] == []
    assert not (none / "images").exists()


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    one, two = (contents(explore(first(run), tmp_path / name)) for name in ("one", "two"))
    assert len(one) > 100
    assert [name for name in one | two if one.get(name) != two.get(name)] == []


def test_nothing_on_the_page_comes_from_elsewhere(made):
    files = [*made.glob("*.html"), *made.glob("*.css"), *made.glob("*.js")]
    assert {"index.html", "main.js", "vega.js"} <= {file.name for file in files}
    for file in files:
        if file.name != "vega.js":
            text = file.read_text(encoding="utf-8")
            addresses = set(re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]+", text))
            # the name of a schema, which nobody asks for
            assert addresses <= {"https://vega.github.io"}, file
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", text)
    licence = (made / "vega.LICENSE.txt").read_text(encoding="utf-8")
    assert "University of Washington" in licence
    assert "Redistribution and use in source and binary forms" in licence


def test_line_ends_of_scripts_are_escaped(tmp_path):
    write_script(tmp_path, "x", {"text": "a\N{LINE SEPARATOR}b\N{PARAGRAPH SEPARATOR}</script>"})
    text = (tmp_path / "x.js").read_text(encoding="utf-8")
    assert "\N{LINE SEPARATOR}" not in text
    assert "\N{PARAGRAPH SEPARATOR}" not in text


def test_a_folder_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "explorer"
    with new_folder(path) as work:
        (work / "old").touch()

    def fail():
        with new_folder(path) as work:
            (work / "half").touch()
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        fail()
    assert [one.name for one in tmp_path.iterdir()] == ["explorer"]
    assert [one.name for one in path.iterdir()] == ["old"]
    with new_folder(path) as work:
        (work / "new").touch()
    assert [one.name for one in path.iterdir()] == ["new"]


def test_networks_of_other_categories_are_refused(run, tmp_path):
    other = evaluation("one", "two", N, SIZES, 0)
    names = other.target_category_code.values.tolist()
    coords = {"target_category_code": ("target_category", strings([*names[1:], names[0]]))}
    write_store(other.assign_coords(coords), tmp_path / "one--two.zarr")
    mixed = run._replace(evaluations=[run.evaluations[0], str(tmp_path / "one--two.zarr")])
    with pytest.raises(StoreError, match=r"has other categories than .*explorer\.enabled: false"):
        explore(mixed, tmp_path / "explorer")
    assert not (tmp_path / "explorer").exists()


def test_a_run_without_labels_cards_and_images_has_an_explorer(tmp_path):
    store = evaluation("one", "one", 8, 3, 0)
    for name in (
        "original_accuracy",
        "accuracy",
        "positive_accuracy",
        "original_positive_accuracy",
    ):
        store[name][:] = np.nan
    write_store(store, tmp_path / "one--one.zarr")
    files = {"evaluations": [str(tmp_path / "one--one.zarr")]}
    make_explorer(str(tmp_path / "explorer"), **files, splits={"fit": "fit", "test": "test"})
    index, block = (read(tmp_path / "explorer", name) for name in ("index", "blocks/0/0"))
    assert index["pairs"][0]["accuracy"] is None
    assert block["accuracy_change"]["lasso"] == [[None] * 3] * 8
    assert not {"worst", "stability", "controls"} & set(block)
    assert not {"flags", "stability"} & set(read(tmp_path / "explorer", "tables/0/facts"))
