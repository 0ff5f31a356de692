"""Check a configuration before any work: one line that names the key, the value and the fix."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neuraldeps.config.command_line import read_command_line
from neuraldeps.config.contradictions import contradictions
from neuraldeps.config.messages import errors_in, one_line
from neuraldeps.config.renamed import RENAMED
from neuraldeps.config.run import Run
from neuraldeps.config.spelling import misread
from neuraldeps.errors import InputError


def complete_config(
    config: dict[str, Any], files: Sequence[str | Path], overrides: Mapping[str, Any]
) -> None:
    """Check Snakemake's configuration and fill in every default, in place.

    Parameters
    ----------
    config : dict
        As Snakemake merged it.
    files : sequence of path
        What it was merged from.
    overrides : mapping
        What the command line gave with ``--config``, a part of `config`.

    Raises
    ------
    InputError
        At the first thing that is wrong.
    """
    for file in files:
        for problem in misread(Path(file).read_text(encoding="utf-8")):
            raise InputError(f"{file}: {problem}")
    name = ", ".join([*map(str, files), *(["--config"] if overrides else [])])
    read_command_line(config, overrides)
    filled = check_config(config, name)
    config.clear()
    config.update(filled)


def check_config(
    config: dict[str, Any],
    name: str,
    renamed: Mapping[str, str] = RENAMED,
) -> dict[str, Any]:
    """Check a configuration's keys, and the keys against each other.

    Parameters
    ----------
    config : dict
        As read from YAML.
    name : str
        What the messages call the configuration: its files.
    renamed : mapping
        Keys of earlier releases, and what they are called now.

    Returns
    -------
    dict
        Plain Python: the configuration as it was given, with every default in place.

    Raises
    ------
    InputError
        At the first thing that is wrong.
    """
    for error in errors_in(config):
        raise InputError(f"{name}: {one_line(error, renamed)}")
    run = Run.model_validate(config)
    for problem in contradictions(run):
        raise InputError(f"{name}: {problem}")
    return run.filled(config)
