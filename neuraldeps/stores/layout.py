"""What a store holds, declared: writers make their datasets from it, and its page is made from it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from neuraldeps.errors import StoreError

# what `provenance` writes into every store
PROVENANCE = {
    "title": "what the store is, in a line",
    "made_by": "the rule that made it",
    "versions": "of the packages that could matter",
    "config": "what of the configuration it was made by",
    "sources": "fingerprints of the stores that it was made from",
    "fingerprint": "of all of this; whoever reads the store names it by that",
}
SEED = {"seed": "of what was drawn; only where something was"}


@dataclass(frozen=True)
class Array:
    """One array of a store.

    Attributes
    ----------
    dims : tuple of str
        Names of its dimensions.
    dtype : str
        NumPy's name of its type, or ``str`` for text of any length.
    meaning : str
        What it says.
    units : str
        ``logit``, ``logit2`` for squared logits, ``nat``, ``1`` for ratios; empty where there is none.
    is_optional : bool
        Whether some stores of this layout do without it.
    """

    dims: tuple[str, ...]
    dtype: str
    meaning: str
    units: str = ""
    is_optional: bool = False

    def variable(self, values: Any) -> tuple[tuple[str, ...], Any, dict[str, str]]:
        """Values with their dimensions and attributes, as xarray takes them.

        Parameters
        ----------
        values : array
            Bare, or labelled by another store.

        Returns
        -------
        tuple
            Dimensions, values and attributes.
        """
        attributes = {"long_name": self.meaning} | ({"units": self.units} if self.units else {})
        is_labelled = isinstance(values, xr.DataArray | xr.Variable)
        return self.dims, values.values if is_labelled else values, attributes

    def fits(self, variable: xr.Variable) -> bool:
        """Whether a variable has these dimensions and this type.

        Parameters
        ----------
        variable : xarray.Variable
            Of a store.

        Returns
        -------
        bool
            Text of any kind fits ``str``.
        """
        is_text = variable.dtype.kind in "TUO"
        same = is_text if self.dtype == "str" else variable.dtype == np.dtype(self.dtype)
        return same and variable.dims == self.dims


@dataclass(frozen=True)
class Layout:
    """Everything that stores of one kind hold.

    Attributes
    ----------
    path : str
        Where they lie, with wildcards in braces.
    holds : str
        What they are, in a line.
    made_by : tuple of str
        Rules that make them.
    variables, coords : mapping of str to Array
        By name.
    attrs : mapping of str to str
        Meaning of the attributes beside those of every store (`PROVENANCE`).
    """

    path: str
    holds: str
    made_by: tuple[str, ...]
    variables: Mapping[str, Array]
    coords: Mapping[str, Array]
    attrs: Mapping[str, str] = field(default_factory=dict)

    def dataset(
        self,
        variables: Mapping[str, Any],
        coords: Mapping[Any, Any],
        attrs: Mapping[str, Any],
    ) -> xr.Dataset:
        """Make a dataset of this layout from bare arrays.

        Parameters
        ----------
        variables, coords : mapping of str to array
            Values by name; dimensions, units and meaning come from the declaration. What is
            given of another dataset is taken without its attributes.
        attrs : mapping
            Attributes, those of `neuraldeps.stores.provenance` among them.

        Returns
        -------
        xarray.Dataset
            To be written.

        Raises
        ------
        StoreError
            If a name is not declared, a declared one is missing, or a type is another one.
        """
        for name in [*variables, *coords]:
            if name not in self.variables and name not in self.coords:
                raise StoreError(
                    f"{self.path}: has no {name}; declare it in neuraldeps/stores/layouts.py"
                )
        made = xr.Dataset(
            {name: self.variables[name].variable(values) for name, values in variables.items()},
            {name: self.coords[str(name)].variable(values) for name, values in coords.items()},
            dict(attrs),
        )
        if differences := self.differences(made):
            raise StoreError(f"{self.path}: {differences[0]}; correct neuraldeps/stores/layouts.py")
        return made

    def differences(self, dataset: xr.Dataset) -> list[str]:
        """How a dataset differs from this layout, a line each; none if it does not.

        Parameters
        ----------
        dataset : xarray.Dataset
            A store.

        Returns
        -------
        list of str
            A sentence each.

        Examples
        --------
        >>> layout = Layout("a.zarr", "", (), {"x": Array(("i",), "float64", "a number")}, {})
        >>> layout.differences(xr.Dataset({"x": ("i", np.zeros(2, np.float32)), "y": 1}))
        ["x is ('i',) float32, not ('i',) float64", 'y is not declared']
        """
        found = []
        for kind, declared, there in (
            ("variable", self.variables, dataset.data_vars),
            ("coordinate", self.coords, dataset.coords),
        ):
            for name, array in declared.items():
                if name in there:
                    variable = there[name].variable
                    if not array.fits(variable):
                        found.append(
                            f"{name} is {variable.dims} {variable.dtype}, not {array.dims} {array.dtype}"
                        )
                elif not array.is_optional:
                    found.append(f"{kind} {name} is missing")
            found += [f"{name} is not declared" for name in there if name not in declared]
        known = {*PROVENANCE, *SEED, *self.attrs}
        found += [
            f"attribute {name} is not declared" for name in dataset.attrs if name not in known
        ]
        return found

    def matches(self, path: str) -> bool:
        """Whether a path, relative to the folder of a run, is one of a store of this layout.

        Parameters
        ----------
        path : str
            Relative to the run's folder.

        Returns
        -------
        bool
            Whether the wildcards can be filled in so.

        Examples
        --------
        >>> Layout("results/logits/{model}/{split}.zarr", "", (), {}, {}).matches(
        ...     "results/logits/resnet18/fit.zarr"
        ... )
        True
        """
        parts = re.split(r"\{\w+\}", self.path)
        return re.fullmatch("[^/]+".join(map(re.escape, parts)), path) is not None


def tables(layouts: Mapping[str, Layout]) -> str:
    """Markdown: a section for every layout, with a table of its arrays.

    Parameters
    ----------
    layouts : mapping of str to Layout
        By name, in the order shown.

    Returns
    -------
    str
        What docs/stores.md has between its marks.
    """
    sections = []
    for layout in layouts.values():
        rules = ", ".join(f"`{rule}`" for rule in layout.made_by)
        lines = [f"### `{layout.path}`", "", f"{layout.holds} Made by {rules}.", ""]
        lines += ["| array | dimensions | type | unit | meaning |", "|---|---|---|---|---|"]
        for arrays, mark in ((layout.variables, ""), (layout.coords, " (coordinate)")):
            lines += [
                f"| `{name}`{mark} | {', '.join(array.dims)} | {array.dtype} | {array.units} | "
                f"{array.meaning}{' *Not in every store.*' if array.is_optional else ''} |"
                for name, array in arrays.items()
            ]
        if layout.attrs:
            lines += ["", "Attributes:", ""]
            lines += [f"- `{name}`: {meaning}" for name, meaning in layout.attrs.items()]
        sections.append("\n".join(lines))
    return "\n\n".join(sections)


BEGIN, END = "<!-- made by python -m neuraldeps.stores -->", "<!-- end -->"


def in_place(text: str, layouts: Mapping[str, Layout]) -> str:
    """Put the tables between their marks in a page.

    Parameters
    ----------
    text : str
        A page with the marks.
    layouts : mapping of str to Layout
        By name, in the order shown.

    Returns
    -------
    str
        The page with what lies between them made anew.
    """
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables(layouts)}\n\n{END}{after}"
