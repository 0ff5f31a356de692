"""Tables as people's programs write them: of images and their labels, and of categories."""

import codecs
import logging

import pytest

from neuraldeps.images.classes import load_categories
from neuraldeps.images.index import index_images
from tests.cases.test_images import NAMES, N, folders, refused_in_one_line

QUOTED = '"path","label"\n' + "".join(f'"photos/{name}/0.jpg", "{name}"\n' for name in NAMES)


def rows(separator=",", end="\n", header=("path", "label"), extra=()):
    lines = [header, *((f"photos/{name}/0.jpg", name, *extra) for name in NAMES)]
    return end.join(separator.join(line) for line in lines) + end


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    folders(folder / "photos", each=1)
    categories = "".join(f"{name},thing {name}\n" for name in NAMES)
    (folder / "plain.csv").write_text("code,name\n" + categories)
    return folder


@pytest.fixture
def photos(made, monkeypatch):
    monkeypatch.chdir(made)
    return made


def write(name, content):
    with open(name, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())


def index(content, categories="plain.csv", n=N, **spec):
    write("table.csv", content)
    how = {"csv": "table.csv", **spec}
    return index_images("fit", how, categories=categories, n_categories=n, seed=0)


def labels(content, **options):
    return index(content, **options)["label"].values.tolist()


@pytest.mark.parametrize(
    "content",
    [
        rows(),
        rows(";"),
        rows("\t"),
        rows(", "),
        rows(" ; "),
        rows(end="\r"),
        rows(end="\r\n"),
        "sep=;\n" + rows(";"),
        codecs.BOM_UTF8 + rows().encode(),
        rows("\t").encode("utf-16"),
        codecs.BOM_UTF16_BE + rows().encode("utf-16-be"),
        rows(header=(" Path ", "LABEL")),
        rows(header=("path", "label", "split"), extra=("train",)),
        rows(header=("path", "label", "", ""), extra=("", "")),
        rows() + "\n,\n \n",
        QUOTED,
        rows().replace("ant\n", "0\n").replace("dog\n", "thing dog\n"),
    ],
)
def test_a_table_may_be_written_in_many_ways(photos, content):
    assert labels(content) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r" has no header; give the columns path and label"),
        ("path,label\n", r" has no rows"),
        (rows(header=("path", "class")), r"path, class and no column label; rename one to label"),
        (rows(header=("file", "label")), r" has file, label; give the columns path"),
        ("\n".join(rows().splitlines()[1:]), r"has photos/ant/0\.jpg, ant; give the columns"),
        ("label,path\nant,photos/ant/0.jpg\nbee\n", r"line 3: the number of its fields is 1, not"),
        (rows() + "a,b.jpg,ant\n", r"line 6: the number of its fields is 3, .* quote a field"),
        (rows(header=("path", "label", "label"), extra=("x",)), r"two columns label; rename"),
        (rows() + ",ant\n", r"line 6: '' does not exist"),
        (rows() + 'photos/ant/0.jpg,"ant\n', r"line \d: is not a table row"),
        (rows().replace("bee\n", "b\xe9e\n").encode("latin-1"), r"line 3: is not in UTF-8; save"),
        (rows().encode("utf-16-le"), r"is not text; save the table as CSV in UTF-8"),
        (rows().replace("bee\n", "wasp\n"), r"line 3: 'wasp' is not a category; give its number"),
        (rows().replace("bee\n", "4\n"), r"line 3: '4' is not a category"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_in_one_line(photos, content, message):
    refused_in_one_line(r"^dataset\.splits\.fit\.csv: table\.csv.*" + message, index, content)


def test_another_column_is_no_label_where_none_is_wanted(photos):
    assert labels(rows(header=("path", "class")), labels=False) == [-1] * 4
    assert labels("path\n" + "".join(f"photos/{name}/0.jpg\n" for name in NAMES)) == [-1] * 4


def test_columns_that_are_not_used_are_said(photos, caplog):
    with caplog.at_level(logging.INFO):
        labels(rows(header=("path", "label", "fold"), extra=("1",)))
    assert "columns that are ignored: fold" in caplog.text


def test_an_image_in_two_rows_is_said(photos, caplog):
    with caplog.at_level(logging.WARNING):
        assert labels(rows() + "photos/ant/0.jpg,ant\n") == [0, 1, 2, 3, 0]
    assert "several rows, counted once for each: 1 (photos/ant/0.jpg)" in caplog.text


def test_numbers_that_are_names_are_no_places(photos):
    write("numbers.csv", "code,name\n1,one\n2,two\n3,three\n10,ten\n")
    four = "path,label\n" + "".join(
        f"photos/{name}/0.jpg,{number}\n" for name, number in zip(NAMES, (10, 1, 3, 2), strict=True)
    )
    assert labels(four, categories="numbers.csv") == [3, 0, 2, 1]
    # 0 would be the place of the category that is called 1
    zero = four.replace(",1\n", ",0\n")
    refused_in_one_line("line 3: '0' is not a category", index, zero, categories="numbers.csv")
    assert labels(four.replace(",10\n", ",0\n"), categories=None) == [0, 1, 3, 2]


def test_a_label_that_means_two_categories_is_refused(photos):
    refused_in_one_line(
        r"line 2: 'crane' means several categories; give a code, n02012849 and n03126707",
        *(index, "path,label\nphotos/ant/0.jpg,crane\n"),
        **{"categories": "imagenet-1k", "n": 1000},
    )
    synonyms = "path,label\nphotos/ant/0.jpg,tench\nphotos/bee/0.jpg,hamster\n"
    assert labels(synonyms, categories="imagenet-1k", n=1000) == [0, 333]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("separator", [",", ";", "\t", ", "])
def test_categories_may_be_written_in_many_ways(photos, mark, separator):
    lines = [("code", "name"), *((name, f"thing {name}") for name in NAMES)]
    write("own.csv", mark + "\n".join(map(separator.join, lines)))
    found = load_categories("own.csv", len(NAMES))
    assert found.codes == NAMES
    assert found.names == [f"thing {name}" for name in NAMES]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no header; give the columns code and name"),
        ("code,label\na,A\n", "has code, label; give the columns code and name"),
        ("code,name\na,A\nb\n", "line 3: the number of its fields is 1"),
        ("code,name\na,A\nb,\n", "line 3: lacks its code or name"),
        ("code,name\na,A\na,B\n", "has 'a' twice"),
    ],
)
def test_categories_that_cannot_be_read_are_refused_in_one_line(photos, content, message):
    write("own.csv", content)
    message = r"^dataset\.categories: own\.csv.*" + message
    refused_in_one_line(message, load_categories, "own.csv", 2)
