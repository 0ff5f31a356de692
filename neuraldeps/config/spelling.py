"""What YAML reads otherwise than its writer can have meant."""

import math
from collections.abc import Iterator
from itertools import chain

import yaml

from neuraldeps.config.blocks import Path, dotted

STRING, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
MOST_VALUES = 10**6  # of a configuration, with every alias written out
KINDS = {"int": "a number", "float": "a number", "bool": "true or false", "null": "null"}


def misread(text: str) -> Iterator[str]:
    """What a YAML file says otherwise than its writer can have meant.

    Parameters
    ----------
    text : str
        Content of the file. What is no YAML (but JSON with tabs, say) has no such traps.

    Yields
    ------
    str
        Keys that stand twice (YAML takes the last), names that are no text, numbers that are
        read in base 60 or 8, and aliases that stand for themselves or for millions of values.
    """
    try:
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return
    if root is not None and (n_values := _written_out(root, {})) > MOST_VALUES:
        yield (
            f"its aliases (*name) stand for {n_values:.3g} values, more than {MOST_VALUES:,}; "
            "write out what is meant"
        )
        return
    yield from _misread(root, (), set())


def _written_out(node: yaml.Node, known: dict[int, float]) -> float:
    """Values within a node, infinitely many in one that holds itself."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = math.inf  # until all of it was seen
        children = chain(*node.value) if isinstance(node, yaml.MappingNode) else node.value
        known[id(node)] = 1 + sum(_written_out(child, known) for child in children)
    return known[id(node)]


def _misread(node: yaml.Node | None, path: Path, seen: set[int]) -> Iterator[str]:
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        yield from _misread_number(node, path)
    elif isinstance(node, yaml.SequenceNode):
        for number, child in enumerate(node.value):
            yield from _misread(child, (*path, number), seen)
    elif isinstance(node, yaml.MappingNode):
        yield from _misread_names(node, path)
        for key, child in node.value:
            yield from _misread(child, (*path, str(key.value)), seen)


def _misread_names(node: yaml.MappingNode, path: Path) -> Iterator[str]:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in lines and key.tag != MERGE:
            yield (
                f"{dotted((*path, name))} stands twice, in lines {lines[name]} and {line}; remove one"
            )
        lines[name] = line
        if key.tag not in (STRING, MERGE):
            kind = KINDS.get(key.tag.rpartition(":")[2], "no text")
            yield (
                f"{dotted(path)} has the name {name} in line {line}, which YAML reads as {kind}; "
                f'put it in quotes: "{name}"'
            )


def _misread_number(node: yaml.ScalarNode, path: Path) -> Iterator[str]:
    kind, text = node.tag.rpartition(":")[2], node.value.replace("_", "")
    if kind not in ("int", "float"):
        return
    digits = text.lstrip("+-")
    if ":" in digits:
        how = "in base 60"
    elif kind == "int" and len(digits) > 1 and digits[0] == "0" and digits.isdigit():
        how = f"in base 8, as {int(digits, 8)}"
    else:
        return
    yield (
        f"{dotted(path)} is {node.value} in line {node.start_mark.line + 1}, which YAML reads "
        f'{how}; write it without leading zeros or colons, or in quotes: "{node.value}"'
    )
