"""``neuraldeps verify``: every byte that a run has published, compared with its checksum."""

import argparse
from pathlib import Path

from neuraldeps.stores.verify import verify_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``verify`` takes.

    Parameters
    ----------
    parser : ArgumentParser
        Of the subcommand.
    """
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("results"),
        help="results/ of a run, or a part of it (%(default)s by default)",
    )


def execute(given: argparse.Namespace, further: list[str]) -> int:
    """Print a line for every store and weight file.

    Parameters
    ----------
    given : Namespace
        What `add_arguments` declares.
    further : list of str
        None.

    Returns
    -------
    int
        Exit status: 1 if anything is damaged.

    Raises
    ------
    StoreError
        As `verify_run`.
    """
    verdicts = verify_run(given.folder)
    print(*verdicts, sep="\n")
    n_damaged = sum(not verdict.is_whole for verdict in verdicts)
    print(f"{len(verdicts)} verified, {n_damaged} damaged")
    return int(n_damaged > 0)
