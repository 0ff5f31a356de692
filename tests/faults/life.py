"""The life of stores against a model: begun, written, killed, gone on with, published, damaged and read in any order.

``python -m tests.faults.life --steps 100000 --seed 0`` lets hypothesis choose the order, and prints as
JSON how many steps of each kind were taken. It ends with 1, and the shortest order that shows it, at
the first difference from the model.

Two configurations, each with values of its own, are written to one path: shard by shard by any number
of jobs, and whole. A kill is an exception at a sync or a rename, from which on nothing is cleared
away; the locks on its work are freed, as they are when a process dies.
"""

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from unittest import mock

import numpy as np
import xarray as xr
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from neuraldeps.errors import StoreError
from neuraldeps.logits.store import LogitsFile
from neuraldeps.stores import ShardedArray, open_store, provenance, to_be_written, write_store
from neuraldeps.stores import publish as publishing
from neuraldeps.stores.verify import verify_store

SHARDS, ROWS, COLUMNS = 3, 4, 2
VALUES = {
    name: np.random.default_rng(number).standard_normal((SHARDS * ROWS, COLUMNS)).astype(np.float32)
    for number, name in enumerate("ab")
}
CONFIGURATIONS = st.sampled_from("ab")
NUMBERS = st.integers(0, SHARDS - 1)
# after how many syncs and renames a job is killed: publishing a store takes nine
MOMENTS = st.integers(0, 9)
IN_MEMORY = Path("/dev/shm")
taken: Counter[str] = Counter()


class Killed(BaseException):
    """What no job catches."""


class Kill:
    """A job that is killed before one of its syncs or renames.

    Attributes
    ----------
    named : list of str
        What it had given its name by a rename.
    """

    def __init__(self, moment):
        self.left, self.is_dead = moment, False
        self.named: list[str] = []
        self.sync_tree, self.sync = publishing.sync_tree, publishing.sync
        self.rename, self.rmtree = os.rename, shutil.rmtree

    def _live(self):
        if self.is_dead or not self.left:
            self.is_dead = True
            raise Killed
        self.left -= 1

    def _sync(self, original):
        def synced(path):
            self._live()
            original(path)

        return synced

    def _rename(self, source, target):
        self._live()
        self.rename(source, target)
        self.named.append(str(target))

    def _rmtree(self, *arguments, **options):
        if not self.is_dead:
            self.rmtree(*arguments, **options)

    @contextlib.contextmanager
    def __call__(self):
        """Kill what is done within, if it lives so long."""
        with (
            mock.patch.object(publishing, "sync_tree", self._sync(self.sync_tree)),
            mock.patch.object(publishing, "sync", self._sync(self.sync)),
            mock.patch.object(os, "rename", self._rename),
            mock.patch.object(shutil, "rmtree", self._rmtree),
            contextlib.suppress(Killed),
        ):
            yield


def template(name, values):
    """What the logits of a configuration are laid out by."""
    return xr.Dataset(
        {"logits": (("sample", "category"), values)},
        coords={"category": np.arange(COLUMNS, dtype=np.int32)},
        attrs=provenance("life", "logits", config={"name": name}),
    )


WHOLE = {name: template(name, values) for name, values in VALUES.items()}
TO_COME = {
    name: template(name, to_be_written(values.shape, np.float32)) for name, values in VALUES.items()
}


def refused(job):
    """The one line with which a job or a reader ends, None where it ends well."""
    try:
        job()
    except StoreError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return str(error)
    return None


class Life(RuleBasedStateMachine):
    """One path, two configurations, and what must stand there."""

    def __init__(self):
        super().__init__()
        place = IN_MEMORY if IN_MEMORY.is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="life", dir=place))
        self.path = self.folder / "logits.zarr"
        # by configuration: whether its work is begun, and its shards, with whether they are whole
        self.begun = dict.fromkeys("ab", False)
        self.shards: dict[str, dict[int, bool]] = {"a": {}, "b": {}}
        # "a" or "b"; "?" is a store whose metadata can no longer be read
        self.published: str | None = None
        self.values_of: str | None = None
        self.is_damaged = False

    def teardown(self):
        publishing.sweep(self.folder)
        expected = {self.array(name).work.name for name in "ab" if self.begun[name]}
        expected |= {self.path.name} if self.published else set()
        left = {file.name for file in self.folder.iterdir()}
        shutil.rmtree(self.folder)
        assert left == expected

    def array(self, name):
        """As every job makes its own."""
        return ShardedArray(TO_COME[name], "logits", self.path, ROWS)

    def forget(self, name):
        """Its work was cleared away."""
        self.begun[name], self.shards[name] = False, {}

    def step(self, name):
        taken[name] += 1

    @rule(name=CONFIGURATIONS)
    def begin(self, name):
        self.step("begin")
        self.array(name).begin()
        self.begun[name] |= self.published != name

    @rule(name=CONFIGURATIONS, moment=MOMENTS)
    def begin_killed(self, name, moment):
        self.step("begin, killed")
        kill = Kill(moment)
        with kill():
            self.array(name).begin()
        if self.published != name:
            self.begun[name] |= bool(kill.named)

    @precondition(lambda self: any(self.begun.values()))
    @rule(name=CONFIGURATIONS, shard=NUMBERS)
    def write(self, name, shard):
        if not self.begun[name]:
            return
        self.step("write")
        self.array(name).write(shard, self.values(name, shard))
        if self.published != name:
            self.shards[name][shard] = True

    @precondition(lambda self: any(self.begun.values()))
    @rule(name=CONFIGURATIONS, shard=NUMBERS, moment=MOMENTS)
    def write_killed(self, name, shard, moment):
        if not self.begun[name]:
            return
        self.step("write, killed")
        kill = Kill(moment)
        with kill():
            self.array(name).write(shard, self.values(name, shard))
        if kill.named:
            self.shards[name][shard] = True
        elif not self.array(name)._file(shard).exists():
            assert not self.shards[name].pop(shard, False)  # a damaged one may be gone already

    def values(self, name, shard):
        first, last = self.array(name).bounds(shard)
        return VALUES[name][first:last]

    @rule(name=CONFIGURATIONS)
    def go_on(self, name):
        """A job that begins again writes what is missing, and ends the store."""
        self.step("go on")
        array = self.array(name)
        array.begin()
        self.begun[name] |= self.published != name
        for shard in array.missing():
            array.write(shard, self.values(name, shard))
            self.shards[name][shard] = True
        self.finish(name)

    @rule(name=CONFIGURATIONS)
    def finish(self, name):
        self.step("finish")
        expected, said = self.refusal(name), refused(self.array(name).finish)
        if expected is None:
            assert said is None
            if self.published is None:
                self.published, self.values_of, self.is_damaged = name, name, False
            self.forget(name)
        else:
            assert expected in str(said)
            self.after_refusal(name, expected)

    def refusal(self, name):
        """What `finish` must refuse, if anything."""
        if self.published == name:
            return None
        shards = self.shards[name]
        if missing := [shard for shard in range(SHARDS) if shard not in shards]:
            return f"shards {missing} are missing"
        if damaged := [shard for shard in range(SHARDS) if not shards[shard]]:
            return f"shard {damaged[0]} "
        return "a store with different content is already there" if self.published else None

    def after_refusal(self, name, refusal):
        if refusal.startswith("shard "):
            del self.shards[name][int(refusal.split()[1])]
        elif refusal.startswith("a store"):
            self.forget(name)

    @rule(name=CONFIGURATIONS, moment=MOMENTS)
    def finish_killed(self, name, moment):
        """What a refusal removed is removed."""
        self.step("finish, killed")
        expected, kill = self.refusal(name), Kill(moment)
        was_published = self.published
        with kill():
            if said := refused(self.array(name).finish):
                assert str(expected) in said
                self.after_refusal(name, expected)
        is_named = str(self.path) in kill.named
        if was_published is None and is_named:
            assert expected is None
            self.published, self.values_of, self.is_damaged = name, name, False
        if expected is None and (is_named or not kill.is_dead):
            self.forget(name)

    @rule(name=CONFIGURATIONS)
    def write_whole(self, name):
        """The same store, by a job that has all of it in memory."""
        self.step("write whole")
        said = refused(lambda: self.publish_whole(name))
        if said is None:
            assert self.published in (None, name)
            if self.published is None:
                self.published, self.values_of, self.is_damaged = name, name, False
        else:
            assert "a store with different content is already there" in said
            assert self.published not in (None, name) or self.is_damaged

    def publish_whole(self, name):
        write_store(WHOLE[name], self.path, {"logits": (ROWS, COLUMNS)})

    @rule(name=CONFIGURATIONS, moment=MOMENTS)
    def write_whole_killed(self, name, moment):
        self.step("write whole, killed")
        kill = Kill(moment)
        with contextlib.suppress(StoreError), kill():
            self.publish_whole(name)
        if self.published is None and str(self.path) in kill.named:
            self.published, self.values_of, self.is_damaged = name, name, False

    @precondition(lambda self: self.published)
    @rule()
    def remove(self):
        """As errors tell users to."""
        self.step("remove")
        shutil.rmtree(self.path)
        self.published = self.values_of = None

    @precondition(lambda self: self.published in ("a", "b") and not self.is_damaged)
    @rule(data=st.data())
    def damage(self, data):
        """A flipped bit anywhere in a published store, but for its root's metadata."""
        self.step("damage")
        files = sorted(file for file in self.path.rglob("*") if file.is_file())
        files.remove(self.path / "zarr.json")
        self.flip(data.draw(st.sampled_from(files)), data)
        self.is_damaged = True

    @precondition(lambda self: self.published)
    @rule()
    def damage_metadata(self):
        """The root's metadata are cut off: nobody can tell whose store it was."""
        self.step("damage the metadata")
        document = self.path / "zarr.json"
        document.write_bytes(document.read_bytes()[:-2])
        self.published, self.is_damaged = "?", True  # whose values it has is kept

    @precondition(lambda self: any(self.shards.values()))
    @rule(data=st.data())
    def damage_shard(self, data):
        """A flipped bit in a shard that is not yet published."""
        self.step("damage a shard")
        whole = [
            (name, shard)
            for name in "ab"
            for shard, is_whole in self.shards[name].items()
            if is_whole
        ]
        if whole:
            name, shard = data.draw(st.sampled_from(whole))
            self.flip(self.array(name)._file(shard), data)
            self.shards[name][shard] = False

    @staticmethod
    def flip(file, data):
        content = bytearray(file.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        file.write_bytes(content)

    @rule()
    def read(self):
        """All of it, in both ways; right numbers or one line.

        Who opened the store before may go on: each shard is compared with its checksum still.
        """
        self.step("read")
        for read in self.opened, self.by_rows:
            found: list[np.ndarray] = []
            said = refused(lambda read=read, found=found: found.append(read()))
            if said is None:
                assert self.published in ("a", "b") or read == self.by_rows
                np.testing.assert_array_equal(found[0], VALUES[str(self.values_of)])
            else:
                assert self.published is None or self.is_damaged
                assert str(self.path) in said

    def opened(self):
        return open_store(self.path)["logits"].values

    def by_rows(self):
        return LogitsFile(str(self.path)).rows(0, SHARDS * ROWS, np.float32)

    @precondition(lambda self: self.published)
    @rule()
    def verify(self):
        self.step("verify")
        assert verify_store(self.path).is_whole != self.is_damaged

    @invariant()
    def jobs_know_what_is_missing(self):
        for name in "ab":
            missing = [shard for shard in range(SHARDS) if shard not in self.shards[name]]
            expected = [] if self.published == name else missing
            assert self.array(name).missing() == expected


def live(n_steps, number, steps_of_one=50, phases=tuple(Phase)):
    """Let hypothesis try orders until so many steps were taken.

    Parameters
    ----------
    n_steps : int
        Steps in all, at least.
    number : int
        Seed.
    steps_of_one : int
        Steps of the longest order.
    phases : sequence of Phase
        Of hypothesis; without `Phase.shrink` a difference is raised as it was found.

    Returns
    -------
    dict
        How many steps of each kind.
    """
    taken.clear()
    while taken.total() < n_steps:
        run_state_machine_as_test(
            seed(number)(Life),
            settings=settings(
                max_examples=max(1, (n_steps - taken.total()) // steps_of_one),
                stateful_step_count=steps_of_one,
                phases=phases,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        number += 1
    return dict(taken)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        found = live(given.steps, given.seed)
    finally:
        print(json.dumps({"seed": given.seed, "steps": taken.total(), **taken}))
    sys.exit(0 if found else 1)
