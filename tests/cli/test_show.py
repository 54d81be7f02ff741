from __future__ import annotations

from pathlib import Path

from cli.conftest import Penstock
from ledger.ledger_rows import answer
from ledger.ledger_run import Run, json_lines
from penstock.cli.show import lines_of


def test_a_row_is_shown_with_all_that_is_known(penstock: Penstock, stopped: Run) -> None:
    found = penstock("show", stopped.run_dir.path, "--row", 5)
    assert (found.code, found.err) == (0, "")
    lines = [line.split(maxsplit=1) for line in found.out.splitlines() if line]
    assert found.out.startswith(f"Row 5 of {stopped.run_dir.path}: failed\n\n")
    assert ["input", "in.jsonl:6"] in lines and ["text", "text 5"] in lines
    assert ["request", "POST http://127.0.0.1:1/v1/chat/completions"] in lines
    assert ["result", "failed"] in lines and ["error_class", "timeout"] in lines
    assert ["finished_at", "2023-11-14T22:13:20.000005Z"] in lines
    assert not any(line[0] == "output" for line in lines)


def test_copies_say_which_of_them_counts(penstock: Penstock, stopped: Run) -> None:
    stopped.put([answer(3, output="bought twice")], epoch=2)
    out = penstock("show", stopped.run_dir.path, "--row", 3).out
    assert "succeeded, the one that counts" in out and "succeeded, which does not count" in out


def test_text_of_a_provider_can_not_move_the_cursor(penstock: Penstock, stopped: Run) -> None:
    stopped.put([answer(7, output="\x1b[2Jgone\nsecond line")], worker=2)
    out = penstock("show", stopped.run_dir.path, "--row", 7).out
    assert "\x1b" not in out
    lines = [line for line in out.splitlines() if "gone" in line or "second" in line]
    first, second = lines[:2]
    assert second.index("second line") == first.index("\N{REPLACEMENT CHARACTER}[2Jgone")


def test_the_prompt_stands_beside_the_answer_or_why_there_is_none(
    penstock: Penstock, stopped: Run
) -> None:
    out = penstock("show", stopped.run_dir.path, "--row", 3).out
    assert out.endswith("\n\n  prompt\n    Say: text 3\n  answer\n    answer 3\n")
    out = penstock("show", stopped.run_dir.path, "--row", 5).out
    assert out.endswith("  answer\n    no answer in 300 s\n")


def test_curl_prints_the_command_alone(penstock: Penstock, stopped: Run) -> None:
    found = penstock("show", stopped.run_dir.path, "--row", 5, "--curl")
    assert found.out.startswith("curl -sS http://127.0.0.1:1/v1/chat/completions \\\n")
    assert found.out.endswith('Say: text 5"}]}\nEND\n')


def test_json_is_one_line(penstock: Penstock, stopped: Run) -> None:
    fields = penstock("show", stopped.run_dir.path, "--row", 9, "--json").json
    assert (fields["outcome"], fields["copies"]) == ("pending", [])


def test_a_row_without_a_request_has_no_curl(penstock: Penstock, tmp_path: Path) -> None:
    file = json_lines(tmp_path / "in.jsonl", [{"text": None}, {"text": "b"}])
    run = Run(tmp_path, file, output="out.csv", model="m", prompt="{{ text }}")
    found = penstock("show", run.run_dir.path, "--row", 0, "--curl")
    assert (found.code, found.out) == (2, "") and "row 0 has no request" in found.err
    assert "problem" in penstock("show", run.run_dir.path, "--row", 0).out


def test_a_row_that_is_not_there_is_a_usage_error(penstock: Penstock, stopped: Run) -> None:
    found = penstock("show", stopped.run_dir.path, "--row", 10)
    assert (found.code, found.out) == (2, "") and "the input ends before it" in found.err


def test_base64_is_cut_short_for_reading_and_nothing_else_is() -> None:
    picture = "iVBORw0KGgoAAAANSUhEUgAA" + "A1b+" * 500
    shown = "iVBORw0KGgoAAAANSUhEUgAA... (2.02 kB of base64)"
    for before, after in (('{"data":"', '"}'), ("data:image/png;base64,", ""), ('"', '"')):
        assert lines_of(f"{before}{picture}{after}") == [f"{before}{shown}{after}"]
    assert lines_of({"data": picture, "n": 1}) == [f'{{"data":"{shown}","n":1}}']
    for text in ("a" * 500, "a word " * 100, '"' + "a word " * 100 + '"', f"x{picture[:150]}"):
        assert lines_of(text.strip()) == [text.strip()]
