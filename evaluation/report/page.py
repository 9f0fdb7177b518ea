"""Writes the page as HTML, with its pictures beside it."""

import base64
import hashlib
from pathlib import Path

import jinja2
from markupsafe import Markup

from common.files import write_bytes, write_text
from evaluation.report.blocks import Page
from evaluation.report.drawing import Picture

PAGE_NAME = "report.html"
PICTURES_FOLDER = "pictures"
_HERE = Path(__file__).parent


def write_page(page: Page, folder: Path) -> Path:
    """Write the page, and every picture as SVG and PNG, below ``folder``; returns the page's path.

    The page holds its pictures itself and needs no other file.
    """
    for picture in page.pictures:
        for suffix, content in ((".svg", picture.svg), (".png", picture.png)):
            write_bytes(folder / PICTURES_FOLDER / f"{picture.name}{suffix}", content)
    write_text(folder / PAGE_NAME, render(page))
    return folder / PAGE_NAME


def render(page: Page) -> str:
    """The page as HTML. Every text in it is escaped, and it allows no script but its own."""
    script = (_HERE / "sort.js").read_text(encoding="utf-8")
    digest = hashlib.sha256(script.encode()).digest()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = _data_uri
    return environment.get_template("template.html").render(
        page=page,
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(digest).decode(),
    )


def _data_uri(picture: Picture) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.svg).decode()}"
