"""What the documentation site has beside the pages in docs/: the files they link to, notebooks, the library.

Pages link to files of the repository relatively, as GitHub shows them. Here every such link leads to a
page of the site: Markdown as it is, anything else as code. mkdocs.yml names this file.
"""

import os
import re
from pathlib import Path, PurePosixPath

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import neuraldeps

ROOT = Path(__file__).parents[1]
TUTORIALS = ("README.md", "notebooks/arrays.ipynb", "notebooks/run.ipynb")
LANGUAGES = {".py": "python", ".smk": "python", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}
TEXT = r"!?\[(?:[^\]]|\]\[)*\]"
# code, where nothing is a link, or a link
PIECE = re.compile(
    rf"^(?P<fence>```|~~~).*?^(?P=fence)|(?P<before>{TEXT}\()(?P<link>[^)\s>]+)(?P<after>\))|`[^`\n]*`",
    flags=re.M | re.S,
)
LONGEST = 200_000  # bytes of a file that is shown


def page_of(path: str) -> str:
    """Where a file of the repository lies on the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path in TUTORIALS:
        return f"tutorials/{PurePosixPath(path).stem.lower()}.md"
    return f"files/{path.lstrip('.')}" + ("" if path.endswith(".md") else ".md")


def target_of(link: str, path: str) -> tuple[str, str] | None:
    """The file of the repository that a link in one of its files leads to, and the anchor; or None."""
    place, _, anchor = link.partition("#")
    if re.match(r"[a-z]+:", link) or not place:
        return None
    target = os.path.normpath(PurePosixPath(path).parent / place)
    return target, f"#{anchor}" if anchor else ""


def links(text: str) -> list[str]:
    """What a page links to."""
    return [piece["link"] for piece in PIECE.finditer(text) if piece["link"]]


def relinked(text: str, path: str) -> str:
    """A page of the repository with links that lead where their targets lie on the site."""
    here = PurePosixPath(page_of(path)).parent

    def moved(piece: re.Match) -> str:
        found = target_of(piece["link"], path) if piece["link"] else None
        if found is None:
            return piece[0]
        target, anchor = found
        return f"{piece['before']}{os.path.relpath(page_of(target), here)}{anchor}{piece['after']}"

    return PIECE.sub(moved, text)


def as_markdown(path: str) -> str:
    """A file of the repository as a page."""
    file = ROOT / path
    if path.endswith(".md"):
        return file.read_text(encoding="utf-8")
    if path.endswith(".ipynb"):
        return notebook_as_markdown(file)
    language = LANGUAGES.get(file.suffix, "text")
    return f"# {path}\n\n~~~~{language}\n{file.read_text(encoding='utf-8').rstrip()}\n~~~~\n"


def notebook_as_markdown(file: Path) -> str:
    """A notebook's cells and what they put out."""
    parts = []
    for cell in nbformat.read(file, as_version=4).cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                parts.append(
                    f'<img alt="figure" src="data:image/png;base64,{data["image/png"].strip()}">'
                )
            elif "text/html" in data:
                table = data["text/html"].replace('<table border="1" class="dataframe">', "<table>")
                parts.append(re.sub(r"\n\s*", " ", table))
            else:
                parts.append(
                    f"```text\n{output.get('text', data.get('text/plain', '')).rstrip()}\n```"
                )
    return "\n\n".join(parts) + "\n"


def linked_files() -> dict[str, str]:
    """The files outside of docs/ that the site shows, as pages: the tutorials, and all that is linked."""
    found: dict[str, str] = {}
    texts = {f"docs/{page.name}": page.read_text() for page in sorted((ROOT / "docs").glob("*.md"))}
    wanted = [*TUTORIALS, *linked_from(texts)]
    while wanted:
        path = wanted.pop()
        if path.startswith("docs/") or path in found:
            continue
        if not (ROOT / path).is_file() or (ROOT / path).stat().st_size > LONGEST:
            raise ValueError(
                f"{path}: is linked, but is no file that a page can show; link another"
            )
        found[path] = as_markdown(path)
        if path.endswith((".md", ".ipynb")):
            wanted += linked_from({path: found[path]})
    return found


def linked_from(texts: dict[str, str]) -> list[str]:
    """The files of the repository that pages link to."""
    found = [target_of(link, path) for path, text in texts.items() for link in links(text)]
    return [target[0] for target in found if target]


def rooms() -> dict[str, str]:
    """A page for every room of the library: what its docstrings say."""
    lines = [f"- [`neuraldeps.{name}`][{where}.{name}]" for name, where in neuraldeps.WHERE.items()]
    pages = {"neuraldeps": "# neuraldeps\n\nWhat users import:\n\n" + "\n".join(lines) + "\n"}
    for file in sorted((ROOT / "neuraldeps").rglob("*.py")):
        parts = file.relative_to(ROOT / "neuraldeps").with_suffix("").parts
        if parts[-1] in ("__init__", "__main__"):
            continue
        room = f"neuraldeps.{parts[0]}"
        pages.setdefault(room, f"# {room}\n\n")
        pages[room] += f"::: neuraldeps.{'.'.join(parts)}\n\n"
    return pages


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the library's pages at the end of the reference."""
    reference = next(one["Reference"] for one in config.nav if "Reference" in one)
    reference.append({"Library": [{name: f"reference/{name}.md"} for name in rooms()]})
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what lies outside of docs/."""
    made = {page_of(path): relinked(text, path) for path, text in linked_files().items()}
    made |= {f"reference/{name}.md": text for name, text in rooms().items()}
    for place, content in made.items():
        files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the links of the pages in docs/ to pages of the site."""
    is_ours = page.file.generated_by is None
    return relinked(markdown, f"docs/{page.file.src_uri}") if is_ours else markdown
