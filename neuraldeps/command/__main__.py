"""What is typed: ``neuraldeps run``, ``audit``, ``verify`` and ``config``."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from neuraldeps import __version__
from neuraldeps.command import audit, config, run, verify
from neuraldeps.errors import InputError


class Command(NamedTuple):
    """A subcommand.

    Attributes
    ----------
    about : str
        What it does, in a line.
    add_arguments : callable
        Declares what it takes.
    execute : callable
        Does it, with what was given and with further words, which are Snakemake's; gives the
        exit status.
    takes_further : bool
        Whether there may be further words.
    """

    about: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    execute: Callable[[argparse.Namespace, list[str]], int]
    takes_further: bool


COMMANDS = {
    "run": Command("run the workflow in this folder", run.add_arguments, run.execute, True),
    "audit": Command(
        "find the dependencies of any classifier, from its logits",
        audit.add_arguments,
        audit.execute,
        True,
    ),
    "verify": Command(
        "compare every byte that a run has published with its checksum",
        verify.add_arguments,
        verify.execute,
        False,
    ),
    "config": Command(
        "print a configuration to start from, or check one",
        config.add_arguments,
        config.execute,
        False,
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a command line says.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after ``neuraldeps``; those of the process by default.

    Returns
    -------
    int
        Exit status: 0, 1 after an error that the user can put right, or Snakemake's own.
    """
    parser = argparse.ArgumentParser(
        "neuraldeps",
        description="Which logits of a classifier are a sparse linear combination of a few others.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"neuraldeps {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        further = "All other options and targets are Snakemake's (snakemake --help)."
        own = subparsers.add_parser(
            name,
            help=command.about,
            description=f"{command.about[0].upper()}{command.about[1:]}.",
            epilog=further if command.takes_further else None,
            allow_abbrev=False,
        )
        command.add_arguments(own)
    given, further_words = parser.parse_known_args(arguments)
    command = COMMANDS[given.command]
    if further_words and not command.takes_further:
        parser.error(f"{given.command} takes no {' '.join(further_words)}")
    try:
        return command.execute(given, further_words)
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
