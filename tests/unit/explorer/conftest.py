"""One small run and its explorer for all tests of the room, and for those in a browser."""

import pytest

from tests.synthetic_explorer import explored


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return explored(tmp_path_factory.getbasetemp())[0]


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return explored(tmp_path_factory.getbasetemp())[1]
