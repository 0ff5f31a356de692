"""Three processes share the tests, since those on Slurm mostly wait: what shares a run or a cluster stays together."""

import pytest
from xdist.scheduler import LoadScopeScheduling

LONGEST = ("slurm", "test_tiny", "test_folders", "test_photos", "test_runs")


def shared(nodeid):
    """What a test shares with others: the file, or the cluster."""
    path = nodeid.split("::")[0]
    return "slurm" if "tests/slurm/" in path else path.split("/")[-1].removesuffix(".py")


class Together(LoadScopeScheduling):
    """Gives a process all tests that share something."""

    def _split_scope(self, nodeid):
        return shared(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Schedule the tests in that way."""
    return Together(config, log)


def pytest_collection_modifyitems(items):
    """Begin with those that take longest."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(shared(item.nodeid), len(LONGEST)))
