"""The explorer: every dependency of a run, to be looked at in a browser, without a network."""

from neuraldeps.explorer.explorer import make_explorer

__all__ = ["make_explorer"]
