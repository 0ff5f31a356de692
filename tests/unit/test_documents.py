"""The documents keep together: links resolve, every stage has its page, hooks are the linters."""

import re
import runpy
import unicodedata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/**/*.md", ".github/**/*.md")
    for path in ROOT.glob(pattern)
)
STAGES = ("images", "networks", "logits", "moments", "dependencies")
STAGES += ("generalizability", "robustness", "tables", "figures")


def prose(path):
    """A document without its blocks of code."""
    return re.sub(r"^(```|~~~).*?^\1", "", path.read_text(), flags=re.M | re.S)


def links(path):
    """Targets of a document's links and pictures that lie in this repository."""
    found = re.findall(
        r"!?\[(?:[^\]]|\]\[)*\]\(<?([^)\s>]+)>?\)", re.sub(r"`[^`]*`", "", prose(path))
    )
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(path):
    """The anchors that GitHub gives a document's headings."""
    seen, found = {}, set()
    for heading in re.findall(r"^#+ +(.+?) *$", prose(path), flags=re.M):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        kept = [c for c in text if c in " -_" or unicodedata.category(c)[0] in "LN"]
        slug = "".join(kept).replace(" ", "-")
        count = seen[slug] = seen.get(slug, -1) + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    for link in links(document):
        place, _, anchor = link.partition("#")
        target = (document.parent / place).resolve() if place else document
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def test_links_are_found():
    assert {"docs/index.md", "LICENSE"} <= set(links(ROOT / "README.md"))
    assert "how-to-read-it" in anchors(ROOT / "README.md")
    assert "how-to-read-it" in {link.removeprefix("#") for link in links(ROOT / "README.md")}


def test_every_stage_has_its_page_and_the_map_every_page():
    linked = set(links(ROOT / "docs/index.md"))
    assert {f"{stage}.md" for stage in STAGES} <= linked
    assert {path.name for path in ROOT.glob("docs/*.md")} - {"index.md"} <= linked


def test_the_hooks_before_a_commit_are_the_linters_of_make():
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), flags=re.M)[1]
    linters = {
        re.sub(r" --check\b.*| \.$", "", line.split("/", 1)[1] if "BIN)/" in line else line).strip()
        for line in recipe.replace('PATH="$(CURDIR)/$(BIN):$$PATH" ', "").splitlines()
    }
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert {hook["name"] for hook in hooks} == linters
    assert all(hook["name"].split()[0] in hook["entry"] for hook in hooks)


def test_what_is_checked_stands_in_one_script():
    """Every job sets up Python and runs `.ci/run`, or what Make knows; none has checks of its own."""
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    commands = {
        name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()
    }
    assert commands["locked"] == [".ci/run"]
    assert commands["site"] == ["make site"]
    assert commands["lowest"] == ["pip install uv", "make lowest.txt", ".ci/run"]


def test_the_page_of_rules_is_made_from_them():
    """`python tools/document_rules.py` writes it."""
    page = runpy.run_path(str(ROOT / "tools/document_rules.py"))["page"](ROOT)
    assert (ROOT / "docs/rules.md").read_text() == page
    rules = {
        name
        for file in (ROOT / "rules").glob("*.smk")
        for name in re.findall(r"^rule (\w+):", file.read_text(), flags=re.M)
    }
    assert set(re.findall(r"^\| \[`(\w+)`\]", page, flags=re.M)) == rules


def test_every_page_is_on_the_site():
    """In mkdocs.yml's `nav`; the order is for people to choose."""
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    listed = re.findall(r"^ *- (?:.*: )?(\S+\.md)$", nav, flags=re.M)
    pages = [page for page in listed if "/" not in page]
    assert sorted(pages) == sorted(path.name for path in ROOT.glob("docs/*.md"))


def test_the_site_leads_links_to_its_own_pages():
    pytest.importorskip("mkdocs", reason="the site needs `pip install -e .[docs]`")
    hooks = runpy.run_path(str(ROOT / "tools/mkdocs_hooks.py"))
    text = (
        "[`x`](../neuraldeps/moments.py#a) ![p](images/figure1.png) [up](../README.md#two-commands)\n"
        "`[no](../a)` [there](https://a.b/c) [here](#d) [page](paper.md)\n```\n[no](../b)\n```\n"
    )
    assert hooks["relinked"](text, "docs/index.md") == (
        "[`x`](files/neuraldeps/moments.py.md#a) ![p](images/figure1.png) "
        "[up](tutorials/readme.md#two-commands)\n"
        "`[no](../a)` [there](https://a.b/c) [here](#d) [page](paper.md)\n```\n[no](../b)\n```\n"
    )
    assert hooks["relinked"]("[a](docs/images/b.png) [c](LICENSE)", "README.md") == (
        "[a](../images/b.png) [c](../files/LICENSE.md)"
    )
    shown = hooks["linked_files"]()
    assert {"README.md", "notebooks/arrays.ipynb", "CHANGELOG.md", "Snakefile"} <= set(shown)
    assert 'src="data:image/png;base64,' in shown["notebooks/arrays.ipynb"]
