"""What mkdocs is told beside mkdocs.yml: pages made of other files, and links out of docs/.

README.md becomes the first page, and CHANGELOG.md and others of the root become pages too. Each module and
package of tf_darts has a page of the reference, made of its docstrings, which are read and not run. In the
repository a page links to files that are no pages: to a module, which becomes a link to its page of the
reference; to any other file, which becomes its name. A link to a file that is not there is an error.
"""

import os
import pathlib
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tf_darts"
PAGES = {  # of the repository's root
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changes.md",
}
LINK = re.compile(r"(?<!\!)\[([^\]]+)\]\(([^)#:\s]+)(#[^)]*)?\)")
IMAGE = re.compile(r"(\!\[[^\]]*\]\()docs/")


def modules() -> list[str]:
    """The modules and packages right below tf_darts, each of which has a page."""
    files = [path for path in PACKAGE.glob("*.py") if path.stem != "__init__"]
    packages = [path.parent for path in PACKAGE.glob("*/__init__.py")]
    return sorted(path.stem for path in (*files, *packages))


def reference_page(path: pathlib.PurePath) -> str | None:
    """The place in the reference that has a file or folder of tf_darts; None for any other."""
    if path.parts[0] != "tf_darts" or (path.suffix not in ("", ".py")):
        return None
    if len(path.parts) == 1:
        return "reference/index.md"
    page = f"reference/{pathlib.PurePath(path.parts[1]).stem}.md"
    module = ".".join(path.with_suffix("").parts)
    return f"{page}#{module}" if len(path.parts) > 2 else page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made, and those of the reference to the navigation."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    names = modules()
    listed = "\n".join(f"- [tf_darts.{name}]({name}.md)" for name in names)
    pages = {"index": f"# Reference\n\n{listed}\n"}
    pages |= {name: f"::: tf_darts.{name}\n" for name in names}
    for name, text in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    titles = {"index": "All modules"} | {name: f"tf_darts.{name}" for name in names}
    (reference,) = (section["Reference"] for section in config.nav if "Reference" in section)
    reference.append({"Modules": [{titles[name]: f"reference/{name}.md"} for name in pages]})
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A page's text with its links to files of the repository made ones of the site."""
    place = page.file.src_uri
    if place.startswith("reference/"):
        return markdown
    from_root = place in PAGES.values()
    text = IMAGE.sub(r"\1", markdown) if from_root else markdown

    def linked(found: re.Match) -> str:
        name, target, anchor = found[1], found[2], found[3] or ""
        path = pathlib.PurePosixPath(os.path.normpath(target if from_root else f"docs/{target}"))
        if not (ROOT / path).exists():
            raise PluginError(f"{place}: links to {target}, and there is no {path}")
        if path.parts[0] == "docs" and path.suffix != "":
            inside = path.relative_to("docs")
            return f"[{name}]({inside}{anchor})" if files.get_file_from_path(str(inside)) else name
        made = PAGES.get(str(path)) or reference_page(path)
        return f"[{name}]({made}{anchor})" if made else name

    return LINK.sub(linked, text)
