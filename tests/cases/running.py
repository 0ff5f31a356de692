"""Small inputs after public reports, each run as its user would run it: a configuration in a folder of its own.

Every family of inputs has a file here: what it builds, and the right behaviour of each.
"""

import re
from pathlib import Path

from tests.workflow.conftest import snakemake


def run(folder: Path, target: str = "", config: str = "c.yaml", *arguments: str) -> tuple[int, str]:
    """Make a target of a case with Snakemake: its exit status, and all that it said."""
    wanted = [target] if target else []
    done = snakemake(folder, folder / config, *arguments, *wanted, cores=1)
    return done.returncode, done.stdout


def accepted(folder: Path, target: str, config: str = "c.yaml") -> str:
    """Make a target, which must succeed; what was said."""
    status, text = run(folder, target, config)
    assert status == 0, text
    assert (folder / target).exists()
    return text


def refused(folder: Path, pattern: str, target: str, config: str = "c.yaml", *arguments: str):
    """Make a target, which must be refused: one line with the file or key, the value and a fix."""
    status, text = run(folder, target, config, *arguments)
    assert status != 0, text
    assert "Traceback" not in text, text
    assert any(re.search(pattern, line) for line in text.splitlines()), text
    assert not (folder / target).exists() or not target
