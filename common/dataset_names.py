"""The names of the raw datasets: one inside the suite, every usual spelling from users."""

import re
import unicodedata

from common.errors import UserError, name_list

DATASETS = ("casme2", "samm", "smic", "mmew", "casme3")
COMPOSITE = DATASETS[:3]
"""The datasets of the MEGC2019 composite."""
OWN_TABLE = "table"
"""Says that the clips are those of a user's own table, a dataset of another name."""
# Other spellings, in small letters and digits alone.
SPELLINGS = {
    "casmeii": "casme2",
    "smichs": "smic",
    "smichse": "smic",
    "casmeiii": "casme3",
    "casme3parta": "casme3",
}


def usual_name(text: str) -> str:
    """The suite's name of a dataset, or for any other the text as it is."""
    try:
        return dataset_name(text)
    except UserError:
        return text


def dataset_name(text: str) -> str:
    """The suite's name of a dataset: casme2 for "CASME II", CASMEII, CASME_II or Casme2.

    Raises:
        UserError: it is no dataset that can be read.
    """
    plain = unicodedata.normalize("NFKC", text).lower()
    reduced = re.sub(r"[^a-z0-9]", "", plain)
    name = SPELLINGS.get(reduced, reduced)
    # CAS(ME)^2 is a dataset of its own, and not CASME II.
    is_squared = name == "casme2" and re.search(r"\(me\)|\^", plain)
    if name not in DATASETS or is_squared:
        raise UserError(
            f"unknown dataset {text!r}. Choose one of: {name_list(DATASETS)}; "
            f"build_inputs.py reads any other one as {OWN_TABLE}."
        )
    return name
