"""Best subsets: for every category and size the few others that miss its logit least."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuraldeps.covlasso import kernels

# before anything compiled is loaded: what is here calls what is there
if os.access(Path(__file__).parent, os.W_OK):
    kernels.forget_stale_code(Path(__file__).parent, kernels.FOLDER)

from neuraldeps.best_subset.subsets import (
    DEPENDENT,
    EXCHANGE_OPTIMAL,
    PROVEN,
    STATUS,
    BestSubsets,
    best_subsets,
)

if TYPE_CHECKING:
    from neuraldeps.best_subset.estimator import BestSubset

__all__ = [
    "DEPENDENT",
    "EXCHANGE_OPTIMAL",
    "PROVEN",
    "STATUS",
    "BestSubset",
    "BestSubsets",
    "best_subsets",
]


def __getattr__(name: str) -> Any:
    """Load the estimator, and scikit-learn with it, on first use."""
    if name == "BestSubset":
        from neuraldeps.best_subset.estimator import BestSubset

        return BestSubset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
