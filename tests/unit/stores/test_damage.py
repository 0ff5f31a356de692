"""Damage to what was published: found by the first reader, named in one line with a command, never a number."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
import zarr
from torch import nn

from neuraldeps.command.__main__ import main
from neuraldeps.errors import InputError, StoreError
from neuraldeps.logits.store import LogitsFile
from neuraldeps.networks.checkpoints import load_checkpoint, save_checkpoint
from neuraldeps.stores import (
    ShardedArray,
    fingerprint,
    map_array,
    open_store,
    provenance,
    strings,
    to_be_written,
    write_store,
)
from neuraldeps.stores.checksums import LIST, _document
from neuraldeps.stores.verify import verify_run
from tests.workflow.conftest import contents

VALUES = np.random.default_rng(0).standard_normal((64, 5)).astype(np.float32)
LOGITS = "results/logits/f/fit.zarr"


def write_logits(path, *, values=VALUES, names="abcde", made_by="extract_logits"):
    template = xr.Dataset(
        {"logits": (("sample", "category"), to_be_written(values.shape, "float32"))},
        coords={
            "category": np.arange(5, dtype=np.int32),
            "category_name": ("category", strings(names)),
        },
        attrs=provenance(made_by, "logits", config={"names": names}),
    )
    store = ShardedArray(template, "logits", path, rows=16)
    store.begin()
    for shard in store.missing():
        store.write(shard, values[slice(*store.bounds(shard))])
    store.finish()


def write_moments(path, names=("f", "f"), sources=None):
    moments = {"second_moment": (("i", "j"), VALUES.T @ VALUES)}
    attrs = provenance("reduce_second_moment", "moments", sources=sources)
    attrs |= dict(zip(("source", "target"), names, strict=True))
    write_store(xr.Dataset(moments, attrs=attrs), path, contiguous=["second_moment"])


def read(path):
    """Read as rules do: lazily, by rows, and mapped into memory."""
    dataset = open_store(path).load()
    if "logits" in dataset:
        LogitsFile(str(path)).rows(0, len(VALUES))
    else:
        map_array(path, "second_moment")
    return dataset


@pytest.fixture(params=[LOGITS, "results/moments/f--f.zarr"])
def store(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (write_logits if request.param == LOGITS else write_moments)(request.param)
    return request.param


def refused(path, expected=""):
    """The one line of the first reader, which verify_run repeats."""
    with pytest.raises(StoreError) as error:
        read(path)
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    assert f"rm -r {path} && snakemake {path}" in line
    assert expected in line
    (verdict,) = verify_run(Path(path))
    assert not verdict.is_whole
    assert str(verdict).startswith(f"damaged  {path}: ")
    return line


def test_what_is_whole_is_read_and_verified(store):
    read(store)
    assert [str(one) for one in verify_run(Path("results"))] == [f"ok       {store}"]


def test_a_flipped_byte_in_any_file(store):
    """In every file, the first, the middle and the last byte."""
    whole = contents(Path(store))
    assert {"zarr.json", LIST} < set(whole)
    for name, content in whole.items():
        for at in sorted({0, len(content) // 2, len(content) - 1}):
            damaged = bytearray(content)
            damaged[at] ^= 1
            (file := Path(store, name)).write_bytes(damaged)
            assert name in refused(store)
            file.write_bytes(content)
    read(store)


@pytest.mark.parametrize("how", ["truncated", "missing", "empty"])
def test_a_file_that_is_not_whole(store, how):
    for name, content in contents(Path(store)).items():
        file = Path(store, name)
        if how == "missing":
            file.unlink()
        else:
            file.write_bytes(content[: len(content) // 2] if how == "truncated" else b"")
        assert name in refused(store)
        file.write_bytes(content)


def test_a_shard_in_the_place_of_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_logits(LOGITS)
    one, other = (Path(LOGITS, f"logits/c/{number}/0") for number in (1, 2))
    assert one.stat().st_size == other.stat().st_size
    one.rename("kept")
    other.rename(one)
    Path("kept").rename(other)
    refused(LOGITS, "checksum of logits/c/")  # of either: they are read at once


def test_categories_in_another_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_logits(LOGITS)
    array = zarr.open_array(f"{LOGITS}/category_name", mode="r+")
    array[:] = array[:][::-1]
    refused(LOGITS, "category_name/c/0")
    shutil.rmtree(LOGITS)
    write_logits(LOGITS)
    write_logits("other.zarr", names="edcba")
    shutil.rmtree(f"{LOGITS}/category_name")
    shutil.copytree("other.zarr/category_name", f"{LOGITS}/category_name")
    refused(LOGITS, "category_name/c/0")


def test_the_list_is_read_once_for_all_shards_and_again_after_a_change(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_logits(LOGITS)
    read, seen = Path.read_bytes, []
    monkeypatch.setattr(Path, "read_bytes", lambda path: seen.append(path.name) or read(path))
    logits = LogitsFile(LOGITS)
    for first in range(0, 64, 16):
        np.testing.assert_array_equal(logits.stored(first, first + 16), VALUES[first : first + 16])
    assert logits.shape == (64, 5)
    assert seen.count(LIST) == 1

    shutil.rmtree(LOGITS)
    write_logits(LOGITS, values=-VALUES)
    np.testing.assert_array_equal(logits.stored(0, 64), -VALUES)
    Path(LOGITS, "logits/c/2/0").unlink()
    with pytest.raises(StoreError, match="logits/c/2/0 is missing"):
        logits.stored(32, 48)
    shutil.rmtree(LOGITS)
    with pytest.raises(StoreError, match=LOGITS):
        logits.stored(0, 16)


def test_a_store_of_another_version(store):
    found = json.loads((file := Path(store, LIST)).read_text())
    file.write_bytes(_document(found["files"], 0))
    refused(store, "is a store of version 0, and this program reads 1")
    file.unlink()
    refused(store, "an older version made it")


def test_another_store_under_the_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_moments("results/moments/f--g.zarr", ("f", "h"))
    refused("results/moments/f--g.zarr", "is the store of f and h")
    write_moments("results/moments/g--f.zarr", ("f", "g"))  # of unordered pairs
    read("results/moments/g--f.zarr")
    write_logits("results/moments/f--f.zarr")
    refused("results/moments/f--f.zarr", "a store that extract_logits makes")


def test_a_store_of_another_run_under_the_right_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_logits(LOGITS)
    source = fingerprint(LOGITS)
    write_moments("results/moments/f--f.zarr", sources={"source": source, "target": source})
    assert all(one.is_whole for one in verify_run(Path("results")))
    shutil.rmtree(LOGITS)
    write_logits(LOGITS, names="edcba")
    logits, moments = verify_run(Path("results"))
    assert logits.is_whole
    assert "made from another store than what stands for its source now" in str(moments)


def test_what_is_no_part_of_a_store_is_not_read(store):
    """A shard that nobody published would be a number from nowhere."""
    further = Path(store, "logits/c/4/0")
    further.parent.mkdir(parents=True, exist_ok=True)
    further.write_bytes(b"0")
    read(store)
    (verdict,) = verify_run(Path("results"))
    assert "logits/c/4/0 is no part of it" in str(verdict)


def test_stores_from_elsewhere_are_opened_without_a_list(tmp_path):
    xr.Dataset({"a": ("b", [1, 2])}).to_zarr(tmp_path / "foreign.zarr")
    assert open_store(tmp_path / "foreign.zarr")["a"].values.tolist() == [1, 2]


def test_a_flipped_byte_in_weights(tmp_path):
    torch.manual_seed(0)
    save_checkpoint(network := nn.Linear(3, 2), path := tmp_path / "model.safetensors")
    whole = path.read_bytes()
    load_checkpoint(network, str(path), "f")
    assert all(one.is_whole for one in verify_run(tmp_path))
    before = [value.clone() for value in network.state_dict().values()]
    refusals = []
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        path.write_bytes(damaged)
        try:
            load_checkpoint(network, str(path), "f")
        except InputError as error:
            refusals.append(str(error))
        else:  # in the name of the checksum, or between the header's words: the weights are the same
            after = network.state_dict().values()
            assert all(map(torch.equal, before, after)), at
    data = sum(value.numel() * value.element_size() for value in before)
    assert len(refusals) > data
    assert all(line.startswith(f"models.f.checkpoint: {path}") for line in refusals)
    assert not any("\n" in line for line in refusals)
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match=r"rm -r .* && snakemake "):
        load_checkpoint(network, str(path), "f")


def test_the_command_says_what_is_damaged(store, capsys):
    assert main(["verify"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 verified, 0 damaged"
    name = next(one for one in contents(Path(store)) if one.endswith("c/0/0"))
    Path(store, name).write_bytes(b"")
    assert main(["verify", "results"]) == 1
    assert f"{store}: {name} has 0 bytes in place of" in capsys.readouterr().out
    assert main(["verify", "none"]) == 1
    assert capsys.readouterr().err.startswith("Error: none: holds no store; give the results/")
