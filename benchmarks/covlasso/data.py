"""Realistic logits for the benchmarks: a softmax head trained on structured features.

Classes form a tree (10 groups of 10 groups of 10 leaves), features are rectified random projections
of the class embeddings with a decaying spectrum, and the head is fitted by SGD with label smoothing.
The logits' second moment then has what matters to a solver: rank `n_features + 1`, strong
correlation between sibling classes, and no exact ties.
"""

from pathlib import Path

import numpy as np

LOGIT_SCALE = 2.5  # standard deviation of a logit, about that of an ImageNet network


def _class_embeddings(generator, n_classes, n_latent, spectrum):
    index = np.arange(n_classes)
    embeddings = np.zeros((n_classes, n_latent))
    for group_size, scale in ((100, 1.0), (10, 0.8), (1, 0.6)):
        group = index // group_size
        embeddings += scale * generator.standard_normal((group.max() + 1, n_latent))[group]
    return embeddings * spectrum


def _features(generator, labels, embeddings, spectrum, projection):
    noise = generator.standard_normal((labels.size, embeddings.shape[1]))
    latent = embeddings[labels] + 0.9 * noise * spectrum
    features = latent @ projection
    features += 0.15 * generator.standard_normal(features.shape)
    np.maximum(features - 0.3, 0.0, out=features)
    features *= (1 + np.arange(features.shape[1])) ** -0.25
    return features.astype(np.float32)


def _train_head(generator, features, labels, n_classes, n_epochs, batch=512, peak_rate=2.0):
    weights = np.zeros((features.shape[1] + 1, n_classes), np.float32)
    velocity = np.zeros_like(weights)
    n_steps = n_epochs * (labels.size // batch)
    smoothing = 0.1
    for step in range(n_steps):
        if step % (labels.size // batch) == 0:
            order = generator.permutation(labels.size)
        start = step % (labels.size // batch) * batch
        rows = order[start : start + batch]
        inputs = np.hstack([features[rows], np.ones((batch, 1), np.float32)])
        logits = inputs @ weights
        logits -= logits.max(axis=1, keepdims=True)
        error = np.exp(logits)
        error /= error.sum(axis=1, keepdims=True)
        error -= smoothing / n_classes
        error[np.arange(batch), labels[rows]] -= 1 - smoothing
        rate = 0.5 * peak_rate * (1 + np.cos(np.pi * step / n_steps))
        velocity = 0.9 * velocity + inputs.T @ error / batch + 2e-5 * weights
        weights -= rate * velocity
    return weights.astype(np.float64)


def trained_logits(n_features, *, n_classes=1000, n_images=50_000, n_epochs=10, seed=0):
    """Logits (n_images, n_classes), float64, of images that the head was not fitted on."""
    generator = np.random.default_rng(seed)
    n_latent = 256
    spectrum = (1 + np.arange(n_latent)) ** -0.35
    embeddings = _class_embeddings(generator, n_classes, n_latent, spectrum)
    projection = generator.standard_normal((n_latent, n_features)) * 2.0 / np.sqrt(n_latent)
    labels = generator.integers(0, n_classes, n_images)
    features = _features(generator, labels, embeddings, spectrum, projection)
    weights = _train_head(generator, features, labels, n_classes, n_epochs)
    labels = generator.integers(0, n_classes, n_images)
    features = _features(generator, labels, embeddings, spectrum, projection)
    logits = features.astype(np.float64) @ weights[:-1] + weights[-1]
    return logits * (LOGIT_SCALE / logits.std())


def low_rank_gram(n):
    """A random second moment of rank 512, its spectrum decaying."""
    generator = np.random.default_rng(n)
    factor = generator.standard_normal((512, n), dtype=np.float64) / np.sqrt(512)
    factor *= (1 + np.arange(512))[:, None] ** -0.5
    return factor.T @ factor


def compressed_logits(logits):
    """A square root `F` of the second moment (rank, n): `F.T @ F = logits.T @ logits / N`.

    The peers that want a design matrix get this one, the smallest there is.
    """
    triangle = np.linalg.qr(logits, mode="r") / np.sqrt(len(logits))
    _, singular, right = np.linalg.svd(triangle)
    rank = int((singular > 1e-12 * singular[0]).sum())
    return np.asfortranarray(singular[:rank, None] * right[:rank])


def load_or_make(name, folder):
    """Compressed logits of a .npy file, or of a named data set, made once and kept in `folder`."""
    if name.endswith(".npy"):
        return compressed_logits(np.load(name).astype(np.float64))
    path = Path(folder) / f"{name}.npy"
    if not path.exists():
        n_features, n_epochs, seed = {"rank513": (512, 10, 0), "rank1000": (2048, 5, 1)}[name]
        logits = trained_logits(n_features, n_epochs=n_epochs, seed=seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, compressed_logits(logits))
    return np.asfortranarray(np.load(path))
