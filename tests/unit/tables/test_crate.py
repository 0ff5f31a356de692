"""A run's RO-Crate, read back by the library that archives read it with."""

import json
import os

import numpy as np
import pytest
import xarray as xr
from rocrate.rocrate import ROCrate

from neuraldeps.stores import fingerprint, provenance, write_store
from neuraldeps.tables.crate import write_crate


def store(path, made_by, sources=None, **more):
    attrs = provenance(made_by, f"Title of {path.stem}", sources=sources, **more)
    write_store(xr.Dataset({"x": ("i", np.arange(3.0))}, attrs=attrs), path)
    return fingerprint(path)


@pytest.fixture
def results(tmp_path):
    """Two stores, the second made from the first and from a file, and a table."""
    root = tmp_path / "results"
    first = store(root / "images/fit.zarr", "render_glyphs", seed=7)
    made_from = {"images": first, "checkpoint": "ab" * 32}
    store(root / "logits/net/fit.zarr", "extract_logits", made_from, config={"batch_size": 4})
    (root / "tables").mkdir()
    (root / "tables/table1.csv").write_text("a,b\n")
    (root / "logits/net/.half.zarr").mkdir()
    (root / "tables/.snakemake_timestamp").touch()
    for path in [*root.rglob("*"), root]:
        os.utime(path, (1.7e9, 1.7e9))  # 14 November 2023
    return root


def written(results):
    text = write_crate(str(results), "What was run.")
    (results / "ro-crate-metadata.json").write_text(text, encoding="utf-8")
    return ROCrate(results)


def test_every_store_and_file_is_in_it(results):
    crate = written(results)
    assert {part.id for part in crate.root_dataset["hasPart"]} == {
        "images/fit.zarr/",
        "logits/net/fit.zarr/",
        "tables/table1.csv",
    }
    assert crate.description == "What was run."
    assert crate.root_dataset["datePublished"] == "2023-11-14"
    assert crate.mainEntity["name"] == "neural-dependencies"
    assert crate.dereference("tables/table1.csv")["encodingFormat"] == "text/csv"


def test_it_says_what_made_a_store_and_from_what(results):
    crate = written(results)
    logits = crate.dereference("logits/net/fit.zarr/")
    assert logits["name"] == "Title of fit"
    assert logits["identifier"] == fingerprint(results / "logits/net/fit.zarr")
    made = {one["result"].id: one for one in crate.get_by_type("CreateAction")}
    action = made["logits/net/fit.zarr/"]
    given = {one.id: one for one in action["object"]}
    assert "images/fit.zarr/" in given
    assert given["#" + "ab" * 32]["name"] == "checkpoint"
    config = next(one for one in given.values() if one["name"] == "config")
    assert json.loads(config["value"]) == {"batch_size": 4}
    tools = {one["name"]: one.get("version") for one in action["instrument"]}
    assert tools["numpy"] == np.__version__
    assert "extract_logits" in tools
    seeds = [one["value"] for one in made["images/fit.zarr/"]["object"] if one["name"] == "seed"]
    assert seeds == [7]


def test_every_reference_inside_leads_to_an_entity(results):
    crate = written(results)
    graph = json.loads((results / "ro-crate-metadata.json").read_text())["@graph"]
    known = {entity["@id"] for entity in graph}
    assert len(known) == len(graph)

    def references(value):
        if isinstance(value, dict):
            yield from [value["@id"]] if set(value) == {"@id"} else ()
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    used = {one for entity in graph for one in references(entity)}
    assert {one for one in used - known if not one.startswith("https://w3id.org/ro/")} == set()
    assert crate.dereference("./")["license"]


def test_the_same_files_give_the_same_text(results):
    written(results)
    one = (results / "ro-crate-metadata.json").read_text(encoding="utf-8")
    assert write_crate(str(results), "What was run.") == one
