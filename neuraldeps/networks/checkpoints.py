"""Weight files: what is read from them, without running code, and what is written."""

import hashlib
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from neuraldeps.errors import InputError
from neuraldeps.networks.weight_files import read_weight_file
from neuraldeps.stores import aside
from neuraldeps.stores.weights import write_weights

logger = logging.getLogger(__name__)
Table = dict[str, Tensor]
Shapes = dict[str, tuple[torch.Size, torch.Size]]
DEPTH = 4  # mappings of mappings that are looked through
# what batch norm has seen: evaluation does not read it, and PyTorch before 0.4.1 does not save it
BATCHES = "num_batches_tracked"
PROFILED = ("total_ops", "total_params")  # what thop leaves in every module
COMPILED = "_orig_mod."  # what torch.compile puts before the names of a module
WHOLE = "the whole file"
AVERAGED = re.compile(r"(?<![a-z])(ema|swa|avg|averaged?|shadow|polyak)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class _Place:
    """Where weights may stand: the keys of the file that lead to their mapping, and their prefix."""

    keys: tuple[str, ...]
    prefix: str
    table: Table

    def __str__(self) -> str:
        parts = ["/".join(self.keys), f"{self.prefix}*" if self.prefix else ""]
        return ", ".join(part for part in parts if part) or WHOLE

    def plain(self) -> "_Place":
        """The same without what torch.compile puts into names, whichever modules were compiled."""
        return replace(self, table={n.replace(COMPILED, ""): v for n, v in self.table.items()})

    def weights(self) -> Table:
        """Tensors under the prefix, without it, and without counters of profilers and averages."""
        cut = len(self.prefix)
        return {
            name[cut:]: value
            for name, value in self.table.items()
            if name.startswith(self.prefix) and not _is_counter(name, value)
        }

    def is_averaged(self, content: Mapping[Any, Any]) -> bool:
        """Whether weights are averages over steps, by their name or by a counter beside them."""
        counter = f"{self.prefix.removesuffix('module.')}n_averaged"
        by_lightning = self.keys == ("state_dict",) and "averaging_state" in content
        named = AVERAGED.search("/".join((*self.keys, self.prefix)))
        return bool(named or counter in self.table or by_lightning)

    def left(self, content: Mapping[Any, Any]) -> list[str]:
        """What stands beside the weights and is not taken, briefly."""
        beside = [str(key) for key in content if not isinstance(content[key], Tensor)]
        beside += [
            name.rpartition(".")[2] if _is_counter(name, value) else name.partition(".")[0]
            for name, value in self.table.items()
            if _is_counter(name, value) or not name.startswith(self.prefix)
        ]
        return [key for key in dict.fromkeys(beside) if key not in self.keys]


@dataclass(frozen=True)
class _Found:
    """Weights under the network's own names, where they stand, and how they were told."""

    place: _Place
    weights: Table
    how: str = "by name"


def load_checkpoint(network: nn.Module, path: str, name: str) -> None:
    """Load weights into a network; safetensors, or anything that `torch.load` reads as weights only.

    Weights are looked for in every mapping of the file (`state_dict`, `model`, `ema`, ...) and under
    every prefix of their names (`module.`, `model.`, ...). Under other names they are taken by timm's
    own filter of the architecture, else by position: where the tensors, in their order, have the
    shapes and kinds (weight, bias, running mean, ...) of the network's own. Safetensors keeps no
    order, so that its names must be known. Of several that fit and differ the averaged ones are
    taken, as timm does. The log says in one line what was taken.

    Parameters
    ----------
    network : Module
        With weights of any values.
    path : str
        Weight file.
    name : str
        Name of the model in the configuration, for error messages.

    Raises
    ------
    InputError
        If the file cannot be read, holds other names or shapes than the network, several weights
        that fit with no way to tell which are meant, or values that are no finite numbers.
    """
    key = f"models.{name}.checkpoint: {path}"
    content, is_ordered = read_weight_file(path, name)
    places = list(_places(content))
    found = _find(places, network, key, is_ordered)
    if not found:
        raise InputError(f"{key} {_unlike(places, content, network, name)}")
    taken = _choose(found, content, network, key)
    own = network.state_dict()
    weights = {n: _as_own(value, own[n], f"{key} has {n}") for n, value in taken.weights.items()}
    network.load_state_dict(own | weights)
    _report(taken, content, own, key)


def save_checkpoint(network: nn.Module, path: str) -> None:
    """Save weights as safetensors with their checksum, whole or not at all.

    Parameters
    ----------
    network : Module
        On any device.
    path : str
        File to write.
    """
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    with aside(path) as work:
        write_weights(lambda metadata: save_file(tensors, work, metadata), work)


def weights_digest(network: nn.Module) -> str:
    """SHA-256 of a network's weights, hexadecimal: names, shapes and bytes.

    Parameters
    ----------
    network : torch.nn.Module
        Whose weights.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _places(content: Mapping[Any, Any], keys: tuple[str, ...] = ()) -> Iterator[_Place]:
    """Every mapping of a file that has tensors of its own."""
    table = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if table:
        yield _Place(keys, "", table)
    for name, value in content.items():
        if isinstance(value, Mapping) and len(keys) < DEPTH:
            yield from _places(value, (*keys, str(name)))


def _is_counter(name: str, value: Tensor) -> bool:
    """Whether a tensor counts something, and is no part of a network: of thop, of averages, of steps."""
    last = name.rpartition(".")[2]
    counts = value.ndim == 0 and not value.is_floating_point() and last != BATCHES
    return counts or last in PROFILED


def _find(places: list[_Place], network: nn.Module, key: str, is_ordered: bool) -> list[_Found]:
    """Find weights of the network's names; where there are none, by timm's filter, then by position."""
    own = network.state_dict()
    named = [list(_by_name(place, own)) or _by_name(place.plain(), own) for place in places]
    if found := [one for founds in named for one in founds]:
        return found
    large = [place.plain() for place in places if 2 * len(place.table) >= len(own)]
    peeled = [inner for place in large for inner in _peeled(place)]
    if found := [one for place in peeled for one in _by_filter(place, network, key)]:
        return found
    return [one for place in peeled for one in _by_position(place, network)] if is_ordered else []


def _by_name(place: _Place, own: Table) -> Iterator[_Found]:
    """Weights whose names are the network's own, after any prefix."""
    counts, needed = _prefixes(place.table, own), len(own) - len(_batches(own))
    whole = [prefix for prefix, count in counts.items() if count == needed]
    for prefix in whole:
        # what stands under a longer prefix is another network of the same names
        inner = tuple(
            p[len(prefix) :] for p in whole if len(p) > len(prefix) and p.startswith(prefix)
        )
        found = replace(place, prefix=prefix)
        weights = found.weights()
        if all(name in own or name.startswith(inner) for name in weights):
            yield _Found(found, {name: weights[name] for name in own if name in weights})


def _prefixes(table: Table, own: Table) -> Counter[str]:
    """Count, for every prefix, the names of the network that stand under it."""
    return Counter(
        name[:cut]
        for name in table
        for cut in (0, *(dot.end() for dot in re.finditer(r"\.", name)))
        if name[cut:] in own and not name.endswith(BATCHES)
    )


def _by_filter(place: _Place, network: nn.Module, key: str) -> Iterator[_Found]:
    """Weights under another project's names, which timm's filter of the architecture knows."""
    adapt = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if adapt is None:
        return
    try:
        weights = adapt(place.weights(), network)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        logger.debug("%s: timm's filter of other projects' names fails (%r)", key, error)
        return
    own = network.state_dict()
    if weights.keys() | _batches(own) == own.keys():
        yield _Found(place, weights, "by timm's filter of another project's names")


def _by_position(place: _Place, network: nn.Module) -> Iterator[_Found]:
    """Weights that stand in the order of the network's own, of the same kinds and shapes."""
    own, theirs = network.state_dict(), place.weights()
    names = list(own)
    if not _batches(theirs):
        names = [name for name in own if name not in _batches(own)]
    if [_kind(name) for name in names] != [_kind(name) for name in theirs]:
        return
    weights = dict(zip(names, theirs.values(), strict=True))
    misfits = _misfits(weights, own)
    if not misfits or _categories_of(misfits, network):
        example = f"{next(iter(theirs))} is {names[0]}"
        yield _Found(
            place, weights, f"by position, where shapes and kinds are the same ({example})"
        )


def _peeled(place: _Place) -> Iterator[_Place]:
    """A place under no prefix, and under every one that most of its names share."""
    prefix = ""
    while True:
        yield replace(place, prefix=prefix)
        rests = [name[len(prefix) :] for name in place.table if name.startswith(prefix)]
        heads = Counter(rest.partition(".")[0] for rest in rests if "." in rest)
        head, count = heads.most_common(1)[0] if heads else ("", 0)
        if 2 * count <= len(place.table):
            return
        prefix += f"{head}."


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _batches(table: Table) -> set[str]:
    return {name for name in table if name.endswith(BATCHES)}


def _choose(
    found: list[_Found], content: Mapping[Any, Any], network: nn.Module, key: str
) -> _Found:
    """Take the weights that fit; of several the averaged ones; of several that differ none."""
    own = network.state_dict()
    fitting = [one for one in found if not _misfits(one.weights, own)]
    if not fitting:
        raise InputError(f"{key} {_misfit(_misfits(found[0].weights, own), network)}")
    averaged = [one for one in fitting if one.place.is_averaged(content)]
    first, *others = averaged or fitting
    for other in others:
        if not all(torch.equal(first.weights[name], other.weights[name]) for name in first.weights):
            raise InputError(
                f"{key} has weights of this network under {first.place} and different ones under "
                f"{other.place}; save the ones you mean in a separate file and give that"
            )
    return first


def _misfits(weights: Table, own: Table) -> Shapes:
    """Shapes, in the file and in the network, of the tensors where they differ."""
    shapes = {name: (value.shape, own[name].shape) for name, value in weights.items()}
    return {name: (theirs, ours) for name, (theirs, ours) in shapes.items() if theirs != ours}


def _misfit(misfits: Shapes, network: nn.Module) -> str:
    if classes := _categories_of(misfits, network):
        return (
            f"is for {classes} categories, the network for {network.num_classes}; "
            "give weights for these categories, or correct dataset.n_categories"
        )
    name, (theirs, ours) = next(iter(misfits.items()))
    return (
        f"has {name} of shape {tuple(theirs)}, the network {tuple(ours)}; "
        "correct the checkpoint, model_kwargs or the number of categories"
    )


def _categories_of(misfits: Shapes, network: nn.Module) -> int | None:
    """The number of categories that weights are for, where nothing else differs."""
    ours = {own[:1] if own[1:] == theirs[1:] else None for theirs, own in misfits.values()}
    theirs = {theirs[:1] for theirs, _ in misfits.values()}
    if ours != {(network.num_classes,)} or len(theirs) > 1:
        return None
    return next(iter(*theirs), None)


def _as_own(value: Tensor, own: Tensor, what: str) -> Tensor:
    """A tensor in the network's own type, if it holds finite numbers."""
    if own.is_floating_point():
        is_plain = value.is_floating_point() and value.layout == torch.strided
        if not is_plain or value.is_meta:
            raise InputError(
                f"{what} as {value.dtype}, not as plain floating-point numbers; "
                "give weights as they were before they were quantised"
            )
        value = value.to(own.dtype)
        if wrong := int((~torch.isfinite(value)).sum()):
            raise InputError(
                f"{what} with {wrong} of {value.numel()} values not finite as {own.dtype}; "
                "give weights from before the training diverged"
            )
    return value.to(own.dtype)


def _report(taken: _Found, content: Mapping[Any, Any], own: Table, key: str) -> None:
    """Say in one line of the log what was taken, what was left, and what was changed."""
    place = taken.place
    averaged = "averaged " if place.is_averaged(content) else ""
    said = [f"{len(taken.weights)} {averaged}tensors of {place} are taken {taken.how}"]
    if left := place.left(content):
        said.append(f"not taken: {', '.join(left[:6])}{', ...' * (len(left) > 6)}")
    if missing := len(own.keys() - taken.weights.keys()):
        said.append(f"{missing} missing {BATCHES} begin at 0, which evaluation does not read")
    types = {(v.dtype, own[n].dtype) for n, v in taken.weights.items() if n not in _batches(own)}
    said += [
        f"{theirs} is cast to {ours}" for theirs, ours in sorted(types, key=str) if theirs != ours
    ]
    level = logging.WARNING if taken.how.startswith("by position") else logging.INFO
    logger.log(level, "%s %s", key, "; ".join(said))


def _unlike(places: list[_Place], content: Mapping[Any, Any], network: nn.Module, name: str) -> str:
    """Say what the weights of a file, whichever are most like the network's, lack or have too much."""
    if not places:
        keys = ", ".join(map(str, list(content)[:5])) or "nothing"
        return f"holds no tensors but {keys}; give weights, as the network's state_dict()"
    own = network.state_dict()
    counts = [(place, _prefixes(place.table, own)) for place in places]
    like = [
        (count, replace(place, prefix=prefix))
        for place, prefixes in counts
        for prefix, count in prefixes.most_common(1)
    ]
    largest = max(places, key=lambda place: len(place.table))
    count, place = max(like, key=itemgetter(0), default=(0, largest))
    weights = place.weights()
    lacking = [tensor for tensor in own if tensor not in weights and not tensor.endswith(BATCHES)]
    more = [tensor for tensor in weights if tensor not in own]
    problem, tensors = (
        ("lacks", lacking) if lacking else ("has, and the network does not have,", more)
    )
    where = "" if str(place) == WHOLE else f"({place}) "
    example = "" if count else f"; its names are like {next(iter(place.table))}"
    return (
        f"{where}{problem} {len(tensors)} tensors ({', '.join(tensors[:3])}){example}; "
        f"set models.{name}.architecture and model_kwargs to what it was trained with"
    )
