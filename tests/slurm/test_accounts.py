"""A Slurm that keeps accounts: jobs run on the user's, `sacct` says how they ended, and a report what they used."""

import os
import signal
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.slurm.cluster import ACCOUNTS, DATABASE, missing_binaries, wait_until
from tests.slurm.conftest import TARGET, Accidents, logits_project, started
from tests.slurm.test_outages import MOMENT, same_as
from tests.workflow.conftest import contents

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def slurm_with_accounts():
    if missing := missing_binaries(DATABASE):
        pytest.skip(f"no accounts without {', '.join(missing)}")
    with started(ACCOUNTS) as cluster:
        yield cluster


def test_a_report_of_what_each_job_used(slurm_with_accounts, tmp_path, expected):
    made = logits_project(tmp_path, slurm_with_accounts)
    made.ends_well(made.start(TARGET, "--slurm-status-command", "sacct"))
    assert contents(tmp_path / "results") == expected

    accounts = slurm_with_accounts("sacct", "-nPX", "--format=WorkDir,Account").split()
    assert {line for line in accounts if str(tmp_path) in line} == {f"{tmp_path}|lab"}
    (path,) = (tmp_path / "logs/slurm").glob("efficiency_report_*.csv")
    report = pd.read_csv(path)
    assert set(report["RuleName"]) == {job["rule"] for job in made.jobs()}
    assert report["Memory Usage (%)"].between(1, 100).all()
    assert report["CPU Efficiency (%)"].between(1, 200).all()


def test_a_controller_that_is_killed_and_comes_back(slurm_with_accounts, tmp_path, expected):
    """Snakemake asks the accounts meanwhile."""
    made = logits_project(tmp_path, slurm_with_accounts)
    run = made.start(MOMENT)
    *_, process = Accidents(made).next("rule_import_logits")
    os.kill(process, signal.SIGSTOP)
    time.sleep(6)  # until then the controller may not have saved that it has this job
    slurm_with_accounts.kill("slurmctld")
    os.kill(process, signal.SIGCONT)
    wait_until(lambda: not Path(f"/proc/{process}").exists(), 120, "a job to end meanwhile")
    time.sleep(15)
    slurm_with_accounts.start_controller()
    made.ends_well(run)
    assert "Falling back to 'sacct'" in made.said()
    assert {job["state"] for job in made.jobs()} == {"COMPLETED"}
    same_as(expected, tmp_path, MOMENT)
