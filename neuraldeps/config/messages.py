"""What is wrong with a key, in one line: the key, its value and the fix."""

import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from neuraldeps.config.blocks import Block, Choices, Path, block_in, dotted, find_place, leaves_of
from neuraldeps.config.renamed import find_new_name, find_new_value
from neuraldeps.config.run import Run

TYPES = {
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
}
TRUTH = dict.fromkeys(("true", "yes", "on", "1"), "true")
TRUTH |= dict.fromkeys(("false", "no", "off", "0"), "false")
BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("greater than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def errors_in(config: Mapping[str, Any]) -> list[ErrorDetails]:
    """What is wrong with single keys, those of the outermost blocks first.

    Parameters
    ----------
    config : mapping
        What the user wrote.

    Returns
    -------
    list of dict
        As pydantic describes errors.
    """
    try:
        Run.model_validate(config)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        return sorted(errors, key=_rank)
    return []


def _rank(error: ErrorDetails) -> tuple[int, bool, str]:
    """Errors of outer blocks come first; a missing key last, as it may be there by a wrong name."""
    kind = error["type"]
    # an unknown or missing key is the fault of the block that it is in
    of_block = kind in ("missing", "extra_forbidden") or error["loc"][-1] == "[key]"
    return len(path_of(error)) - of_block, kind == "missing", str(path_of(error))


def path_of(error: ErrorDetails) -> Path:
    """Where an error lies, without what is the validator's own.

    Parameters
    ----------
    error : dict
        One of pydantic's.

    Returns
    -------
    tuple of str and int
        Keys and positions as the user wrote them.
    """
    path = tuple(part for part in error["loc"] if not _is_tag(part))
    return path + tuple(error.get("ctx", {}).get("within", ()))


def _is_tag(part: str | int) -> bool:
    return isinstance(part, str) and part.startswith(("<", "[key]"))


def one_line(error: ErrorDetails, renamed: Mapping[str, str]) -> str:
    """Turn an error of the validator into "key is value; fix".

    Parameters
    ----------
    error : dict
        One of ``pydantic.ValidationError.errors()`` for a `Run`.
    renamed : mapping
        Keys of earlier releases, and what they are called now.

    Returns
    -------
    str
        Without a line break.
    """
    path, kind, context = path_of(error), error["type"], error.get("ctx", {})
    key, value = dotted(path), context.get("value", error["input"])
    block, field, within = find_place(Run, path)
    about = f" ({field.description.rstrip('.')})" if field and field.description else ""
    if error["loc"][-1] == "[key]" or kind == "invalid_key":
        return _wrong_name(path, kind)
    match kind:
        case "extra_forbidden":
            return _unknown(path, value, renamed)
        case "missing":
            meaning = about.strip(" ()") or _first_line(block.__doc__ if block else None)
            return f"missing key {key}; add it: {meaning}"
        case "elsewhere":
            return f"{key} has a key of its own, {context['key']}; give it there"
        case "literal_error":
            if new_value := find_new_value(value, key):
                return f"{key} is {_shown(value)}; it is now {new_value}"
            return f"{key} is {_shown(value)}; it must be {_choices(field)}"
        case "string_pattern_mismatch":
            return f"{key} is {_shown(value)}; it must be {_choices(field)}{about}"
        case "too_short":
            return (
                f"{key} has {len(value)} entries; it needs at least {context['min_length']}{about}"
            )
        case "too_long":
            return f"{key} has {len(value)} entries; it takes {context['max_length']}{about}"
        case bound if bound in BOUNDS:
            words, name = BOUNDS[bound]
            return f"{key} is {value!r}; it must be {words} {context[name]:g}{about}"
        case "model_type" | "dict_type" if value is None:
            return f"{key} is empty; {_keys_below(path, block)}"
        case _:
            told = kind == "finite_number" or value is None
            said = "" if told else f", of type {type(value).__name__}"
            wanted = _choices(field) if _is_tag(error["loc"][-1]) else TYPES[kind]
            null = " or null" if _takes_null(field) and not within else ""
            return f"{key} is {_shown(value)}{said}; it must be {wanted}{null}{_fix(kind, value)}{about}"


def _wrong_name(path: Path, kind: str) -> str:
    *parents, name = path
    of = dotted(parents)
    if kind in ("string_type", "invalid_key"):
        return f"{of} has the name {name!r}, of type {type(name).__name__}; put it in quotes"
    return (
        f"{of}: the name {name!r} is not allowed; use letters, digits, '.', '_', '+' and single '-'"
    )


def _unknown(path: Path, value: Any, renamed: Mapping[str, str]) -> str:
    """An unknown key: what it is called now, is like, or where it belongs."""
    *parents, name = path
    leaves = (((*path, *within), leaf) for within, leaf in leaves_of(value))
    for old, given in [*leaves, (path, value)]:
        if new_name := find_new_name(old, renamed):
            new_value = find_new_value(given, dotted(old), new_name)
            shown = str(given).lower() if isinstance(given, bool) else given
            also = f", and {shown} is now {new_value}" if new_value else ""
            return f"unknown key {dotted(old)}; it is now {new_name}{also}"
    block = find_place(Run, tuple(parents)).block
    known = list(block.model_fields) if block else []
    if near := difflib.get_close_matches(str(name), known, n=1):
        hint = f"did you mean {near[0]}?"
    elif elsewhere := [dotted(other) for other in _all_keys(Run) if other[-1] == name]:
        hint = f"did you mean {' or '.join(elsewhere)}?"
    else:
        hint = f"known keys: {', '.join(known)}"
    return f"unknown key {dotted(path)}; {hint}"


def _all_keys(block: type[Block], path: Path = ()) -> Iterator[Path]:
    for name, field in block.model_fields.items():
        inner, named = block_in(field)
        yield (*path, name)
        if inner:
            yield from _all_keys(inner, (*path, name, "NAME") if named else (*path, name))


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0].rstrip(".")


def _choices(field: FieldInfo | None) -> str:
    """What a key may be, where it is one of a few words."""
    marks = field.metadata if field else []
    for mark in marks:
        if isinstance(mark, Choices):
            return mark.words
    return f"one of {', '.join(map(str, _words(field.annotation if field else None)))}"


def _words(kind: Any) -> tuple[Any, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    return next((words for child in get_args(kind) if (words := _words(child))), ())


def _takes_null(field: FieldInfo | None) -> bool:
    return field is not None and type(None) in get_args(field.annotation)


def _keys_below(path: Path, block: type[Block] | None) -> str:
    field = find_place(Run, path).field
    several = field is not None and block_in(field)[1] and path[-1] in Run.model_fields
    if (
        several
        or block is None
        or any(field.is_required() for field in block.model_fields.values())
    ):
        return "indent what belongs to it below it"
    return "indent its keys below it, or write {} for the defaults"


def _shown(value: Any) -> str:
    """A value as a user knows it."""
    text = repr(value) if isinstance(value, str | int | float | list | dict) else str(value)
    text = "null" if value is None else text
    return text if len(text) <= 80 else f"{text[:77]}..."


def _fix(kind: str, value: Any) -> str:
    """What to write in place of a value that YAML reads otherwise than it was meant."""
    fixes: Mapping[str, Callable[[Any], str | None]] = {
        "int_type": _as_integer,
        "float_type": _as_number,
        "bool_type": lambda value: TRUTH.get(str(value).lower()),
        "string_type": _as_text,
        "list_type": lambda value: f"[{value}]" if isinstance(value, str | int | float) else None,
    }
    written = fixes[kind](value) if kind in fixes else None
    return f": write {written}" if written else ""


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and not isinstance(value, bool) else None


def _as_integer(value: Any) -> str | None:
    number = _number(value)
    return str(int(number)) if number is not None and number.is_integer() else None


def _as_number(value: Any) -> str | None:
    """As YAML reads numbers: with a point in the mantissa and a sign in the exponent."""
    if _number(value) is None:
        return None
    mantissa, _, exponent = str(value).strip().lower().partition("e")
    if not exponent:
        return mantissa
    point = "" if "." in mantissa else ".0"
    sign = "" if exponent[0] in "+-" else "+"
    return f"{mantissa}{point}e{sign}{exponent}"


def _as_text(value: Any) -> str | None:
    """In quotes; of a truth value nobody knows how it was spelt."""
    if isinstance(value, bool):
        return '"yes", "on" or "true" in quotes' if value else '"no", "off" or "false" in quotes'
    if value is None or isinstance(value, list | dict):
        return None
    return f'"{value}"'
