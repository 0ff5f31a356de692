"""Where the workflow is, and running it."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from neuraldeps.errors import InputError

PACKAGE = Path(__file__).parents[1]


def workflow_folder() -> Path:
    """Where the Snakefile is: in the package where it was installed, beside it in a checkout.

    Returns
    -------
    Path
        A folder with Snakefile, rules and scripts.

    Raises
    ------
    InputError
        If it is in neither place.
    """
    for folder in (PACKAGE / "workflow", PACKAGE.parent):
        if (folder / "Snakefile").is_file() and (folder / "rules").is_dir():
            return folder
    raise InputError(
        f"{PACKAGE}: the workflow is neither in this package nor beside it; install the wheel, or work in a "
        "checkout"
    )


def run_workflow(options: Sequence[str], further: Sequence[str]) -> int:
    """Run Snakemake on the workflow, with its default profile.

    Parameters
    ----------
    options : sequence of str
        Snakemake's options, of which the last may take any number of words.
    further : sequence of str
        What the user gives: options and targets.

    Returns
    -------
    int
        Snakemake's exit status.
    """
    snakefile = workflow_folder() / "Snakefile"
    command = [sys.executable, "-m", "snakemake", *options, "--snakefile", str(snakefile), *further]
    # a module in the user's folder is not taken for one of Python's
    with subprocess.Popen(command, env={**os.environ, "PYTHONSAFEPATH": "1"}) as snakemake:
        before = signal.signal(signal.SIGTERM, lambda *_: snakemake.terminate())
        try:
            while True:
                try:
                    return snakemake.wait()
                except KeyboardInterrupt:  # Snakemake has it as well, and ends its jobs in order
                    continue
        finally:
            signal.signal(signal.SIGTERM, before)
