"""Photos in folders, as users have them."""

import pytest

from tests.cases.test_images import folders


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Four categories of two images, in the folder that tests run in."""
    monkeypatch.chdir(tmp_path)
    folders(tmp_path / "photos")
    return tmp_path / "photos"
