"""Neural dependencies: logits that are a sparse linear combination of other logits."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuraldeps.best_subset import BestSubset
    from neuraldeps.covlasso import CovLasso
    from neuraldeps.notebook import Dependencies, find_dependencies

__all__ = ["BestSubset", "CovLasso", "Dependencies", "__version__", "find_dependencies"]
__version__ = "0.1.0"

WHERE = {
    "BestSubset": "neuraldeps.best_subset",
    "CovLasso": "neuraldeps.covlasso",
    "Dependencies": "neuraldeps.notebook",
    "find_dependencies": "neuraldeps.notebook",
}


def __getattr__(name: str) -> Any:
    """Load what users import from here on first use: a job that needs none of it does not pay for it."""
    if name in WHERE:
        return getattr(import_module(WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
