"""The JSON Schema for editors and the tables of docs/configuration.md, made from the models."""

import re
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from neuraldeps.config.blocks import Block, OnlyFor, Options, Path, Unfilled, block_in, dotted
from neuraldeps.config.run import Run

Schema = dict[str, Any]
SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
END = "\n..."  # YAML writes it after a value that stands alone
PLURALS = {"number": "numbers", "integer": "integers", "text": "texts"}


def json_schema() -> Schema:
    """JSON Schema (2020-12) of a configuration.

    Returns
    -------
    dict
        For editors; `schemas/config.schema.json`.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_without_titles(Run.model_json_schema()),
    }


def _without_titles(schema: Any) -> Any:
    """Less of what the key itself says."""
    if isinstance(schema, list):
        return [_without_titles(child) for child in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_titles(child)
        for key, child in schema.items()
        if not (key == "title" and isinstance(child, str))
    }


def key_tables() -> str:
    """Markdown: a section for every block, with a table of its keys.

    Returns
    -------
    str
        What docs/configuration.md has between its marks.
    """
    alone = [name for name, field in Run.model_fields.items() if block_in(field)[0] is None]
    rows = [_row((name,), Run, name) for name in alone]
    sections = [_section("Single keys", "Keys outside any block.", rows)]
    for name, field in Run.model_fields.items():
        inner, _ = block_in(field)
        if inner:
            about = (inner.__doc__ or "").strip().splitlines()[0]
            sections.append(_section(f"`{name}`", about, _rows(Run, (), only=name)))
    return "\n\n".join(sections)


def _section(title: str, about: str, rows: list[str]) -> str:
    head = ["| key | meaning | allowed | default |", "|---|---|---|---|"]
    return "\n".join([f"### {title}", "", about, "", *head, *rows])


def _rows(block: type[Block], path: Path, only: str | None = None) -> list[str]:
    """Rows of a block's keys, and of the blocks within it."""
    rows = []
    for name, field in block.model_fields.items():
        inner, named = block_in(field)
        if only not in (None, name):
            continue
        is_options = inner is not None and issubclass(inner, Options)
        if inner is None or named or is_options:
            rows.append(_row((*path, name), block, name))
        if inner and not is_options:
            rows += _rows(inner, (*path, name, "<name>") if named else (*path, name))
    return rows


def _row(path: Path, block: type[Block], name: str) -> str:
    field, schema = block.model_fields[name], block.model_json_schema()["properties"][name]
    marks = [mark for mark in field.metadata if isinstance(mark, OnlyFor)]
    kinds = [f" *{mark.words.capitalize()} only.*" for mark in marks]
    meaning = (field.description or "").replace("|", r"\|") + _among(field) + "".join(kinds)
    return f"| `{dotted(path)}` | {meaning} | {_allowed(schema)} | {_default(field)} |"


def _among(field: FieldInfo) -> str:
    """Options of another package that are known here."""
    inner, _ = block_in(field)
    if inner is None or not issubclass(inner, Options) or not inner.model_fields:
        return ""
    known = ", ".join(f"`{name}`" for name in inner.model_fields)
    return (
        f" Among them: {known}."
        if inner.model_config["extra"] == "allow"
        else f" Recognised keys: {known}."
    )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if any(isinstance(mark, Unfilled) for mark in field.metadata):
        return ""
    if field.default_factory:
        return "`{}`"
    text = yaml.safe_dump(field.default, default_flow_style=True, width=1000, sort_keys=False)
    return f"`{text.split(END)[0].strip()}`"


def _allowed(schema: Schema) -> str:
    """What a value may be, in words."""
    if "$ref" in schema:
        return "mapping"
    if kinds := schema.get("anyOf", schema.get("oneOf")):
        return ", or ".join(map(_allowed, kinds))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema["type"] == "array":
        return _list(schema)
    kind: str = schema["type"]
    words = {"object": "mapping", "string": "text", "boolean": "true, or false"}
    return " ".join([words.get(kind, kind), *_bounds(schema)])


def _bounds(schema: Schema) -> list[str]:
    bounds = [f"{sign} {schema[bound]}" for bound, sign in SIGNS.items() if bound in schema]
    return [" and ".join(bounds)] if bounds else []


def _list(schema: Schema) -> str:
    """How many of what; lists are of numbers, text, or lists of those."""
    items = schema["items"]
    pair = schema.get("minItems") == schema.get("maxItems") == 2
    if items["type"] == "array":
        return f"list of {_list(items)} each"
    kind = PLURALS[_allowed({"type": items["type"]})]
    return ", each ".join([f"two {kind}" if pair else f"list of {kind}", *_bounds(items)])


def in_place(text: str) -> str:
    """The same document with the present tables between its marks.

    Parameters
    ----------
    text : str
        A page with the marks.

    Returns
    -------
    str
        The page with what lies between them made anew.
    """
    return re.sub(
        r"(?s)(<!-- keys: .*? -->\n\n).*?(\n\n<!-- end of keys -->)",
        lambda marks: marks[1] + key_tables() + marks[2],
        text,
    )
