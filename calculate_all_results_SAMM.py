"""UF1, UAR and accuracy of the SAMM part of a results folder.

    python calculate_all_results_SAMM.py results/0.5_3_3_9

Reads what calculate_all_results.py reads; writes CausalNet_SAMM.xlsx into the folder.
In a composite run the networks were trained on all datasets, so the figures say nothing of
training on SAMM alone.
"""

from calculate_all_results import run
from common.errors import run_script


def main() -> None:
    """The SAMM part."""
    run(__doc__, dataset="samm")


if __name__ == "__main__":
    run_script(main)
