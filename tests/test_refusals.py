"""Refusals: one line each, and one line for many that share a reason."""

from common.errors import UserError
from common.refusals import Refusal, few, one_line, summarize_refusals


def test_a_refusal_names_the_file_and_the_reason() -> None:
    refusal = Refusal("w/s03.pth", "is refused: it is empty.")
    assert str(refusal) == "w/s03.pth is refused: it is empty."
    assert Refusal.of("other.pth", refusal) is refusal
    wrapped = Refusal.of("s03.pth", UserError("the weights tell no gamma."))
    assert str(wrapped) == "s03.pth is refused: the weights tell no gamma."


def test_the_same_reason_is_said_once_with_a_few_names_and_a_count() -> None:
    reason = "holds weights of HTNet, not of CausalNet."
    many = [Refusal(f"w/{number:03}.pth", reason) for number in range(68)]
    assert summarize_refusals(many) == (
        "68 refused: 000.pth, 001.pth, 002.pth and 65 more: each holds weights of HTNet, not of "
        "CausalNet."
    )
    assert summarize_refusals(many[:1]) == f"w/000.pth {reason}"
    assert summarize_refusals(many[:2]) == f"2 refused: 000.pth, 001.pth: each {reason}"


def test_the_reason_of_most_files_comes_first_and_the_rest_are_named() -> None:
    few_files = [Refusal("a.pth", "is a web page.")]
    more_files = [Refusal(name, "is empty.") for name in ("b.pth", "c.pth")]
    assert summarize_refusals([*few_files, *more_files]) == (
        "3 refused: b.pth, c.pth: each is empty. a.pth is a web page."
    )
    other = [Refusal(f"{number}.pth", f"has fault {number}: {'x' * 60}") for number in range(50)]
    line = summarize_refusals([*more_files, *other])
    assert line.startswith("52 refused: b.pth, c.pth: each is empty. 0.pth has fault 0: ")
    assert line.endswith(" For other reasons: 2.pth, 3.pth, 4.pth and 45 more.")
    assert len(line) <= 300


def test_lines_are_printable_and_at_most_300_characters() -> None:
    name = "/home/" + "deep/" * 100 + "s\n\udcff03.pth"
    refusal = Refusal(name, "is refused: " + "because " * 99)
    for line in (str(refusal), summarize_refusals([refusal] * 3), summarize_refusals([refusal])):
        assert len(line) <= 300 and line.isprintable()
    assert str(refusal).startswith("…") and "/s\\n\\udcff03.pth is refused: " in str(refusal)


def test_texts_are_cut_where_they_end_or_begin() -> None:
    assert one_line("abcdef", 6) == "abcdef"
    assert one_line("abcdef", 4) == "abc…"
    assert one_line("abcdef", 4, keep_end=True) == "…def"
    assert few(["a" * 60, "b" * 60, "c"]) == "a" * 60 + " and 2 more"
    assert few([]) == ""
