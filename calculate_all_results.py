"""UF1, UAR and accuracy of a results folder, all datasets pooled.

    python calculate_all_results.py results/0.5_3_3_9

Reads predictions.csv or <subject>_acc.txt files (this suite's or the published code's); prints the
confusion matrix and the metrics; writes CausalNet.xlsx into the folder. --published also prints
what the stored epochs score under the rules of HTNet, MMNet, Off-TANet and SRMCL, and writes it to
published_rules.csv.
"""

from common.errors import run_script
from evaluation.calculator import run_calculator


def main() -> None:
    """All datasets pooled."""
    run_calculator(__doc__, dataset=None)


if __name__ == "__main__":
    run_script(main)
