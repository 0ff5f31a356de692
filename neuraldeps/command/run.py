"""``neuraldeps run``: the workflow, in the folder that it is typed in."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from neuraldeps.command.workflow import run_workflow, workflow_folder
from neuraldeps.errors import InputError

SUFFIXES = (".yaml", ".yml", ".json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes.

    Parameters
    ----------
    parser : ArgumentParser
        Of the subcommand.
    """
    parser.add_argument(
        "--config",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE or KEY=VALUE",
        help="configuration files, the later ones merged over the earlier ones, and single values over them; "
        "without a file config.yaml in this folder, or else the default run",
    )
    parser.add_argument(
        "--profile",
        metavar="NAME",
        help="Snakemake's --profile; slurm is the workflow's own, where this folder has none of that name",
    )


def execute(given: argparse.Namespace, further: list[str]) -> int:
    """Run the workflow.

    Parameters
    ----------
    given : Namespace
        What `add_arguments` declares.
    further : list of str
        Snakemake's options and targets.

    Returns
    -------
    int
        Snakemake's exit status.

    Raises
    ------
    InputError
        If a configuration is not there, or is none.
    """
    files, values = tell_apart(given.config)
    options = [] if {"--configfile", "--configfiles"} & {*further} else default_file(files)
    options += ["--config", *values] if values else []
    options += ["--profile", find_profile(given.profile)] if given.profile else []
    return run_workflow(options, further)


def tell_apart(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Files and single values, of what is given with ``--config``.

    Parameters
    ----------
    words : sequence of str
        Paths, and texts like ``seed=3``.

    Returns
    -------
    files : list of str
        Paths, in order.
    values : list of str
        The others, for Snakemake's own ``--config``.

    Raises
    ------
    InputError
        If a file is not there, or has another extension.
    """
    files, values = list[str](), list[str]()
    for word in words:
        if Path(word).suffix in SUFFIXES and Path(word).is_file():
            files.append(word)
        elif re.match(r"[A-Za-z_]\w*=", word):
            values.append(word)
        elif Path(word).suffix in SUFFIXES:
            raise InputError(f"--config: {word} does not exist; correct the path")
        else:
            raise InputError(
                f"--config: {word} is neither a file ({', '.join(SUFFIXES)}) nor KEY=VALUE; correct it, or put "
                "a target before --config"
            )
    return files, values


def default_file(files: Sequence[str]) -> list[str]:
    """Snakemake's option for configuration files.

    Parameters
    ----------
    files : sequence of str
        Those that are given.

    Returns
    -------
    list of str
        With config.yaml of this folder, or else the default run's, where none is given.
    """
    here = Path("config.yaml")
    default = here if here.is_file() else workflow_folder() / "config.yaml"
    return ["--configfile", *(files or [str(default)])]


def find_profile(name: str) -> str:
    """The path of a profile that comes with the workflow; any other name as it is.

    Parameters
    ----------
    name : str
        What is given with ``--profile``.

    Returns
    -------
    str
        What Snakemake finds it by.
    """
    own = workflow_folder() / name
    return str(own) if not Path(name).exists() and (own / "config.yaml").is_file() else name
