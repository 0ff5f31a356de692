"""Synthetic logits of any number of images and categories, made a shard at a time.

Categories form a tree (groups of 100, of 10, leaves); an image's features are its category's
embedding and noise with the same decaying spectrum; a network's head is the embeddings and something
of its own. The logits are low-rank but for a little noise, siblings are strongly correlated, and two
networks see the same images.
"""

import numpy as np
import xarray as xr

from neuraldeps.stores import ShardedArray, provenance, rows_per_shard, strings, to_be_written

LOGIT_SCALE = 2.5  # standard deviation of a logit, about that of an ImageNet network
OWN = 0.5  # of a head, what it does not share with the other network's
NOISE = 0.05  # of a logit's standard deviation, what the features do not explain


class Network:
    """One of two networks over the same images.

    Parameters
    ----------
    name : str
        The two differ by their names.
    n_categories : int
    rank : int
        Features, and so the rank of the logits but for noise.
    """

    def __init__(self, name: str, n_categories: int, rank: int) -> None:
        rng = np.random.default_rng(0)
        self.spectrum = ((1 + np.arange(rank)) ** -0.35).astype(np.float32)
        index = np.arange(n_categories)
        self.embeddings = np.zeros((n_categories, rank), np.float32)
        for group_size, scale in ((100, 1.0), (10, 0.8), (1, 0.6)):
            group = index // group_size
            shape = (group.max() + 1, rank)
            self.embeddings += scale * rng.standard_normal(shape, np.float32)[group]
        self.embeddings *= self.spectrum
        own = np.random.default_rng(list(name.encode())).standard_normal(
            self.embeddings.shape, np.float32
        )
        self.head = np.ascontiguousarray((self.embeddings + OWN * own * self.spectrum).T)
        self.name, self.scale = name, 1.0
        self.scale = float(LOGIT_SCALE / self.logits(10**9, 256)[0].std())

    def logits(self, first: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Logits (rows, categories), float32, and labels of the images from `first` on."""
        rng = np.random.default_rng([1, first])
        labels = rng.integers(0, len(self.embeddings), rows)
        features = rng.standard_normal((rows, len(self.spectrum)), np.float32)
        features = 0.9 * features * self.spectrum + self.embeddings[labels]
        logits = features @ self.head
        own = np.random.default_rng([*self.name.encode(), first])
        noise = own.standard_normal(logits.shape, np.float32)
        return (logits + NOISE * logits.std() * noise) * np.float32(self.scale), labels


def write_logits(path: str, name: str, n_images: int, n_categories: int, rank: int) -> None:
    """Write one network's logits as a store like that of `extract_logits`, through `ShardedArray`."""
    network = Network(name, n_categories, rank)
    rows = rows_per_shard(4 * n_categories)
    firsts = range(0, n_images, rows)
    index = range(n_categories)
    labels = np.empty(n_images, np.int32)
    for first in firsts:
        part = np.random.default_rng([1, first]).integers(
            0, n_categories, min(rows, n_images - first)
        )
        labels[first : first + rows] = part
    template = xr.Dataset(
        {"logits": (("sample", "category"), to_be_written((n_images, n_categories), np.float32))},
        coords={
            "label": ("sample", labels),
            "path": ("sample", strings([f"synthetic/{i:08d}" for i in range(n_images)])),
            "category": np.arange(n_categories, dtype=np.int32),
            "category_name": ("category", strings([f"category {i}" for i in index])),
            "category_code": ("category", strings([f"c{i:05d}" for i in index])),
        },
        attrs=provenance("benchmark", "Synthetic logits", config={"network": name, "rank": rank}),
    )
    store = ShardedArray(template, "logits", path, rows)
    store.begin()
    for shard in store.missing():
        first, last = store.bounds(shard)
        store.write(shard, network.logits(first, last - first)[0])
    store.finish()
