"""Results as tables: on the terminal, and between markers in docs/benchmarks.md."""

import re
import statistics
from dataclasses import dataclass, field


@dataclass
class Table:
    """Named columns and rows of text."""

    title: str
    columns: list
    rows: list = field(default_factory=list)
    words: list = field(default_factory=list)

    def add(self, *cells):
        """One more row."""
        self.rows.append([str(cell) for cell in cells])

    def text(self):
        """For a terminal."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        out = [f"\n== {self.title}"]
        out += ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
        return "\n".join(out + self.words)

    def markdown(self):
        """For the document."""
        out = [f"### {self.title}", "", *(self._row(line) for line in [self.columns, ["---"] * len(self.columns)])]
        out += [self._row(line) for line in self.rows]
        return "\n".join(out + [f"\n{word}" for word in self.words]) + "\n"

    @staticmethod
    def _row(cells):
        return f"| {' | '.join(cells)} |"


def spread(values, digits=3):
    """Median, and the range if there is one."""
    median = f"{statistics.median(values):.{digits}f}"
    return median if len(values) == 1 else f"{median} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def against(ours, theirs, bar):
    """How our median compares with theirs, and whether that is within the bar (a ratio; less is better)."""
    ratio = statistics.median(ours) / statistics.median(theirs)
    verdict = "" if bar is None else f", bar {bar}×: {'met' if ratio <= bar else '**missed**'}"
    return f"{ratio:.2f}×{verdict}"


def replace(document, part, text):
    """The document with the text between `part`'s markers replaced."""
    begin, end = f"<!-- bench:{part} -->", f"<!-- /bench:{part} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(document):
        raise ValueError(f"docs/benchmarks.md has no markers {begin} … {end}")
    return pattern.sub(lambda _: f"{begin}\n{text.strip()}\n{end}", document)
