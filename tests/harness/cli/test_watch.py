"""`bench-long watch` follows a run to its end, rewrites its report, and can be left."""

from __future__ import annotations

import io
import json
import signal
import time
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli import display, watch_command
from harness.cli.display import RunDisplay, seconds_left
from harness.cli.main import main
from harness.core.folder import CELLS, Manifest
from harness.execution.runner import Progress
from tests.harness.conftest import bench_long, start_bench_long
from tests.reports.conftest import make_cell, write_run


def unfinished(folder: Path) -> Path:
    write_run(folder, [make_cell("lora")], missing=2, finished=False)
    return folder


def finish(folder: Path) -> None:
    path = folder / "manifest.json"
    manifest = Manifest.model_validate_json(path.read_text())
    path.write_text(manifest.model_copy(update={"finished": True}).model_dump_json())


def test_a_run_is_followed_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = unfinished(tmp_path / "run")
    pages: list[str] = []

    def meanwhile(_: float) -> None:
        page = tmp_path / "seen" / "index.html"
        pages.append(page.read_text() if page.exists() else "")
        name = f"missing{len(pages) - 1:05d}"
        cell = make_cell("full", seed=len(pages), status="ok" if len(pages) < 2 else "oom")
        (run / CELLS / f"{name}.json").write_text(json.dumps(cell | {"id": name}))
        if len(pages) == 2:
            finish(run)

    monkeypatch.setattr(watch_command.time, "sleep", meanwhile)
    assert main(["watch", str(run), "--out", str(tmp_path / "seen")]) == 1
    out = capsys.readouterr().out
    assert "2 cells to run, 1 done before" in out
    assert "newsgroups · Full · 128 tokens · seed 1" in out
    assert "the run has ended: 2 done, 1 failed, 0 not run" in out
    assert "LoRA 1" in pages[0]  # written before the first wait
    assert "Full" in (tmp_path / "seen" / "index.html").read_text()
    assert not (run / "report").exists()


def test_ctrl_c_leaves_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch_command.time, "sleep", interrupt)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    run = unfinished(tmp_path / "run")
    assert main(["watch", str(run), "--out", str(tmp_path / "seen")]) == 130
    assert capsys.readouterr().err == f"left {run}: the run goes on\n"


def test_the_report_of_a_run_on_this_machine_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.system.machine import describe_machine

    run = unfinished(tmp_path / "run")
    path = next((run / CELLS).glob("*.json"))
    cell = json.loads(path.read_text())
    cell["environment"]["host"] = describe_machine()["host"]
    path.write_text(json.dumps(cell))
    (run / "report").mkdir()
    (run / "report" / "index.html").write_text("of the run")
    monkeypatch.setattr(watch_command.time, "sleep", lambda _: finish(run))
    assert main(["watch", str(run)]) == 1
    assert (run / "report" / "index.html").read_text() == "of the run"


def test_a_folder_without_a_sweep_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", str(tmp_path)]) == 2
    assert "not a result folder" in capsys.readouterr().err
    run = unfinished(tmp_path / "run")
    (run / "manifest.json").unlink()
    assert main(["watch", str(run)]) == 2
    assert "has no manifest" in capsys.readouterr().err


def test_a_run_that_is_about_to_begin_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = [lambda: (tmp_path / "run" / CELLS).mkdir(parents=True)]
    waits += [lambda: finish(unfinished(tmp_path / "run"))]
    monkeypatch.setattr(watch_command.time, "sleep", lambda _: waits.pop(0)())
    assert main(["watch", str(tmp_path / "run")]) == 1
    assert waits == []
    assert "no run has listed its cells there yet" in capsys.readouterr().err
    monkeypatch.setattr(watch_command, "_WAIT_SECONDS", 0.0)
    assert main(["watch", str(tmp_path / "none")]) == 2
    assert "there is no such folder" in capsys.readouterr().err


def test_the_time_left_follows_from_what_is_done() -> None:
    assert seconds_left(40, 10, 60) == 180
    assert seconds_left(40, 0, 60) is None
    assert seconds_left(None, 0, 60) is None


def test_the_time_left_counts_down_between_results(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(display.time, "time", lambda: now[0])
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    shown = RunDisplay(console, since=940.0)
    texts = []
    for now[0] in (1000.0, 1020.0):
        shown.show(Progress(total=4, done=1, cost_total=40, cost_done=10))
        (task,) = shown._bar.tasks
        texts.append(display._Times(940.0).render(task).plain)
    assert texts == ["0:01:00, 0:03:00 left", "0:01:20, 0:02:40 left"]


@pytest.mark.slow
def test_a_real_run_in_another_process_is_followed(tmp_path: Path, tiny: Path) -> None:
    folder = tmp_path / "out"
    started = start_bench_long("run", tiny, "--out", folder, "--no-cost")
    try:
        until = time.monotonic() + 120
        while not (folder / "manifest.json").exists():
            assert time.monotonic() < until
            time.sleep(0.2)
        done = bench_long("watch", folder, "--every", "0.2", timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "the run has ended: 2 done, 0 failed, 0 not run" in done.stdout
    finally:
        started.wait(120)


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_ends_watch_and_not_the_run(tmp_path: Path) -> None:
    run = unfinished(tmp_path / "run")
    started = start_bench_long("watch", run, "--every", "0.2", "--out", tmp_path / "seen")
    until = time.monotonic() + 120
    while not (tmp_path / "seen" / "index.html").exists():
        assert time.monotonic() < until
        time.sleep(0.2)
    started.send_signal(signal.SIGINT)
    _, error = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "Traceback" not in error
