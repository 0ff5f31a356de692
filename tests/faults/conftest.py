"""What a run that nothing disturbs makes."""

import pytest

from tests.faults.runs import Run


@pytest.fixture(scope="session")
def expected(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("whole")).ends_well()
