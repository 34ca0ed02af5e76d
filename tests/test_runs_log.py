"""What a run says is kept as JSON lines, and secrets are not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.runs.log import run_logger


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "run.log").read_text(encoding="utf-8").splitlines()]


def test_a_line_has_time_level_stage_message_and_extra_fields(tmp_path: Path) -> None:
    logger = run_logger("log-a", tmp_path)
    assert logger.name == "workbench.run.log-a"
    assert not (tmp_path / "run.log").exists()
    logger.info("%s rows año", 3, extra={"stage": "ingest", "share": float("nan"), "n": np.int64(3), "odd": object})
    logger.debug("too much detail")
    logger.warning("careful\nwith two lines")
    first, second = lines(tmp_path)
    assert list(first) == ["time", "level", "stage", "message", "share", "n", "odd"]
    assert (first["level"], first["stage"], first["message"]) == ("info", "ingest", "3 rows año")
    assert first["time"].endswith("+00:00")
    assert (second["level"], second["stage"], second["message"]) == ("warning", None, "careful\nwith two lines")


def test_a_traceback_is_kept_with_its_line(tmp_path: Path) -> None:
    logger = run_logger("log-b", tmp_path)
    logger.propagate = False  # pytest cannot send half a character from one process to another
    try:
        raise ValueError("bad \ud83d")
    except ValueError:
        logger.exception("failed", extra={"facts": {"a": [1]}})
    (line,) = lines(tmp_path)
    assert "ValueError: bad" in line["error"]
    assert line["facts"] == {"a": [1]}


def test_asking_twice_does_not_write_twice_and_another_folder_takes_over(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    for folder in (one, one, two, two):
        run_logger("log-c", folder).info("hello")
    assert len(lines(one)) == len(lines(two)) == 2


def test_a_run_whose_id_begins_like_anothers_keeps_its_own_log(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    run_logger("log-d", one)
    run_logger("log-d.2", two).info("hello")
    assert len(lines(two)) == 1
    assert not (one / "run.log").exists()


def test_a_log_that_cannot_be_written_does_not_stop_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_logger("log-e", tmp_path / "nowhere").info("hello")
    assert "cannot write" in capsys.readouterr().err


def test_keys_do_not_get_into_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "sk-12345678")
    run_logger("log-f", tmp_path).error("wrong key sk-12345678", extra={"answer": {"key": "sk-12345678"}})
    assert "12345678" not in (tmp_path / "run.log").read_text()
    assert lines(tmp_path)[0]["message"] == "wrong key ***"
