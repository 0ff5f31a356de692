"""What of the explorer is the same for every run: its page, and the library that draws its charts."""

import shutil
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import vl_convert

PAGE = Path(__file__).parent / "page"
LIBRARY = "vl-convert-python"
NOTICE = """\
vega.js holds Vega {vega}, Vega-Lite {lite} and Vega-Embed {embed}, copyright University of Washington
Interactive Data Lab, under the BSD 3-clause licence, with the libraries that they are made of (D3, ISC
licence), as bundled by {library} {version}, whose own licence follows.

"""


def write_page(folder: Path) -> None:
    """Put the page and its charts' library into a folder.

    Parameters
    ----------
    folder : Path
        Where the explorer is made.
    """
    for file in sorted(PAGE.iterdir()):
        if file.suffix in (".html", ".css", ".js"):
            shutil.copyfile(file, folder / file.name)
    # the bundle's own names stay its own: other scripts of the page share the global ones
    (folder / "vega.js").write_text(f"(function(){{{_bundle()}\n}})();\n", encoding="utf-8")
    (folder / "vega.LICENSE.txt").write_text(_licence(), encoding="utf-8")


@cache
def _bundle() -> str:
    """Vega-Embed and what it needs, as one script."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


def _licence() -> str:
    """Whose the library is, from the package that brings it."""
    package = distribution(LIBRARY)
    notice = NOTICE.format(
        vega=vl_convert.get_vega_version(),
        lite=vl_convert.get_vegalite_versions()[-1],
        embed=vl_convert.get_vega_embed_version(),
        library=LIBRARY,
        version=package.version,
    )
    files = [file for file in package.files or [] if "licen" in str(file).lower()]
    return notice + "\n".join(file.read_text(encoding="utf-8") for file in files)
