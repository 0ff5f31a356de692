"""Check a configuration before any work: one line that names the key, the value and the mend."""

import difflib
import json
import re
from collections.abc import Generator, Iterable, Mapping
from itertools import product
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from neuraldeps.errors import InputError, first_line

SPLIT_DEFAULTS = {"labels": True, "n_views": 1, "dataset_download": False}
SOURCES = ("train", "pretrained", "checkpoint", "logits")
# options of models.<name>.train that photos are loaded and augmented with
OF_PHOTOS = (
    *("split", "scale", "ratio", "hflip", "vflip", "color_jitter", "aa", "train_interpolation"),
    *("reprob", "remode", "recount", "mixup", "cutmix", "cutmix_minmax"),
    *("mixup_prob", "mixup_switch_prob", "mixup_mode"),
)
STREAMS = ("wds/", "tfds/", "hfids/")


def check_config(config: Mapping[str, Any], schema_path: str, name: str) -> None:
    """Check a configuration against its schema, and its keys against each other.

    Parameters
    ----------
    config : mapping
        As read from YAML, before defaults are filled in.
    schema_path : str
        JSON Schema (2020-12) in YAML.
    name : str
        What the messages call the configuration: its file.

    Raises
    ------
    InputError
        At the first thing that is wrong.
    """
    with open(schema_path, encoding="utf-8") as file:
        schema = yaml.safe_load(file)
    errors = sorted(
        Draft202012Validator(schema).iter_errors(config),
        key=lambda error: (len(error.absolute_path), str(error.absolute_path)),
    )
    if errors:
        raise InputError(f"{name}: {_one_line(errors[0])}")
    filled = _filled(config, schema)
    fill_sizes(filled)
    for problem in _contradictions(filled, config):
        raise InputError(f"{name}: {problem}")


def fill_sizes(config: Mapping[str, Any]) -> None:
    """Set, in a configuration with its defaults, the sizes that are left to the number of categories."""
    n_categories = config["dataset"]["n_categories"]
    covlasso, chord = config["covlasso"], config["figures"]["chord"]
    if covlasso["max_support"] is None:
        covlasso["max_support"] = min(20, n_categories - 1)
    if chord["n_targets"] is None:
        chord["n_targets"] = max(1, min(10, n_categories // 5))
    if chord["n_base"] is None:
        chord["n_base"] = min(88, n_categories - chord["n_targets"])


def count_new(share: float, n_categories: int) -> int:
    """New categories of a setting: a number, or a share of all categories below 1.

    Examples
    --------
    >>> count_new(0.1, 1000), count_new(1, 1000)
    (100, 1)
    """
    return max(1, round(share * n_categories)) if share < 1 else int(share)


def _key(parts: Iterable[str | int]) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "the configuration"


def _one_line(error: ValidationError) -> str:
    """Turn a schema error into "key is value; mend"."""
    key, value = _key(error.absolute_path), error.instance
    described = error.schema.get("description", "").rstrip(".")
    about = f" ({described})" if described else ""
    match error.validator:
        case "additionalProperties":
            known = list(error.schema.get("properties", {}))
            unknown = next(name for name in value if name not in known)
            path = _key([*error.absolute_path, unknown])
            near = difflib.get_close_matches(str(unknown), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
            return f"unknown key {path}; {hint}"
        case "pattern":
            return f"{key}: the name {value!r} is not allowed; use letters, digits, '.', '_', '+' and single '-'"
        case "required":
            missing = next(name for name in error.validator_value if name not in value)
            about = error.schema.get("properties", {}).get(missing, {}).get("description", "")
            return f"missing key {_key([*error.absolute_path, missing])}; add it{about and f': {about}'}"
        case "type":
            wanted = error.validator_value
            wanted = " or ".join(wanted) if isinstance(wanted, list) else wanted
            return f"{key} is {value!r}, of type {type(value).__name__}; it must be of type {wanted}{about}"
        case "enum":
            allowed = ", ".join(map(str, error.validator_value))
            return f"{key} is {value!r}; it must be one of {allowed}"
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum" as bound:
            words = {
                "minimum": "at least",
                "exclusiveMinimum": "greater than",
                "maximum": "at most",
                "exclusiveMaximum": "less than",
            }
            return f"{key} is {value!r}; it must be {words[bound]} {error.validator_value}{about}"
        case "minItems" | "minProperties":
            return (
                f"{key} has {len(value)} entries; it needs at least {error.validator_value}{about}"
            )
        case _:
            return f"{key} is {value!r}: {first_line(error)}{about}"


def _filled(value: Any, schema: Mapping[str, Any]) -> Any:
    """A copy of a valid value with the defaults of its schema in place of what is missing."""
    if not isinstance(value, Mapping):
        return value
    known, further = schema.get("properties", {}), schema.get("additionalProperties")
    defaults = {key: child["default"] for key, child in known.items() if "default" in child}
    others = further if isinstance(further, Mapping) else {}
    return {
        key: _filled(child, known.get(key, others)) for key, child in (defaults | {**value}).items()
    }


def _contradictions(config: Mapping[str, Any], given: Mapping[str, Any]) -> Iterable[str]:
    """What no schema can say: keys, with defaults or as given, that disagree with each other."""
    if config["dataset"]["name"] == "glyphs":
        for model, spec in given["models"].items():
            for key in OF_PHOTOS:
                if key in spec.get("train", {}):
                    yield f"models.{model}.train.{key} is for photos but dataset.name is glyphs; remove it"
    if config["dataset"]["categories"] and config["dataset"]["name"] != "images":
        name = config["dataset"]["name"]
        yield f"dataset.categories is for photos but dataset.name is {name}; remove it"
    yield from _model_contradictions(config)
    yield from _split_contradictions(config["dataset"])
    yield from _pair_contradictions(config)
    yield from _robustness_contradictions(config)
    yield from _generalizability_contradictions(config)
    yield from _figure_contradictions(config)


def _model_contradictions(config: Mapping[str, Any]) -> Iterable[str]:
    """Where the weights or logits of a network come from: said once."""
    models, dataset = config["models"], config["dataset"]
    for model, spec in models.items():
        given = [source for source in SOURCES if spec.get(source)]
        if len(given) != 1:
            what = " and ".join(given) or "none"
            yield f"models.{model} has {what} of {', '.join(SOURCES)}; give exactly one"
        elif given != ["logits"] and "architecture" not in spec:
            yield f"missing key models.{model}.architecture; add the name of a timm model"
        elif given != ["logits"] and dataset["name"] == "logits":
            yield f"models.{model} is a network but dataset.name is logits; give models.{model}.logits"
        elif given == ["train"] and dataset["name"] == "images":
            yield from _training_contradictions(config, f"models.{model}.train", spec["train"])
        for part in ("labels", "paths"):
            for split in sorted(spec.get(part, {}).keys() - spec.get("logits", {}).keys()):
                yield (
                    f"models.{model}.{part}.{split} is of imported logits, but there is no "
                    f"models.{model}.logits.{split}; add it, or remove the other"
                )
        for split in config["splits"].values():
            if given == ["logits"] and split not in spec["logits"]:
                yield f"missing key models.{model}.logits.{split}; add the path of its logits"
            elif given == ["logits"] and spec["logits"][split].endswith(".npy"):
                labelled = [other for other in models if split in models[other].get("labels", {})]
                if labelled and model not in labelled:
                    yield (
                        f"missing key models.{model}.labels.{split}, which models.{labelled[0]} has; labels "
                        "are of the images: give the same to every model"
                    )


def _training_contradictions(
    config: Mapping[str, Any], key: str, train: Mapping[str, Any]
) -> Iterable[str]:
    """Where photos to train on come from, and how they are mixed."""
    splits, split = config["dataset"]["splits"], train["split"]
    if split not in splits:
        yield f"{key}.split is {split!r}; it must be {_one_of(splits, 'dataset.splits')}"
    elif split == config["splits"]["test"]:
        yield f"{key}.split is {split!r}, which judges; take another of dataset.splits"
    elif not splits[split]["labels"]:
        yield f"{key}.split is {split!r}, whose images have no labels; take another of dataset.splits"
    elif (splits[split]["dataset"] or "").startswith(STREAMS):
        yield (
            f"{key}.split is {split!r}, which can only be read through; take another of dataset.splits, "
            "or unpack it into folders"
        )
    mixes = train["mixup"] or train["cutmix"] or train["cutmix_minmax"]
    if mixes and train["batch_size"] % 2:
        yield f"{key}.batch_size is {train['batch_size']}; mixup and cutmix want it even"


def _pair_contradictions(config: Mapping[str, Any]) -> Iterable[str]:
    """Pairs of networks, and what CovLasso is solved and judged on."""
    models, dataset, table1 = config["models"], config["dataset"], config["tables"]["table1"]
    for role, split in config["splits"].items():
        if split not in dataset["splits"]:
            yield f"splits.{role} is {split!r}; it must be {_one_of(dataset['splits'], 'dataset.splits')}"
    pairs, cases = config["pairs"], table1["cases"]
    for key, given, word in ("pairs", pairs, "all"), ("tables.table1.cases", cases, "auto"):
        if isinstance(given, str) and given != word:
            yield f"{key} is {given!r}; it must be {word}, or be spelled out"
    known = product(models, models) if isinstance(pairs, str) else pairs
    known = ["--".join(pair) for pair in known]
    for pair in [] if isinstance(cases, str) else cases:
        if pair not in known:
            yield f"tables.table1.cases names {pair!r}; it must be {_one_of(known, 'pairs')}"
    for number, pair in enumerate([] if isinstance(pairs, str) else pairs):
        for model in pair:
            if model not in models:
                yield f"pairs[{number}] names {model!r}; it must be {_one_of(models, 'models')}"
    max_support, sizes = config["covlasso"]["max_support"], table1["support_size"]
    if max_support >= dataset["n_categories"]:
        yield (
            f"covlasso.max_support is {max_support}; it must be less than "
            f"dataset.n_categories, {dataset['n_categories']}"
        )
    if sizes[0] > sizes[1] or sizes[1] > max_support:
        yield (
            f"tables.table1.support_size is {sizes}; it must rise and end at most at "
            f"covlasso.max_support, {max_support}"
        )


def _robustness_contradictions(config: Mapping[str, Any]) -> Iterable[str]:
    """What Table 3 is made of."""
    given, splits = config["robustness"], config["dataset"]["splits"]
    models = yield from _trained_here(config, "robustness")
    if isinstance(given["pair"], str) and given["pair"] != "auto":
        yield f"robustness.pair is {given['pair']!r}; it must be auto, or map models to pairs"
    if models and given["ood_split"] not in splits:
        known = _one_of(splits, "dataset.splits")
        yield f"robustness.ood_split is {given['ood_split']!r}; it must be {known}"
    for model in [] if isinstance(given["pair"], str) else given["pair"]:
        if model not in models:
            yield f"robustness.pair names {model!r}; it must be {_one_of(models, 'robustness.models')}"
    wanted = given["ood_categories"]
    if isinstance(wanted, str) and wanted not in ("all", "folders"):
        yield f"robustness.ood_categories is {wanted!r}; it must be all, folders or a list"
    name = config["dataset"]["name"]
    if wanted == "folders" and name != "images":
        yield f"robustness.ood_categories is 'folders', for photos, but dataset.name is {name}; take all"
    if models and name == "glyphs" and given["ood_split"] != "ood":
        yield f"robustness.ood_split is {given['ood_split']!r}; of the glyphs it must be ood"
    max_support = config["covlasso"]["max_support"]
    if models and given["support_size"] > max_support:
        yield (
            f"robustness.support_size is {given['support_size']}; it must be at most "
            f"covlasso.max_support, {max_support}"
        )
    start = given["start_epochs"]
    for model in models:
        epochs = config["models"][model]["train"]["epochs"]
        if start is not None and start > epochs:
            yield (
                f"robustness.start_epochs is {start}; it must be at most "
                f"models.{model}.train.epochs, {epochs}"
            )


def _generalizability_contradictions(config: Mapping[str, Any]) -> Iterable[str]:
    """What Tables 2 and 4 are made of."""
    given, splits = config["generalizability"], config["dataset"]["splits"]
    n_categories = config["dataset"]["n_categories"]
    split = given["split"] or config["splits"]["fit"]
    models = yield from _trained_here(config, "generalizability")
    if models and split not in splits:
        known = _one_of(splits, "dataset.splits")
        yield f"generalizability.split is {split!r}; it must be {known}"
    if models and split == config["splits"]["test"]:
        yield f"generalizability.split is {split!r}, which judges; take another of dataset.splits"
    if models and split in splits and not splits[split]["labels"]:
        yield (
            f"generalizability.split is {split!r}, whose images have no labels; take another of "
            "dataset.splits"
        )
    balanced = given["balanced"]
    if models and balanced and config["dataset"]["name"] == "images" and split in splits:
        each = splits[split]["samples_per_category"]
        if each is None or each < balanced:
            yield (
                f"generalizability.balanced is {balanced}; dataset.splits.{split}.samples_per_category "
                "must be at least as much, and leave images to judge on"
            )
    for model in models if balanced and config["dataset"]["name"] == "images" else []:
        learned = config["models"].get(model, {}).get("train", {}).get("split", split)
        if learned != split:
            yield (
                f"generalizability.split is {split!r} and models.{model}.train.split {learned!r}; make them "
                "the same: what lies outside judges the balanced setting"
            )
    counts = {
        "generalizability.balanced": balanced,
        "generalizability.samples_per_category": given["samples_per_category"],
        f"dataset.splits.{split}.samples_per_category": splits.get(split, {}).get(
            "samples_per_category"
        ),
    }
    for key, count in counts.items() if models else ():
        if count and count < given["held_out"]:
            yield f"generalizability.held_out is {given['held_out']}; it must be at most {key}, {count}"
    for number, new in enumerate(given["new"]):
        if count_new(new, n_categories) >= n_categories - 1:
            yield (
                f"generalizability.new[{number}] is {new}; it must leave two of "
                f"dataset.n_categories, {n_categories}"
            )
    if given["default_variant"] not in given["variants"]:
        known = _one_of(given["variants"], "generalizability.variants")
        yield f"generalizability.default_variant is {given['default_variant']!r}; it must be {known}"


def _trained_here(config: Mapping[str, Any], block: str) -> Generator[str, None, list[str]]:
    """Give a block's networks back; they must be trained here."""
    trained = [model for model, spec in config["models"].items() if spec.get("train")]
    models = config[block]["models"]
    if isinstance(models, str):
        if models != "all":
            yield f"{block}.models is {models!r}; it must be all, or a list"
        return trained
    for model in models:
        if model not in trained:
            known = _one_of(trained, "the trained models")
            yield f"{block}.models names {model!r}; it must be {known}"
    return models


def _figure_contradictions(config: Mapping[str, Any]) -> Iterable[str]:
    chord, n_categories = config["figures"]["chord"], config["dataset"]["n_categories"]
    if chord["model"] is not None and chord["model"] not in config["models"]:
        known = _one_of(config["models"], "models")
        yield f"figures.chord.model is {chord['model']!r}; it must be {known}"
    shown = chord["n_base"] + chord["n_targets"]
    if shown > n_categories:
        yield (
            f"figures.chord.n_base + n_targets is {shown}; it must be at most "
            f"dataset.n_categories, {n_categories}"
        )


def _one_of(names: Iterable[str], what: str) -> str:
    return f"one of {what}: {', '.join(names)}"


def _split_contradictions(dataset: Mapping[str, Any]) -> Iterable[str]:
    """Where the images of a split come from: said once, and only of photos."""
    for split, spec in dataset["splits"].items():
        key = f"dataset.splits.{split}"
        given = {name for name, value in spec.items() if value != SPLIT_DEFAULTS.get(name)}
        if dataset["name"] != "images":
            for name in sorted(given - {"samples_per_category"}):
                yield f"{key}.{name} is for photos but dataset.name is {dataset['name']}; remove it"
        elif not given & {"csv", "data_dir", "dataset"}:
            yield f"{key} has no images; add data_dir (a folder or tar), dataset (timm's name) or csv"
        elif "csv" in given and given & {"dataset", "split", "class_map"}:
            yield f"{key} has csv and one of dataset, split, class_map; give one source"
        elif {"samples", "samples_per_category"} <= given:
            yield f"{key} has samples and samples_per_category; give one"


def key_table(schema: Mapping[str, Any]) -> str:
    """Markdown table of every key: its meaning, its allowed values and its default."""
    lines = ["| key | meaning | allowed | default |", "|---|---|---|---|"]
    for path, leaf in _leaves(schema):
        default = f"`{json.dumps(leaf['default'])}`" if "default" in leaf else ""
        meaning = leaf["description"].replace("|", r"\|")
        lines.append(f"| `{path}` | {meaning} | {_allowed(leaf)} | {default} |")
    return "\n".join(lines)


def _leaves(schema: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, Mapping[str, Any]]]:
    children = {
        f"{path}.{key}".lstrip("."): child for key, child in schema.get("properties", {}).items()
    }
    further = schema.get("additionalProperties")
    if isinstance(further, dict) and "properties" in further:
        children[f"{path}.<name>"] = further
    if not children:
        yield path, schema
    for key, child in children.items():
        yield from _leaves(child, key)


def _allowed(leaf: Mapping[str, Any]) -> str:
    if "enum" in leaf:
        return ", ".join(f"`{value}`" for value in leaf["enum"])
    kind = leaf["type"]
    words = [" or ".join(kind) if isinstance(kind, list) else kind]
    bounds = leaf.get("items", leaf)
    for keyword, sign in (
        ("minimum", "≥"),
        ("exclusiveMinimum", ">"),
        ("maximum", "≤"),
        ("exclusiveMaximum", "<"),
    ):
        if keyword in bounds:
            words.append(f"{sign} {bounds[keyword]}")
    return ", ".join(words)


def write_key_table(readme: str, schema_path: str) -> None:
    """Put the table of keys between its marks in a Markdown file."""
    with open(schema_path, encoding="utf-8") as file:
        table = key_table(yaml.safe_load(file))
    with open(readme, encoding="utf-8") as file:
        text = file.read()
    text = re.sub(
        r"(?s)(<summary>Every key</summary>\n\n).*?(\n\n</details>)",
        lambda marks: marks[1] + table + marks[2],
        text,
    )
    with open(readme, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    write_key_table("README.md", "schemas/config.schema.yaml")
