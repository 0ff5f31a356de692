"""Neural dependencies: logits that are a sparse linear combination of other logits."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuraldeps.best_subset import BestSubset
    from neuraldeps.covlasso import CovLasso

__all__ = ["BestSubset", "CovLasso", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load an estimator on first use: a job that needs none of it does not pay for it."""
    if name == "BestSubset":
        from neuraldeps.best_subset import BestSubset

        return BestSubset
    if name == "CovLasso":
        from neuraldeps.covlasso import CovLasso

        return CovLasso
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
