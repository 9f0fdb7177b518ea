"""docs/methods.md: a row for every method, and the parameters that the code gives."""

import re
from pathlib import Path

import pytest
import torch

from models import create_model, list_methods, load_method

PAGE = Path(__file__).parent.parent / "docs" / "methods.md"


def rows() -> list[list[str]]:
    """The cells of every row that begins with a method."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in lines
        if re.match(r"\| `\w+` \|", line)
    ]


def test_both_tables_name_every_method_once() -> None:
    names = [row[0].strip("` ") for row in rows()]
    assert sorted(names) == sorted([*list_methods(), *list_methods()])


@pytest.mark.parametrize("name", [n for n in list_methods() if load_method(n).trained])
def test_the_parameters_are_those_of_the_network(name: str) -> None:
    with torch.device("meta"):
        network = create_model(name)
    own = next(row for row in rows() if row[0].strip("` ") == name)
    assert own[2] == f"{sum(p.numel() for p in network.parameters()):,}"
