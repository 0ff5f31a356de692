import filecmp
import unicodedata

import numpy as np
import pytest
import xarray as xr

from neuraldeps.images.glyphs import FACES, load_categories
from tests.scripts.networks import N_CATEGORIES, N_OOD, SIZE, render

SPLITS = {"fit": 20, "test": 10, "ood": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    render(folder, SPLITS)
    return folder


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("split", SPLITS)
def test_every_image_says_what_it_shows(folder, split):
    with xr.open_zarr(folder / f"{split}.zarr") as images:
        n = N_OOD if split == "ood" else N_CATEGORIES
        assert images["image"].shape == (n * SPLITS[split], SIZE, SIZE)
        assert images["image"].dtype == np.uint8
        glyphs = load_categories(N_CATEGORIES, N_OOD)[split == "ood"]
        shown = np.repeat([glyph.code_point for glyph in glyphs], SPLITS[split])
        np.testing.assert_array_equal(images["code_point"], shown)
        assert len(set(images["path"].values)) == len(shown)
        for i in 0, 7, len(shown) - 1:
            face, code, number = images["path"].values[i].split("/")
            assert face == images["face"].values[i]
            assert face in FACES
            assert code == f"U+{shown[i]:04X}"
            assert int(number) == i % SPLITS[split]
            assert images["unicode_name"].values[i] == unicodedata.name(chr(shown[i]))
            label = images["label"].values[i]
            if split == "ood":
                assert label == -1
            else:
                assert images["category_code"].values[label] == code
        assert images.attrs["seed"] == 0
        assert images.attrs["made_by"] == "render_glyphs"


def test_out_of_distribution_means_no_category_of_the_task(folder):
    with xr.open_zarr(folder / "ood.zarr") as ood:
        assert not set(ood["unicode_name"].values) & set(ood["category_name"].values)
        assert ood.sizes["category"] == N_CATEGORIES


def test_splits_share_no_image(folder):
    fit, test = (
        xr.open_zarr(folder / f"{split}.zarr")["image"].values for split in ("fit", "test")
    )
    seen = {image.tobytes() for image in fit}
    assert len(seen) == len(fit)
    assert not any(image.tobytes() in seen for image in test)


@pytest.mark.filterwarnings("error")
def test_bitmaps_are_named(folder):
    with xr.open_zarr(folder / "bitmaps.zarr") as bitmaps:
        assert bitmaps["bitmap"].dims == ("category", "face", "y", "x")
        assert bitmaps["ood_bitmap"].sizes["ood_category"] == N_OOD
        assert bitmaps["bitmap"].sel(face="DejaVuSerif").shape == (N_CATEGORIES, 56, 56)
        inside, outside = load_categories(N_CATEGORIES, N_OOD)
        assert list(bitmaps["category_code"].values) == [glyph.code for glyph in inside]
        assert list(bitmaps["ood_category_name"].values) == [glyph.name for glyph in outside]


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    render(tmp_path, SPLITS)
    for name in "bitmaps", *SPLITS:
        comparison = filecmp.dircmp(folder / f"{name}.zarr", tmp_path / f"{name}.zarr")
        files = [
            path.relative_to(folder)
            for path in (folder / f"{name}.zarr").rglob("*")
            if path.is_file()
        ]
        assert not comparison.left_only + comparison.right_only
        assert not filecmp.cmpfiles(folder, tmp_path, files, shallow=False)[1]
