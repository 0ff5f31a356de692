"""A run watched from elsewhere, as docs/monitoring.md says: what Snakemake does stands in a database."""

import sqlite3

import pytest

from tests.workflow.conftest import HERE, snakemake

pytest.importorskip("snakemake_logger_plugin_snkmt", reason="needs `pip install -e .[monitor]`")


def test_a_run_writes_what_it_does_into_a_database(tmp_path):
    database, wanted = tmp_path / "runs.db", "results/images/categories.csv"
    watched = ("--logger", "snkmt", "--logger-snkmt-db", str(database))
    run = snakemake(tmp_path, HERE / "tiny.yaml", wanted, *watched, cores=1)
    assert run.returncode == 0, run.stdout
    assert "check_categories" in run.stdout  # the terminal says as much as without
    with sqlite3.connect(database) as connection:
        (workflow,) = connection.execute("select status, total_job_count from workflows")
        jobs = connection.execute(
            "select rules.name, jobs.status from jobs join rules on jobs.rule_id = rules.id"
        ).fetchall()
    assert workflow == ("SUCCESS", len(jobs))
    assert {name for name, _ in jobs} >= {"check_categories"}
    assert {status for _, status in jobs} == {"SUCCESS"}
