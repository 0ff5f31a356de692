"""A short life of stores against a model; `python -m tests.faults.life` is the long one."""

import pytest
from hypothesis import Phase

from tests.faults import life


def test_any_order_of_jobs_kills_damage_and_readers_is_as_the_model_says():
    taken = life.live(1000, 0)
    every = {"begin", "write", "go on", "finish", "write whole", "remove", "read", "verify"}
    every |= {"damage", "damage the metadata", "damage a shard"}
    every |= {f"{step}, killed" for step in ("begin", "write", "finish", "write whole")}
    assert set(taken) <= every
    assert len(taken) > 10  # of 15; which ones is for hypothesis to say


def test_a_rename_without_its_bytes_is_found(monkeypatch):
    """The model can fail: here a shard is named before it is written."""

    def careless(store, key, value):
        (store.root / key).parent.mkdir(parents=True, exist_ok=True)
        (store.root / key).write_bytes(value.as_buffer_like()[:-1])

    monkeypatch.setattr("neuraldeps.stores.checksums.DurableStore.set_sync", careless)
    with pytest.raises(AssertionError):
        life.live(1000, 0, phases=[Phase.generate])
