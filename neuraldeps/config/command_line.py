"""Values of the command line, of which Snakemake leaves all within mappings and lists as text."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from neuraldeps.config.blocks import Path
from neuraldeps.config.messages import errors_in, path_of


def read_command_line(config: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Read what ``--config`` gave as YAML would, but where a key wants text, in place.

    Parameters
    ----------
    config : dict
        The configuration, with what was given merged into it.
    given : mapping
        What was given, as Snakemake parsed it.
    """
    text = copy.deepcopy(given)  # Snakemake's may be a part of the configuration itself
    for path, value in _leaves(text):
        _at(config, path[:-1])[path[-1]] = read_spelled(value)
    for error in errors_in(config) if given else ():
        path = path_of(error)
        if error["type"] == "string_type" and isinstance(value := _find(text, path), str):
            _at(config, path[:-1])[path[-1]] = value


def read_spelled(value: Any) -> Any:
    """Numbers, truth values and null in nested text.

    Parameters
    ----------
    value : Any
        Mappings, lists and text.

    Returns
    -------
    Any
        The same, with what text spells in its place.

    Examples
    --------
    >>> read_spelled({"max_support": "4", "alpha": ["1e-2"], "exclude_own": "true", "x": "null"})
    {'max_support': 4, 'alpha': [0.01], 'exclude_own': True, 'x': None}
    """
    if isinstance(value, Mapping):
        return {key: read_spelled(child) for key, child in value.items()}
    if isinstance(value, list):
        return [read_spelled(child) for child in value]
    if not isinstance(value, str):
        return value
    words = {"true": True, "false": False, "null": None, "": None}
    if value.lower() in words:
        return words[value.lower()]
    for kind in int, float:
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _leaves(value: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    for key, child in value.items():
        if isinstance(child, Mapping):
            yield from _leaves(child, (*path, key))
        else:
            yield (*path, key), child


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        value = value[part]
    return value


def _find(value: Any, path: Path) -> Any:
    """The value at a path; None where the command line does not reach."""
    try:
        return _at(value, path)
    except (KeyError, IndexError, TypeError):
        return None
