"""Every usual spelling of a dataset's name, and names that are near but another dataset's."""

import pytest

from common.dataset_names import DATASETS, dataset_name
from common.errors import UserError


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        ("casme2", ["casme2", "CASME II", "CASMEII", "CASME_II", "Casme-2", "CASME Ⅱ"]),
        ("samm", ["SAMM", "Samm"]),
        ("smic", ["SMIC", "SMIC-HS", "smic_hs_e"]),
        ("mmew", ["MMEW"]),
        ("casme3", ["CAS(ME)3", "CAS(ME)³", "cas(me)^3", "CASME III", "CAS(ME)^3 part A"]),
    ],
)
def test_usual_spellings_are_understood(name: str, spellings: list[str]) -> None:
    assert name in DATASETS
    assert [dataset_name(spelling) for spelling in spellings] == [name] * len(spellings)


@pytest.mark.parametrize("name", ["", "casme", "CAS(ME)2", "cas(me)^2", "CASME^2", "fer2013"])
def test_other_datasets_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"unknown dataset .* Choose one of: casme2, samm"):
        dataset_name(name)
