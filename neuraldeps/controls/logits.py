"""Logits of control networks, made from those of a network of the run."""

from typing import Any

import numpy as np
import scipy.linalg
import zarr

from neuraldeps.controls.planting import plan
from neuraldeps.logits.store import lay_out_logits
from neuraldeps.logs import progress
from neuraldeps.seeds import seed_of
from neuraldeps.stores import fingerprint, map_array, open_array, open_store

KEPT = 2.0**-46  # of the largest eigenvalue: what float32 logits can tell from zero
BLOCK = 1024  # images that are drawn from one stream, whatever the shards


def make_control_logits(
    logits: str,
    moments: str,
    path: str,
    *,
    kind: str,
    seed: int,
    split: str,
    rows: int | None,
) -> None:
    """Write the logits of a control network, shard by shard.

    Parameters
    ----------
    logits : str
        Logits store of the network over a split.
    moments : str
        Its second moment on the split that dependencies are fitted on.
    path : str
        Declared path of the store to write.
    kind : {"gaussian", "shuffled", "planted"}
        As in `neuraldeps.controls.kinds.CONTROLS`. Shuffled logits are held in memory whole, as
        float32.
    seed : int
        Of what is drawn; every split has its own draws, but the same directions and plan.
    split : str
        Name of the split.
    rows : int, optional
        Rows per shard.
    """
    source, array = open_store(logits), open_array(logits, "logits")
    coords, carried = source.drop_vars("logits"), ["masked_categories"]
    if kind == "gaussian":  # what no image gave has no label
        nothing = np.full(source.sizes["sample"], -1, np.int32)
        coords = coords.drop_dims("sample").assign_coords(label=("sample", nothing))
        carried = []
    store = lay_out_logits(
        path,
        coords,
        made_by="make_control_logits",
        config={"kind": kind, "seed": seed, "split": split},
        sources={"logits": fingerprint(logits), "moments": fingerprint(moments)},
        rows=rows,
        attrs={name: source.attrs[name] for name in carried if name in source.attrs},
    )
    make = {"gaussian": _gaussian, "shuffled": _shuffled, "planted": _planted}[kind]
    values_of = make(array, np.asarray(map_array(moments, "second_moment")), seed, split)
    store.begin()
    for shard in progress(store.missing(), kind, None, "shard"):
        first, last = store.bounds(shard)
        store.write(shard, values_of(first, last).astype(np.float32))
    store.finish()


def _gaussian(array: zarr.Array, moment: np.ndarray, seed: int, split: str) -> Any:
    """Rows z diag(l)^(1/2) Q^T: M's eigenvalues l in random directions Q."""
    value = scipy.linalg.eigvalsh(moment)[::-1]
    root = np.sqrt(value[value > KEPT * value[0]])
    draw = np.random.default_rng(seed_of(seed, "gaussian", "directions")).standard_normal
    directions, _ = np.linalg.qr(draw((len(moment), len(root))))

    def values(first: int, last: int) -> np.ndarray:
        blocks = range(first // BLOCK, -(-last // BLOCK))
        streams = [np.random.default_rng(seed_of(seed, "gaussian", split, one)) for one in blocks]
        drawn = np.concatenate([one.standard_normal((BLOCK, len(root))) for one in streams])
        start = first - blocks.start * BLOCK
        return (drawn[start : start + last - first] * root) @ directions.T

    return values


def _shuffled(array: zarr.Array, moment: np.ndarray, seed: int, split: str) -> Any:
    order = np.random.default_rng(seed_of(seed, "shuffled", split)).permutation(array.shape[0])
    whole = np.asarray(array[:])
    return lambda first, last: whole[order[first:last]]


def _planted(array: zarr.Array, moment: np.ndarray, seed: int, split: str) -> Any:
    transform = plan(moment, seed_of(seed, "planted")).transform
    return lambda first, last: np.asarray(array[first:last], float) @ transform
