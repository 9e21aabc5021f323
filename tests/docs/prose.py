"""How long the sentences of the pages are, and whether README.md explains a term before it uses it.

    python -m tests.docs.prose

prints a row for every page: lines, bytes, sentences, and words in a sentence. `test_prose.py` holds README.md
to limits, and every page to the length of its longest sentence.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from tests.docs.pages import PAGES, ROOT
from tf_darts.plots.table import aligned_lines

# Words that a new reader does not know. README.md explains each where it first stands, in italics.
TERMS = (
    "alpha",
    "cell",
    "edge",
    "event",
    "genotype",
    "magnitude",
    "node",
    "one-shot",
    "perturbation",
    "probe",
    "stage",
    "supernet",
)
# What is not read as sentences: fenced blocks, tables, pictures, headings, rules, HTML.
_FENCE = re.compile(r"^ *```.*?^ *```", re.M | re.S)
_OTHER = re.compile(r"^(?:\s*\||#| {4}|</?\w|<!--|!\[|\s*[-*_]{3,}\s*$).*$", re.M)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_CODE = re.compile(r"`[^`]+`")
_END = re.compile(  # no sentence ends with these abbreviations
    r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!et al\.)(?<!vs\.)[\"')*_]*\s+(?=[\"'(*_`]*[A-Z0-9`])"
)


@dataclasses.dataclass(frozen=True)
class Measured:
    """The prose of one page.

    Attributes:
      page: the name of its file.
      lines: of the whole file.
      size: of the whole file, bytes.
      words: in each sentence, in their order.
      longest: the sentence with the most words; empty without one.
    """

    page: str
    lines: int
    size: int
    words: tuple[int, ...]
    longest: str

    @property
    def mean(self) -> float:
        """Words in a sentence on average; 0 without one."""
        return sum(self.words) / len(self.words) if self.words else 0.0


def prose(text: str) -> str:
    """Return the text of a page, without code and tables; each item of a list is a paragraph."""
    text = _OTHER.sub("", _FENCE.sub("", text))
    text = re.sub(r"^\s*(?:[-*+]|\d+\.)\s+", "\n", text, flags=re.M)
    return _LINK.sub(r"\1", text)


def sentences(text: str) -> list[str]:
    """Return the sentences of a page, each on one line."""
    found = []
    for paragraph in re.split(r"\n\s*\n", prose(text)):
        line = " ".join(paragraph.split())
        found += [part for part in _END.split(line) if re.search(r"\w", part)]
    return found


def words(sentence: str) -> int:
    """Count the words of a sentence; what stands in backticks is one."""
    return sum(bool(re.search(r"\w", word)) for word in _CODE.sub("code", sentence).split())


def measure(path: Path) -> Measured:
    """Measure a page."""
    text = path.read_text(encoding="utf-8")
    found = sentences(text)
    counts = tuple(map(words, found))
    longest = max(found, key=words, default="")
    return Measured(path.name, len(text.splitlines()), len(text.encode()), counts, longest)


def used_before_explained(text: str, terms: Sequence[str] = TERMS) -> list[str]:
    """Return the terms that a page uses before it explains them, or without.

    A term is explained where it stands in italics, `*term*`. Tables and headings count as use; code does not.
    """
    readable = _CODE.sub("", _LINK.sub(r"\1", _FENCE.sub("", re.sub(r"^!\[.*$", "", text, flags=re.M))))
    early = []
    for term in terms:
        first = re.search(rf"(?<![\w-]){term}s?(?![\w-])", readable, re.I)
        if first and not re.search(r"(?<!\*)\*$", readable[: first.start()]):
            early.append(term)
    return early


def table(paths: Sequence[Path] = PAGES) -> str:
    """Return a row for every page, as text."""
    rows = []
    for m in map(measure, paths):
        longest = max(m.words, default=0)
        rows.append((m.page, str(m.lines), f"{m.size:,}", str(len(m.words)), f"{m.mean:.1f}", str(longest)))
    headings = ("page", "lines", "bytes", "sentences", "words, mean", "longest")
    return "\n".join(aligned_lines(headings, rows, range(1, len(headings))))


if __name__ == "__main__":
    print(table())
    early = used_before_explained((ROOT / "README.md").read_text(encoding="utf-8"))
    print(f"README.md uses before it explains: {', '.join(early) or 'nothing'}")
