"""One small run and its explorer for all tests of the room."""

import pytest

from neuraldeps.explorer import make_explorer
from tests.synthetic_explorer import write_run

N, SIZES, BLOCK = 45, 8, 20


def make(run, folder, **options):
    given = {"images": run.images, "block_size": BLOCK} | options
    files = {"cards": run.cards, "stability": run.stability, "controls": run.controls}
    make_explorer(
        str(folder), run.evaluations, **files, splits={"fit": "fit", "test": "test"}, **given
    )
    return folder


@pytest.fixture(scope="package")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"), ["one", "two"], N, SIZES)


@pytest.fixture(scope="package")
def made(run, tmp_path_factory):
    return make(run, tmp_path_factory.mktemp("made") / "explorer")
