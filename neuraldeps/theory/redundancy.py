"""err(0) and the numerical rank of a network's logits, as a store."""

from typing import Any, Literal

import xarray as xr

from neuraldeps.logits.store import Centering, LogitsFile
from neuraldeps.stores import fingerprint, open_store, provenance
from neuraldeps.stores.layouts import REDUNDANCY
from neuraldeps.theory.factor import redundancy, triangular_factor

Precision = Literal["float32", "bfloat16", "float16"]
ROUNDOFF: dict[Precision, float] = {"float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}


def measure_redundancy(
    logits: str, model: str, centering: Centering, *, precision: Precision = "float32", **how: Any
) -> xr.Dataset:
    """Measure err(0) of every category and the rank of a network's logits (Sec. 2.2).

    Parameters
    ----------
    logits : str
        Logits store.
    model : str
        Name of the network.
    centering : {"none", "per_image"}
        Centred logits of an image sum to 0: no rank is full, and every err(0) is zero.
    precision : {"float32", "bfloat16", "float16"}
        That the logits were computed in; no singular value below what its rounding can make is
        told from zero.
    **how
        Passed to `triangular_factor`.

    Returns
    -------
    xarray.Dataset
        Of the layout `REDUNDANCY`: `err0`, `err0_relative`, `bound_relative`, `is_exact_zero` and
        `second_moment` (category), `singular_value` (component), and the rank as an attribute.

    Raises
    ------
    StoreError
        As `triangular_factor`.
    """
    factor, n_samples = triangular_factor(LogitsFile(logits, centering), **how)
    found = redundancy(factor, n_samples, ROUNDOFF[precision])
    store = open_store(logits)
    coords = {name: store[name] for name in store.coords if store[name].dims == ("category",)}
    return REDUNDANCY.dataset(
        {
            "err0": found.err0,
            "err0_relative": found.err0_relative,
            "bound_relative": found.bound_relative,
            "is_exact_zero": found.is_exact_zero,
            "err0_at_least": found.err0_at_least,
            "second_moment": found.second_moment,
            "singular_value": found.singular_value,
        },
        coords=coords,
        attrs={
            "model": model,
            "centering": centering,
            "n_samples": n_samples,
            "rank": found.rank,
            "tolerance": found.tolerance,
            "precision": precision,
            **provenance(
                "measure_redundancy",
                f"err(0) and rank of {model}",
                config={"centering": centering, "model": model, "precision": precision},
                sources={"logits": fingerprint(logits)},
            ),
        },
    )
