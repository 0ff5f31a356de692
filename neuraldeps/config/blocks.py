"""What the blocks of a configuration are declared with."""

import copy
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    Tag,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

First = TypeVar("First")
Second = TypeVar("Second")
Path = tuple[str | int, ...]


class Block(BaseModel):
    """Keys that stand together, each with its type, its default and its meaning.

    Nothing is converted: `12.0` is no integer and `"3"` no number, and what a user wrote goes to
    the rules as it was written.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class OnlyFor:
    """Marks a key that has a meaning for some kinds of data set alone."""

    kinds: tuple[str, ...]

    @property
    def words(self) -> str:
        """The kinds, as they are written in messages and documents."""
        return " and ".join(self.kinds)

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Tell it in the schema, too."""
        return {**handler(core_schema), "x-only-for": self.words}


@dataclass(frozen=True)
class Choices:
    """Says what a key may be, where its type does not tell a user."""

    words: str


class Unfilled:
    """Marks a key that stays away where it is not given: it has no default to fill in."""


class InputFile:
    """Marks the paths of files that Snakemake itself reads, or watches for changes."""


OfGlyphs = Annotated[First, OnlyFor(("glyphs",))]
OfPhotos = Annotated[First, OnlyFor(("photos",))]
NotOfGlyphs = Annotated[First, OnlyFor(("photos", "logits"))]
Given = Annotated[First | None, Unfilled()]
Input = Annotated[First, InputFile()]

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+]+(-[A-Za-z0-9_.+]+)*$")]
TwoWords = Annotated[list[str], Field(min_length=2, max_length=2)]


def _kind(value: Any) -> str:
    return "<text>" if isinstance(value, str) else "<other>"


# text or something else, told apart by what was given, so that an error is about one of them
Either = Annotated[
    Annotated[First, Tag("<text>")] | Annotated[Second, Tag("<other>")], Discriminator(_kind)
]


def leaves_of(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Path and value of everything in nested mappings and lists.

    Parameters
    ----------
    value : Any
        Mappings and lists, as YAML gives them.
    path : tuple of str and int
        Where `value` stands itself.

    Yields
    ------
    tuple
        Path and value, in the order of the document.
    """
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from leaves_of(child, (*path, key))
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from leaves_of(child, (*path, number))
    else:
        yield path, value


class Options(Block):
    """Options of another package, under its own names.

    Those that are declared are checked as any key is, and have no defaults: what is not given is
    left to the package. All others are passed on, if they are what JSON can say; the job in which
    the package refuses one names the key.
    """

    model_config = ConfigDict(extra="allow")
    # options that have keys of their own, and what those are
    elsewhere: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="after")
    def _check_others(self) -> "Options":
        others = self.__pydantic_extra__ or {}
        for name in others:
            if name in self.elsewhere:
                context = {"within": (name,), "key": self.elsewhere[name]}
                raise PydanticCustomError("elsewhere", "", context)
        for path, leaf in leaves_of(others):
            if isinstance(leaf, float) and not math.isfinite(leaf):
                raise PydanticCustomError("finite_number", "", {"within": path, "value": leaf})
            if not isinstance(leaf, str | int | float | None):
                raise PydanticCustomError("string_type", "", {"within": path, "value": leaf})
        return self

    def given(self) -> dict[str, Any]:
        """Options that were given, for the package's own function.

        Returns
        -------
        dict
            By the package's own names; None is left out where it was not given.
        """
        options = self.model_dump(exclude_unset=True)
        is_empty = {name for name in type(self).model_fields if options.get(name) is None}
        return {name: value for name, value in options.items() if name not in is_empty}


def dotted(path: Iterable[str | int]) -> str:
    """A key as it is written in messages and documents.

    Parameters
    ----------
    path : iterable of str and int
        Names of keys, and positions in lists.

    Returns
    -------
    str
        Names joined with dots, positions in brackets.

    Examples
    --------
    >>> dotted(("covlasso", "alpha", 1))
    'covlasso.alpha[1]'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".") or "the configuration"


def block_in(field: FieldInfo) -> tuple[type[Block] | None, bool]:
    """The block that a key holds, if any, and whether it holds one for each of several names.

    Parameters
    ----------
    field : FieldInfo
        Declaration of a key.

    Returns
    -------
    tuple
        The block's type, None where the key holds a plain value; and whether names stand in
        between.
    """
    for kind in (field.annotation, *get_args(field.annotation)):
        named = get_origin(kind) is dict
        inner = get_args(kind)[1] if named else kind
        if isinstance(inner, type) and issubclass(inner, Block):
            return inner, named
    return None, False


class Place(NamedTuple):
    """Where a path leads: the innermost block and key, and what it goes on with inside its value."""

    block: type[Block] | None
    field: FieldInfo | None
    within: Path


def find_place(block: type[Block], path: Path) -> Place:
    """Follow a path through a block; there is no key where it ends in a block.

    Parameters
    ----------
    block : type of Block
        Where the path begins.
    path : tuple of str and int
        Keys to follow.

    Returns
    -------
    Place
        The declaration that the path leads to.
    """
    inner: type[Block] | None = block
    field, named = None, False
    for number, part in enumerate(path):
        if named:  # a name of the user's
            named, field = False, None
        elif inner is not None and part in inner.model_fields:
            field = inner.model_fields[str(part)]
            inner, named = block_in(field)
        else:
            return Place(inner, field, path[number:])
    return Place(inner, field, ())


def fill(block: type[Block], given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, as it was given, with the defaults of what was not.

    Parameters
    ----------
    block : type of Block
        Whose keys these are.
    given : mapping
        What the user wrote.

    Returns
    -------
    dict
        Every key of the block, and those of the blocks within it.
    """
    filled = dict(given)
    for name, field in block.model_fields.items():
        inner, named = block_in(field)
        unfilled = any(isinstance(mark, Unfilled) for mark in field.metadata)
        if unfilled and filled.get(name) is None:
            filled.pop(name, None)
            continue
        value = filled.get(name, {} if field.default_factory else copy.deepcopy(field.default))
        if inner and named:
            value = {key: fill(inner, child) for key, child in value.items()}
        elif inner:
            value = fill(inner, value)
        filled[name] = value
    return filled


def given_keys(block: Block, path: Path = ()) -> Iterator[tuple[Path, FieldInfo, Any]]:
    """Path, declaration and value of every key that was given; of options also as a whole.

    Parameters
    ----------
    block : Block
        A checked block.
    path : tuple of str and int
        Where it stands itself.

    Yields
    ------
    tuple
        Path, declaration and value.
    """
    for name, field in type(block).model_fields.items():
        if name not in block.model_fields_set:
            continue
        value = getattr(block, name)
        if isinstance(value, Options):
            yield (*path, name), field, value
        if isinstance(value, Block):
            yield from given_keys(value, (*path, name))
        elif block_in(field)[1]:
            for key, child in value.items():
                yield from given_keys(child, (*path, name, key))
        else:
            yield (*path, name), field, value
