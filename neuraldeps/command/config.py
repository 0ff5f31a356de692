"""``neuraldeps config``: a configuration to start from, or the check of one."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from neuraldeps.command.starts import EXAMPLE, PHOTOS, logits_start
from neuraldeps.command.workflow import workflow_folder
from neuraldeps.config import complete_config
from neuraldeps.errors import InputError, first_line
from neuraldeps.logits.arrays import check_headers

KINDS = ("photos", "logits", "glyphs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``config`` takes.

    Parameters
    ----------
    parser : ArgumentParser
        Of the subcommand.
    """
    parser.add_argument(
        "kind",
        nargs="?",
        choices=KINDS,
        default="photos",
        help="of what: photos (weights and images in folders; the default), logits (of any classifier), or "
        "glyphs (the default run)",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there instead")
    parser.add_argument(
        "--check",
        nargs="+",
        metavar="FILE",
        help="check a configuration, of several files the later ones over the earlier ones, and print nothing else",
    )


def execute(given: argparse.Namespace, further: list[str]) -> int:
    """Print, write or check a configuration.

    Parameters
    ----------
    given : Namespace
        What `add_arguments` declares.
    further : list of str
        Always empty.

    Returns
    -------
    int
        0.

    Raises
    ------
    InputError
        At the first thing that is wrong.
    """
    if given.check:
        config = check_files(given.check)
        n_networks, n_categories = len(config["models"]), config["dataset"]["n_categories"]
        print(
            f"{', '.join(given.check)}: a right configuration of {n_networks} "
            f"network{'s' * (n_networks > 1)} and {n_categories} categories"
        )
        return 0
    text = start(given.kind)
    if given.output is None:
        print(text, end="")
        return 0
    try:
        with open(given.output, "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(
            f"--output: {given.output} cannot be written ({error.strerror}); give another name"
        ) from error
    print(
        f"Wrote {given.output}; `neuraldeps config --check {given.output}` checks what you change"
    )
    return 0


def start(kind: str) -> str:
    """A configuration to start from.

    Parameters
    ----------
    kind : str
        One of `KINDS`.

    Returns
    -------
    str
        YAML with comments.
    """
    if kind == "photos":
        return PHOTOS
    if kind == "logits":
        return logits_start(EXAMPLE, 1000)
    return (workflow_folder() / "config.yaml").read_text(encoding="utf-8")


def check_files(files: Sequence[str]) -> dict[str, Any]:
    """Check a configuration as a run does before any work, and the arrays that it names.

    Parameters
    ----------
    files : sequence of str
        Merged, the later ones over the earlier ones.

    Returns
    -------
    dict
        With every default in place.

    Raises
    ------
    InputError
        At the first thing that is wrong.
    """
    config: dict[str, Any] = {}
    for file in files:
        try:
            given = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(
                f"{file} cannot be read ({error.strerror}); correct the path"
            ) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            what = " ".join(str(error).split()) or first_line(error)
            raise InputError(f"{file} is not YAML in UTF-8 ({what}); correct it") from error
        if not isinstance(given, dict):
            raise InputError(f"{file} has no keys; `neuraldeps config` prints some to start from")
        _merge(config, given)
    complete_config(config, files, {})
    check_headers(config)
    return config


def _merge(config: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Put a mapping over another, key by key, in place."""
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            _merge(config[key], value)
        else:
            config[key] = value
