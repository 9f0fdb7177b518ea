"""What a page is made of: sections of paragraphs, terms, tables, pictures and commands.

Every text is plain; the template escapes it.
"""

from dataclasses import dataclass, field

from evaluation.report.drawing import Picture


@dataclass(frozen=True)
class Cell:
    """A table's cell.

    Attributes:
        beside: stands after the text in small print.
        value: what the column is sorted by; the text when None.
        share: 0..1 shades the cell; None leaves it white.
    """

    text: str
    beside: str = ""
    value: float | None = None
    share: float | None = None


@dataclass(frozen=True)
class Table:
    """A table whose columns can be sorted; the first cell of a row is its header.

    Attributes:
        words: how many columns from the left hold words; the others hold numbers.
        note: stands below.
    """

    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    words: int = 1
    note: str = ""
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Drawing:
    """A picture in its place.

    Attributes:
        marks: what a reader must know of the data; stands with the caption.
    """

    picture: Picture
    marks: str
    kind: str = field(default="picture", init=False)


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: str
    kind: str = field(default="paragraph", init=False)


@dataclass(frozen=True)
class Terms:
    """Terms with what they mean or are."""

    pairs: list[tuple[str, str]]
    kind: str = field(default="terms", init=False)


@dataclass(frozen=True)
class Commands:
    """Lines to be typed into a shell."""

    lines: list[str]
    kind: str = field(default="commands", init=False)


@dataclass(frozen=True)
class Folded:
    """Blocks behind a line that opens them."""

    summary: str
    blocks: list["Block"]
    kind: str = field(default="folded", init=False)


Block = Table | Drawing | Paragraph | Terms | Commands | Folded


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it.

    Attributes:
        anchor: its place for links; unique on the page.
    """

    title: str
    anchor: str
    blocks: list[Block]
    parts: list["Section"] = field(default_factory=list)


@dataclass(frozen=True)
class Headline:
    """A figure in large type."""

    name: str
    value: str
    interval: str


@dataclass(frozen=True)
class Page:
    """Everything that the template fills in.

    Attributes:
        marks: "SYNTHETIC CLIPS", "PARTIAL" or both; stands before the title everywhere.
        warnings: sentences in a frame below the title.
        facts: short terms and values below the title.
        headlines: large figures; may be empty.
        remark: one sentence below them.
    """

    name: str
    marks: str
    facts: list[tuple[str, str]]
    warnings: list[str]
    headlines: list[Headline]
    remark: str
    sections: list[Section]

    @property
    def pictures(self) -> list[Picture]:
        """All pictures in the order of the page."""
        sections = [part for section in self.sections for part in (section, *section.parts)]
        blocks = [block for section in sections for block in section.blocks]
        return [block.picture for block in blocks if isinstance(block, Drawing)]
