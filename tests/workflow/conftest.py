"""Run the workflow for real, each run in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


def command(folder, config, *arguments, cores=2):
    """What runs Snakemake on a configuration file, or several, in a folder."""
    configs = config if isinstance(config, list) else [config]
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
        *("--directory", str(folder), "--configfile", *map(str, configs)),
        *("--cores", str(cores), *arguments),
    ]


def snakemake(folder, config, *arguments, cores=2):
    """Run Snakemake on a configuration file, or several, in a folder; both streams come back."""
    return subprocess.run(
        command(folder, config, *arguments, cores=cores),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def contents(folder):
    """Every byte under a folder, but for what is Snakemake's."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != ".snakemake_timestamp"
    }


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A finished run of the tiny configuration on two cores."""
    folder = tmp_path_factory.mktemp("tiny")
    run = snakemake(folder, HERE / "tiny.yaml")
    assert run.returncode == 0, run.stdout
    return folder
