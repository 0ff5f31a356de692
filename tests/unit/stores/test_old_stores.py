"""Stores of every release are opened by every later one; `tools/keep_stores.py` keeps them."""

import zipfile
from pathlib import Path

import pytest

from neuraldeps import __version__
from neuraldeps.stores import open_store
from neuraldeps.stores.layouts import layout_of
from neuraldeps.stores.verify import verify_store

KEPT = sorted((Path(__file__).parents[2] / "old_stores").glob("*.zip"))


def test_those_of_the_present_release_are_kept():
    assert f"{__version__}.zip" in {archive.name for archive in KEPT}


@pytest.mark.parametrize("archive", KEPT, ids=lambda archive: archive.stem)
def test_every_store_of_a_release_opens_whole_and_as_declared(archive, tmp_path):
    with zipfile.ZipFile(archive) as kept:
        kept.extractall(tmp_path)
    stores = sorted(tmp_path.glob("results/**/*.zarr"))
    assert len(stores) >= 20
    for path in stores:
        dataset = open_store(path).load()
        layout = layout_of(str(path.relative_to(tmp_path)), dataset.attrs["made_by"])
        assert layout is not None, path
        assert layout.differences(dataset) == [], path
        assert verify_store(path).is_whole, path
