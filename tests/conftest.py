"""Two processes share the tests: those that share a run or a cluster stay together."""

import pytest

LONGEST = ("slurm", "test_tiny", "test_folders", "test_photos", "test_runs")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Keep a file's tests in one process, those of Slurm all, and begin with the longest."""
    for item in items:
        name = "slurm" if item.path.parent.name == "slurm" else item.path.stem
        item.add_marker(pytest.mark.xdist_group(name))
        item.rank = LONGEST.index(name) if name in LONGEST else len(LONGEST)
    items.sort(key=lambda item: item.rank)
