"""UF1, UAR and accuracy of the SAMM part of a results folder.

    python calculate_all_results_SAMM.py results/0.5_3_3_9

Reads what calculate_all_results.py reads; writes CausalNet_SAMM.xlsx into the folder.
In a composite run the networks were trained on all datasets, so the metrics are not those of
training on SAMM alone.
"""

from common.errors import run_script
from evaluation.calculator import run_calculator


def main() -> None:
    """The SAMM part."""
    run_calculator(__doc__, dataset="samm")


if __name__ == "__main__":
    run_script(main)
