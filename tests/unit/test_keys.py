"""Every configuration key that an error message names is one that the configuration has."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOLE = "{}"
# dotted words that are no keys: files, modules and functions
NO_KEYS = re.compile(r"^numpy\.|\.(csv|npy|npz|txt|pth|zarr|json|tsv|tar|safetensors)$")


def keys():
    """Every key of the table that is made from the models, as lists of its parts."""
    rows = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs/configuration.md").read_text(), flags=re.M)
    found = {tuple(row.split(".")) for row in rows if "." in row or row == "seed"}
    assert len(found) > 100
    return found


def messages():
    """File, line and text of every error message; what is filled in is a hole."""
    for file in sorted((ROOT / "neuraldeps").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            is_error = isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                "InputError",
                "StoreError",
            )
            if is_error or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield)):
                for text in ast.walk(node):
                    if isinstance(text, ast.JoinedStr):
                        parts = (getattr(part, "value", HOLE) for part in text.values)
                        parts = (part if isinstance(part, str) else HOLE for part in parts)
                        yield file.name, node.lineno, "".join(parts)
                    elif isinstance(text, ast.Constant) and isinstance(text.value, str):
                        yield file.name, node.lineno, text.value


def named_keys():
    for file, line, text in messages():
        for word in re.findall(r"(?<![\w/.{}-])[a-z_0-9]+(?:\.(?:[a-z_0-9]+|\{\}))+", text):
            if not NO_KEYS.search(word):
                yield file, line, word


def named_leaves():
    """Parts of keys behind a hole, ``{key}.labels``."""
    for file, line, text in messages():
        for part in re.findall(r"\{\}\.([a-z_]+)", text):
            if not NO_KEYS.search(f".{part}"):
                yield file, line, part


def is_key(word, known):
    """Whether a key, or a block of keys, may be written so; a hole stands for any part."""

    def fits(parts, key):
        return len(parts) <= len(key) and all(
            part == own or HOLE in (part, own) or own == "<name>"
            for part, own in zip(parts, key, strict=False)
        )

    parts = word.split(".")
    # models.<name>.labels.<split> and the like: maps whose keys are names
    return any(
        fits(parts, key) or (len(key) == len(parts) - 1 and fits(parts[:-1], key)) for key in known
    )


def test_error_messages_name_keys_that_are_there():
    named = list(named_keys())
    assert len(named) > 10
    known = keys()
    wrong = [f"{file}:{line}: {word}" for file, line, word in named if not is_key(word, known)]
    parts = {part for key in known for part in key}
    wrong += [f"{file}:{line}: {part}" for file, line, part in named_leaves() if part not in parts]
    assert not wrong


@pytest.mark.parametrize("word", ["images.n_categories", "dataset.n_category", "images.{}"])
def test_other_words_are_not_taken_for_keys(word):
    assert not is_key(word, keys())
