"""Every wrong configuration is one line that names the key, the value and the mend."""

import copy
from pathlib import Path

import pytest
import yaml

from neuraldeps.config import check_config, fill_sizes, key_table
from neuraldeps.errors import InputError

ROOT = Path(__file__).parents[2]
SCHEMA = str(ROOT / "schemas/config.schema.yaml")


def default():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def changed(path, value):
    config = copy.deepcopy(default())
    *parents, last = path.split(".")
    at = config
    for key in parents:
        at = at[key]
    if value is DELETE:
        del at[last]
    else:
        at[last] = value
    return config


DELETE = object()

WRONG = [
    ("datset", {}, r"unknown key datset; did you mean dataset\?"),
    ("covlasso.max_suport", 3, r"unknown key covlasso\.max_suport; did you mean max_support\?"),
    ("dataset.n_categories", DELETE, r"missing key dataset\.n_categories; add it: Number of"),
    ("dataset.n_categories", 0, r"dataset\.n_categories is 0; it must be at least 2"),
    ("dataset.n_categories", "many", r"dataset\.n_categories is 'many', of type str; .* integer"),
    ("dataset.name", "cifar", r"dataset\.name is 'cifar'; it must be one of glyphs"),
    ("models", {}, r"models has 0 entries; it needs at least 1"),
    ("models.resnet18.architecture", DELETE, r"missing key models\.resnet18\.architecture; add"),
    ("models.resnet18.checkpoint", "x.pth", r"resnet18 has train and checkpoint of .* exactly one"),
    ("models.resnet18.train", DELETE, r"models\.resnet18 has none of .* give exactly one"),
    ("covlasso.alpha", [1.0, -0.5], r"covlasso\.alpha\[1\] is -0\.5; it must be greater than 0"),
    ("covlasso.relative_alpha", [2], r"covlasso\.relative_alpha\[0\] is 2; it must be at most 1"),
    ("covlasso.max_support", 1000, r"max_support is 1000; it must be less than .*n_categories"),
    ("moments.gauge", "centred", r"moments\.gauge is 'centred'; it must be one of raw, zero_mean"),
    ("splits.test", "val", r"splits\.test is 'val'; it must be one of dataset\.splits: fit"),
    ("pairs", [["resnet18", "vit"]], r"pairs\[0\] names 'vit'; it must be one of models"),
    ("pairs", "some", r"pairs is 'some'; it must be all, or be spelled out"),
    (
        "tables.table1.cases",
        {"resnet18--vit": "PLUS SIGN"},
        r"table1\.cases names 'resnet18--vit'; it must be one of pairs: resnet18--resnet18,",
    ),
    ("tables.table1.cases", "best", r"tables\.table1\.cases is 'best'; it must be auto"),
    ("figures.chord.model", "vit", r"figures\.chord\.model is 'vit'; it must be one of models"),
    ("tables.table1.support_size", [4, 3], r"support_size is \[4, 3\]; it must rise"),
    ("dataset.splits.fit.csv", "a.csv", r"splits\.fit\.csv is for photos but .* is glyphs; remove"),
    (
        "dataset.name",
        "images",
        r"resnet18\.train\.split is 'train'; it must be one of dataset\.splits",
    ),
    ("models.resnet18.train.aa", "rand-m9", r"train\.aa is for photos but .* is glyphs; remove it"),
    ("robustness.models", "some", r"robustness\.models is 'some'; it must be all, or a list"),
    ("robustness.models", ["vit"], r"names 'vit'; it must be one of the trained models: resnet18"),
    ("robustness.pair", "best", r"robustness\.pair is 'best'; it must be auto, or map models"),
    (
        "robustness.pair",
        {"vit": ["A", "B"]},
        r"pair names 'vit'; it must be one of robustness\.mod",
    ),
    (
        "robustness.ood_categories",
        "folder",
        r"ood_categories is 'folder'; it must be all, folders or",
    ),
    ("robustness.support_size", 21, r"robustness\.support_size is 21; .*covlasso\.max_support, 20"),
    ("robustness.ood_split", "far", r"ood_split is 'far'; it must be one of dataset\.splits: fit"),
    (
        "robustness.start_epochs",
        9,
        r"start_epochs is 9; .* at most models\.resnet18\.train\.epochs, 4",
    ),
    ("dataset.categories", "imagenet-1k", r"categories is for photos but .* glyphs; remove it"),
    ("robustness.ood_categories", "folders", r"is 'folders', for photos, but .*glyphs; take all"),
    ("robustness.ood_split", "test", r"ood_split is 'test'; of the glyphs it must be ood"),
    ("generalizability.held_out", 41, r"held_out is 41; .*splits\.fit\.samples_per_category, 40"),
    ("generalizability.held_out", 501, r"held_out is 501; .*generalizability\.balanced, 500"),
    ("models.resnet18.train.devices", 0, r"devices is 0; it must be at least 1"),
    ("generalizability.models", "some", r"generalizability\.models is 'some'; it must be all, or"),
    (
        "generalizability.split",
        "train",
        r"generalizability\.split is 'train'; it must be one of data",
    ),
    ("generalizability.split", "test", r"split is 'test', which judges; take another of dataset"),
    (
        "generalizability.new",
        [0.1, 999],
        r"new\[1\] is 999; it must leave two of .*categories, 1000",
    ),
    ("generalizability.default_variant", "l3", r"is 'l3'; it must be one of generalizability\.var"),
    ("figures.chord.n_base", 999, r"n_base \+ n_targets is 1009; it must be at most"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_names_key_value_and_mend_on_one_line(path, value, message):
    with pytest.raises(InputError, match=message) as caught:
        check_config(changed(path, value), SCHEMA, "config.yaml")
    assert str(caught.value).startswith("config.yaml: ")
    assert "\n" not in str(caught.value)


def test_a_few_categories_need_no_sizes():
    logits = {"logits": {"fit": "fit.npy", "test": "test.npy"}}
    dataset = {"name": "logits", "n_categories": 10, "splits": {"fit": {}, "test": {}}}
    config = {"dataset": dataset, "models": {"mine": logits}}
    check_config(config, SCHEMA, "config.yaml")
    filled = {"dataset": dataset, "covlasso": {"max_support": None}}
    filled["figures"] = {"chord": {"n_base": None, "n_targets": None}}
    fill_sizes(filled)
    assert filled["covlasso"] == {"max_support": 9}
    assert filled["figures"] == {"chord": {"n_base": 8, "n_targets": 2}}


def test_labels_are_given_for_every_model_or_for_none():
    config = yaml.safe_load((ROOT / "tests/workflow/planted.yaml").read_text())
    check_config(config, SCHEMA, "config.yaml")
    first, second = config["models"]
    del config["models"][second]["labels"]["test"]
    message = rf"missing key models\.{second}\.labels\.test, which models\.{first} has; labels are"
    with pytest.raises(InputError, match=message):
        check_config(config, SCHEMA, "config.yaml")


@pytest.mark.parametrize("part", ["labels", "paths"])
def test_labels_and_paths_are_of_imported_logits(part):
    config = yaml.safe_load((ROOT / "tests/workflow/planted.yaml").read_text())
    model = next(iter(config["models"]))
    spec = config["models"][model]
    spec[part] = {split: f"{split}.npy" for split in spec["logits"]}
    check_config(config, SCHEMA, "config.yaml")
    spec[part]["fitt"] = "fit.npy"
    message = rf"models\.{model}\.{part}\.fitt is of imported logits, but there is no models\."
    with pytest.raises(InputError, match=message):
        check_config(config, SCHEMA, "config.yaml")


PHOTOS = [
    ({}, r"splits\.fit has no images; add data_dir"),
    ({"csv": "a.csv", "split": "train"}, r"splits\.fit has csv and one of dataset, split"),
    ({"data_dir": "a", "samples": 3, "samples_per_category": 1}, r"samples_per_category; give one"),
    ({"datadir": "a"}, r"unknown key dataset\.splits\.fit\.datadir; did you mean data_dir"),
    ({"data_dir": "a", "n_views": 0}, r"n_views is 0; it must be at least 1"),
]


@pytest.mark.parametrize(("split", "message"), PHOTOS)
def test_photos_come_from_one_source(split, message):
    config = yaml.safe_load((ROOT / "config/photos.yaml").read_text())
    config["dataset"]["splits"]["fit"] = split
    with pytest.raises(InputError, match=message):
        check_config(config, SCHEMA, "config.yaml")


LEARNED = [
    ("models.learner.train.split", "test", r"train\.split is 'test', which judges; take another"),
    ("models.learner.train.split", "ood", r"train\.split is 'ood', whose images have no labels"),
    ("dataset.splits.train", {"dataset": "wds/x"}, r"is 'train', which can only be read through"),
    ("models.learner.train.batch_size", 13, r"batch_size is 13; mixup and cutmix want it even"),
    ("generalizability.split", "ood", r"split is 'ood', whose images have no labels; take another"),
    ("generalizability.balanced", 8, r"balanced is 8; .*splits\.train\.samples_per_category must"),
    (
        "dataset.splits.train.samples_per_category",
        None,
        r"balanced is 6; .*samples_per_category must",
    ),
    (
        "models.learner.train.split",
        "fit",
        r"is 'train' and models\.learner\.train\.split 'fit'; make",
    ),
    (
        "models.learner.train.remode",
        "blur",
        r"remode is 'blur'; it must be one of const, rand, pixel",
    ),
]


@pytest.mark.parametrize(("path", "value", "message"), LEARNED)
def test_photos_that_cannot_be_trained_on_are_refused(path, value, message):
    config = yaml.safe_load((ROOT / "tests/workflow/folders.yaml").read_text())
    check_config(config, SCHEMA, "config.yaml")
    *parents, last = path.split(".")
    at = config
    for key in parents:
        at = at[key]
    at[last] = value
    with pytest.raises(InputError, match=message) as caught:
        check_config(config, SCHEMA, "config.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a--b", "a/b", "-a", "a b", ""])
def test_refuses_names_that_cannot_stand_in_a_file_name(name):
    config = default()
    config["models"][name] = config["models"]["resnet18"]
    with pytest.raises(InputError, match="is not allowed; use letters"):
        check_config(config, SCHEMA, "config.yaml")


@pytest.mark.parametrize(
    "path", [ROOT / "config.yaml", *sorted((ROOT / "config").glob("*.yaml"))], ids=lambda p: p.name
)
def test_every_configuration_here_is_right(path):
    check_config(yaml.safe_load(path.read_text()), SCHEMA, path.name)


def leaves(schema, path=()):
    yield path, schema
    for key, value in schema.get("properties", {}).items():
        yield from leaves(value, (*path, key))
    for key in ("additionalProperties", "items"):
        if isinstance(schema.get(key), dict):
            yield from leaves(schema[key], (*path, "*"))


def test_schema_says_what_every_key_means_and_refuses_unknown_ones():
    for path, schema in leaves(yaml.safe_load(Path(SCHEMA).read_text())):
        if path and path[-1] != "*":
            assert schema.get("description"), path
        if schema.get("type") == "object" and path[-1:] != ("model_kwargs",):
            assert "additionalProperties" in schema, path


def test_the_readme_has_the_table_of_keys():
    readme = (ROOT / "README.md").read_text()
    assert key_table(yaml.safe_load(Path(SCHEMA).read_text())) in readme
