"""Stores are made from their declaration, and the page that lists them too."""

import re
from pathlib import Path

import numpy as np
import pytest

from neuraldeps.errors import StoreError
from neuraldeps.stores.layout import Array, Layout, in_place
from neuraldeps.stores.layouts import LAYOUTS, layout_of

ROOT = Path(__file__).parents[3]
SMALL = Layout(
    "results/small/{model}.zarr",
    "Small.",
    ("make",),
    {"x": Array(("i",), "float64", "a number", "logit"), "y": Array((), "int32", "one", "", True)},
    {"i": Array(("i",), "str", "its name")},
    {"note": "what is to be said"},
)


def test_a_dataset_has_the_declarations_dimensions_units_and_meaning():
    made = SMALL.dataset({"x": np.zeros(2)}, {"i": np.array(["a", "b"])}, {"note": "n"})
    assert made["x"].dims == ("i",)
    assert made["x"].attrs == {"long_name": "a number", "units": "logit"}
    assert SMALL.differences(made) == []


@pytest.mark.parametrize(
    ("variables", "attrs", "message"),
    [
        ({"x": np.zeros(2, np.float32)}, {}, r"x is \('i',\) float32, not \('i',\) float64"),
        ({}, {}, "variable x is missing"),
        ({"x": np.zeros(2), "z": 1}, {}, "has no z"),
        ({"x": np.zeros(2)}, {"colour": "red"}, "attribute colour is not declared"),
    ],
)
def test_what_is_not_declared_is_not_made(variables, attrs, message):
    with pytest.raises(StoreError, match=message) as error:
        SMALL.dataset(variables, {"i": np.array(["a", "b"])}, attrs)
    assert "neuraldeps/stores/layouts.py" in str(error.value)


def test_the_page_of_stores_is_made_from_the_layouts():
    page = (ROOT / "docs/stores.md").read_text()
    assert in_place(page, LAYOUTS) == page  # else: python -m neuraldeps.stores
    for layout in LAYOUTS.values():
        assert page.count(f"### `{layout.path}`") >= 1


def test_every_store_that_a_rule_makes_has_a_layout():
    rules = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    outputs = set(re.findall(r'"(results/[^"]+\.zarr)"', rules))
    unknown = {
        path
        for path in outputs
        if not any(
            layout.matches(path.replace("{{", "{").replace("}}", "}"))
            for layout in LAYOUTS.values()
        )
        and ".part" not in path
    }
    assert unknown == set()


def test_a_layout_is_found_by_path_and_rule():
    assert layout_of("results/images/fit.zarr", "index_images") is LAYOUTS["index"]
    assert layout_of("results/images/fit.zarr", "render_glyphs") is LAYOUTS["glyphs"]
    assert layout_of("results/images/fit.zarr", "somebody") is None
