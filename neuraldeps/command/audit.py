"""``neuraldeps audit``: from arrays of logits to what depends on what, in a folder of its own."""

import argparse
import csv
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuraldeps.command.headline import headlines, places
from neuraldeps.command.starts import logits_start
from neuraldeps.command.workflow import run_workflow
from neuraldeps.errors import InputError, first_line
from neuraldeps.images.delimited import read_rows, repeated
from neuraldeps.logits.arrays import check_column, check_label_type, check_logits, open_npy

FEWEST = 6  # categories, of which four may be others'
# options by network and split
LOGITS = {
    "mine": {"fit": "--logits", "test": "--test"},
    "other": {"fit": "--other", "test": "--other-test"},
}
LABELS = {"fit": "--labels", "test": "--test-labels"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``audit`` takes.

    Parameters
    ----------
    parser : ArgumentParser
        Of the subcommand.
    """
    what = "floating-point logits (input, category), a .npy file or a Zarr store"
    arrays = {
        "--logits": f"{what}: dependencies are found on these inputs",
        "--test": "logits of other inputs, which judge them",
        "--labels": "category of each input of --logits: integers from 0, -1 for none",
        "--test-labels": "category of each input of --test",
        "--other": "another classifier's logits of the inputs of --logits, in their order",
        "--other-test": "and of those of --test",
    }
    for option, about in arrays.items():
        needed = option in LOGITS["mine"].values()
        parser.add_argument(option, help=about, metavar="FILE.npy", required=needed)
    parser.add_argument(
        "--names",
        metavar="FILE",
        help="names of the categories: a .csv with the column name, and code if there are codes; or one name "
        "a line",
    )
    parser.add_argument(
        "--centering",
        choices=["none", "per_image"],
        default="none",
        help="per_image subtracts each input's mean, for log-probabilities",
    )
    parser.add_argument(
        *("-o", "--output"),
        required=True,
        metavar="FOLDER",
        help="where config.yaml and results/ are to be",
    )


def execute(given: argparse.Namespace, further: list[str]) -> int:
    """Check the arrays, write a configuration, run the workflow and say what was found.

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
        At the first option that is wrong.
    """
    options: dict[str, str | None] = {
        f"--{name.replace('_', '-')}": value for name, value in vars(given).items()
    }
    n_categories = check_arrays(options)
    folder = Path(given.output)
    files = {}
    if given.names:
        files["categories.csv"] = table_of(*read_names(given.names, n_categories))
    files["config.yaml"] = logits_start(
        _models(options),
        n_categories,
        "categories.csv" if given.names else None,
        given.centering,
    )
    for name, text in files.items():
        _write_once(folder / name, text)
    config = str(folder / "config.yaml")
    status = run_workflow(["--directory", str(folder), "--configfile", config], further)
    said = [part for part in (headlines(folder), places(folder)) if part and status == 0]
    for lines in said:
        print("", *lines, sep="\n")
    return status


def check_arrays(options: Mapping[str, str | None]) -> int:
    """Refuse arrays that are none of one classifier, or of two classifiers of the same inputs.

    Parameters
    ----------
    options : mapping of str to str
        Paths by option.

    Returns
    -------
    int
        Number of categories.

    Raises
    ------
    InputError
        At the first that does not fit; the line names the option, the file and the fix.
    """
    shapes: dict[str, tuple[int, int]] = {}
    first = "--logits"
    for model, splits in LOGITS.items():
        lacking = [option for option in splits.values() if not options[option]]
        if len(lacking) == 1:
            raise InputError(f"{lacking[0]} is missing; {model} needs logits of both sets")
        for split, option in splits.items() if not lacking else ():
            path = str(options[option])
            shapes[option] = shape = _shape(path, option)
            if shape[1] != shapes[first][1]:
                raise InputError(
                    f"{option}: {path} has {shape[1]} categories where {first} has {shapes[first][1]}; give "
                    "logits over the same categories"
                )
            if shape[0] != shapes[LOGITS["mine"][split]][0]:
                own = LOGITS["mine"][split]
                raise InputError(
                    f"{option}: {path} has {shape[0]} inputs where {own} has {shapes[own][0]}; give logits of "
                    "the same inputs, in the same order"
                )
    n_inputs, n_categories = shapes[first]
    if n_categories < FEWEST:
        raise InputError(
            f"{first}: {options[first]} has {n_categories} categories; an audit needs at least {FEWEST}, for "
            "four others to be few"
        )
    if Path(str(options["--test"])).resolve() == Path(str(options[first])).resolve():
        raise InputError(
            f"--test: {options['--test']} is the file of {first}; keep some inputs apart, a third say, to judge "
            "dependencies on what they were not found on"
        )
    for split, option in LABELS.items():
        if options[option]:
            _check_labels(str(options[option]), option, *shapes[LOGITS["mine"][split]])
    if n_inputs <= n_categories:
        print(
            f"Note: {first} has {n_inputs} inputs of {n_categories} categories; with no more inputs than "
            "categories, dependencies are found that do not hold on others",
            file=sys.stderr,
        )
    return n_categories


def _shape(path: str, option: str) -> tuple[int, int]:
    """Inputs and categories of logits in a file or store."""
    if not Path(path).exists():
        raise InputError(f"{option}: {path} does not exist; correct the path")
    if path.endswith(".npy"):
        array: Any = open_npy(path, option)
        check_logits(array, f"{option}: {path}")
    else:
        from neuraldeps.logits.external import open_logits  # not for a .npy: Zarr takes a second

        array, _ = open_logits(path, option)
    return int(array.shape[0]), int(array.shape[1])


def _check_labels(path: str, option: str, n_inputs: int, n_categories: int) -> None:
    label, where = open_npy(path, option), f"{option}: {path}"
    check_label_type(label.dtype, where)
    check_column(label, where, n_inputs)
    if label.min() < -1 or label.max() >= n_categories:
        raise InputError(
            f"{where} goes from {label.min()} to {label.max()}; give integers from 0 to {n_categories - 1}, or "
            "-1 for none"
        )


def read_names(path: str, n_categories: int) -> tuple[list[str], list[str]]:
    """Codes and names of the categories, from a table or a list.

    Parameters
    ----------
    path : str
        A ``.csv`` with the column name, and code where there are codes; or any other text with one
        name a line.
    n_categories : int
        How many there must be.

    Returns
    -------
    codes : list of str
        The categories' numbers where none are given.
    names : list of str
        In the order of the logits' columns.

    Raises
    ------
    InputError
        If there are others, or two of one code.
    """
    codes = [str(number) for number in range(n_categories)]
    if path.endswith(".csv"):
        rows = read_rows(path, "--names", ["name"], ["code"])
        names, codes = rows.values["name"], rows.values.get("code", codes)
    else:
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"--names: {path} cannot be read as text in UTF-8 ({first_line(error)}); give a name a line"
            ) from error
        names = [line.strip() for line in text.rstrip("\n").split("\n")]
    if len(names) != n_categories:
        raise InputError(
            f"--names: {path} has {len(names)} names, --logits has {n_categories} categories; give one for each, "
            "in the order of its columns"
        )
    if "" in [*names, *codes]:
        at = next(at for at, both in enumerate(zip(codes, names, strict=True)) if "" in both)
        raise InputError(f"--names: {path} has no name or code for category {at}; give both")
    if twice := repeated(codes):
        raise InputError(f"--names: {path} has the code {twice[0]!r} twice; correct it")
    return codes, names


def table_of(codes: list[str], names: list[str]) -> str:
    """The table that `dataset.categories` takes.

    Parameters
    ----------
    codes, names : list of str
        Of the categories, in order.

    Returns
    -------
    str
        CSV with a header.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("code", "name"), *zip(codes, names, strict=True)])
    return text.getvalue()


def _models(options: Mapping[str, str | None]) -> dict[str, dict[str, dict[str, str]]]:
    """Entries of `models`: the labels are of the inputs, so both classifiers have the same."""

    def paths(by_split: Mapping[str, str]) -> dict[str, str]:
        given = {split: options[option] for split, option in by_split.items()}
        return {split: str(Path(path).resolve()) for split, path in given.items() if path}

    models = {name: {"logits": paths(splits)} for name, splits in LOGITS.items()}
    labels = paths(LABELS)
    return {
        name: parts | ({"labels": labels} if labels else {})
        for name, parts in models.items()
        if parts["logits"]
    }


def _write_once(path: Path, text: str) -> None:
    """Write a file, or leave one that says the same; what a user has changed is never written over."""
    if path.exists():
        if path.read_text(encoding="utf-8") != text:
            raise InputError(
                f"{path} is there and says something else; go on with it by `neuraldeps run` in {path.parent}, "
                "or give another --output"
            )
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"--output: {path} cannot be written ({error.strerror}); give another folder"
        ) from error
