"""The blocks of the pages: what is fenced or indented in README.md and docs/, and the commands in them."""

import dataclasses
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclasses.dataclass(frozen=True)
class Block:
    """One block.

    Attributes:
      page: the name of the file.
      language: after the fence; "indented" without one.
      text: its lines, without fence and indentation.
    """

    page: str
    language: str
    text: str

    @property
    def name(self) -> str:
        """The page and the first line that is not empty."""
        return f"{self.page}: {self.text.strip().splitlines()[0]}"


def blocks(path: Path) -> list[Block]:
    """The blocks of a page, in their order. A block is indented where no list is above it."""
    found, lines, previous = [], iter(path.read_text(encoding="utf-8").splitlines()), ""
    indented: list[str] = []
    for line in lines:
        if indented and (line.startswith("    ") or not line):
            indented.append(line[4:])
            continue
        if indented:
            found.append(Block(path.name, "indented", "\n".join(indented).rstrip()))
            indented = []
        if line.startswith("```"):
            inside = []
            while not (inner := next(lines)).startswith("```"):
                inside.append(inner)
            found.append(Block(path.name, line[3:], "\n".join(inside)))
        elif line.startswith("    ") and not previous:
            indented.append(line[4:])
        previous = line
    if indented:
        found.append(Block(path.name, "indented", "\n".join(indented).rstrip()))
    return found


def without_blocks(path: Path) -> str:
    """The text of a page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)


def all_blocks() -> list[Block]:
    """The blocks of all pages."""
    return [block for path in PAGES for block in blocks(path)]
