"""Every key of the configuration: described, current in its documents, with defaults as good as given values."""

import copy
import json
import re

import pytest

from neuraldeps.config import Run, check_config
from neuraldeps.config.blocks import Block, Options, block_in, dotted, find_place
from neuraldeps.config.dataset import N_GLYPHS, N_OOD_GLYPHS
from neuraldeps.config.documents import in_place, json_schema
from neuraldeps.config.renamed import RENAMED as RENAMED_KEYS
from neuraldeps.images.glyphs import load_categories
from tests.unit.test_config import ROOT, default


def leaves(block, path=()):
    """Every key but those that hold a block; options of other packages, and those among them."""
    for name, field in block.model_fields.items():
        inner, named = block_in(field)
        if inner is None or named or issubclass(inner, Options):
            yield (*path, name), field
        if inner:
            yield from leaves(inner, (*path, name, "<name>") if named else (*path, name))


def test_every_key_says_what_it_means():
    for path, field in leaves(Run):
        text = field.description
        assert re.fullmatch(r"[\w.][^\n]+\.", text or ""), path
        assert not re.match(r"(It|Its|Their|They|Whose)\b", text), path


def blocks(block):
    yield block
    for field in block.model_fields.values():
        if inner := block_in(field)[0]:
            yield from blocks(inner)


def test_every_block_says_what_it_is_and_refuses_unknown_keys():
    for block in blocks(Run):
        assert block.__doc__ not in (None, Block.__doc__), block
        assert block.model_config["extra"] == "forbid" or issubclass(block, Options), block


def test_defaults_are_as_good_as_values_that_are_given():
    filled = check_config(default(), "config.yaml")
    assert check_config(copy.deepcopy(filled), "config.yaml") == filled


def test_what_is_given_is_kept_as_it_was_written():
    filled = check_config(default(), "config.yaml")
    new = filled["generalizability"]["new"]
    assert new == [0.1, 0.05, 1]
    assert type(new[-1]) is int
    assert "checkpoint" not in filled["models"]["resnet18"]
    assert filled["models"]["resnet18"]["train"]["augmentation"]["color_jitter"] == 0.4
    assert json.loads(json.dumps(filled)) == filled, "plain Python alone"


def test_the_schema_and_the_table_of_keys_are_current():
    page = (ROOT / "docs/configuration.md").read_text()
    assert page == in_place(page), "run python -m neuraldeps.config"
    schema = json.loads((ROOT / "schemas/config.schema.json").read_text())
    assert schema == json_schema(), "run python -m neuraldeps.config"
    rows = {row.split("`")[1]: row for row in page.splitlines() if row.startswith("| `")}
    for path, _ in leaves(Run):
        assert dotted(path) in rows or f"`{path[-1]}`" in rows[dotted(path[:-1])], path


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_keys_in_the_documents_are_there(page):
    begins = {key.partition(".")[0] for key in RENAMED_KEYS} | set(Run.model_fields)
    for word in re.findall(r"`([a-z_]+(?:\.[a-z_0-9<>]+)+)(?:`|:)", page.read_text()):
        path = tuple(word.split("."))
        if path[0] in begins and path[-1] not in ("csv", "md", "json", "py", "smk"):
            assert not find_place(Run, path).within, word


def test_as_many_glyphs_as_there_are():
    inside, outside = load_categories(1000)
    assert (len(inside), len(outside)) == (N_GLYPHS, N_OOD_GLYPHS)
