"""Job arrays: their script, and a run on a real Slurm of one node."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.core.folder import read_run
from harness.execution.slurm import others
from tests.harness.conftest import SWEEPS, TINY, results_here
from tests.harness.execution.test_failures import wait_for

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue")
MISSING = [name for name in PROGRAMS if shutil.which(name, path="/usr/sbin:/usr/bin") is None]

CONFIGURATION = """\
ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES State=UP MaxTime=INFINITE
"""


def script_of(folder: Path, *words: str) -> str:
    assert main(["slurm", *words, "--out", str(folder)]) == 0
    return (folder / "slurm.sh").read_text()


def test_the_array_has_a_task_for_each_training_cell_and_one_for_the_probes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = script_of(tmp_path / "my run", str(SWEEPS / "smoke.yaml"), "--at-once", "3")
    tasks = len([*{line for line in text.splitlines() if "--array=1-" in line}])
    assert tasks == 1
    assert "#SBATCH --array=1-11%3\n" in text
    assert '--shard "$SLURM_ARRAY_TASK_ID/11"' in text
    assert f"--out '{tmp_path}/my run'/" in text
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    out = capsys.readouterr().out
    assert "--exclusive" in out
    assert "bench-long report" in out


def test_settings_of_the_sweep_reach_the_script(tmp_path: Path, tiny: Path) -> None:
    text = script_of(
        tmp_path / "a", str(tiny), "--workers", "2", "--shards", "2",
        "--set", "limits={cell_gib: 3}",
    )  # fmt: skip
    assert "#SBATCH --mem=6144M\n" in text
    assert "#SBATCH --cpus-per-task=2\n" in text
    assert "--set 'limits={cell_gib: 3}'" in text


def test_more_shards_than_parts_are_refused(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["slurm", str(tiny), "--shards", "9", "--out", str(tmp_path)]) == 2
    assert "--shards 9: the sweep has 2 parts" in capsys.readouterr().err


def test_a_path_that_would_end_an_option_is_refused(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["slurm", str(tiny), "--out", str(tmp_path / "a\n#SBATCH --x")]) == 2
    assert "Slurm cannot use this path" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shards", "timed", "expected"),
    [(5, 3, "1-2,4-5"), (5, 1, "2-5"), (5, 5, "1-4"), (2, 1, "2"), (3, 2, "1,3")],
)
def test_the_other_tasks(shards: int, timed: int, expected: str) -> None:
    assert others(shards, timed) == expected


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Start a cluster of this machine alone; the environment for its commands."""
    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)} (Debian: slurmctld slurmd munge)")
    folder = tmp_path / "slurm"
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(parents=True, mode=0o700)
    munge = folder / "munge"
    (munge / "key").write_bytes(os.urandom(1024))
    (munge / "key").chmod(0o400)
    host = socket.gethostname().split(".")[0]
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder, host=host, user=user, ports=(_free_port(), _free_port())
        )
    )
    environment = {**os.environ, "SLURM_CONF": str(configuration), "BENCH_LONG_NO_COST": "1"}
    files = {"key": "key-file", "socket": "socket", "seed": "seed-file", "log": "log-file"}
    calls = [
        ["munged", "-F", "--force", *(f"--{option}={munge / f}" for f, option in files.items()),
         f"--pid-file={munge / 'pid'}"],
        ["slurmctld", "-D", "-f", str(configuration)],
        ["slurmd", "-D", "-f", str(configuration)],
    ]  # fmt: skip
    started: list[subprocess.Popen[bytes]] = []
    try:
        for call in calls:
            program = shutil.which(call[0], path="/usr/sbin:/usr/bin")
            assert program
            with (folder / f"{call[0]}.out").open("wb") as out:
                started.append(
                    subprocess.Popen([program, *call[1:]], env=environment, stdout=out, stderr=out)
                )
            if call[0] == "munged":
                wait_for(lambda: (munge / "socket").exists(), 240)
        wait_for(lambda: "idle" in _ask(environment, "sinfo", "-h", "-o", "%t"), 240)
        yield environment
    finally:
        subprocess.run(["scancel", "-u", user], env=environment, timeout=30, check=False)
        for process in reversed(started):
            process.terminate()
            process.wait(30)


def _ask(environment: dict[str, str], *words: str) -> str:
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.slow
def test_an_array_on_a_real_slurm_resumes_and_equals_a_local_run(
    slurm: dict[str, str], tmp_path: Path
) -> None:
    sweep = tmp_path / "tiny.yaml"
    sweep.write_text(TINY.replace("controls: []", "controls: [head]\nseeds: [0, 1]"))
    local = tmp_path / "local"
    assert results_here(sweep, "--out", local) == 0
    folder = tmp_path / "array"
    text = script_of(folder, str(sweep), "--shards", "2")
    assert "#SBATCH --requeue" in text
    job = _ask(slurm, "sbatch", "--parsable", str(folder / "slurm.sh")).strip()
    first = folder / "shard-1" / "cells"
    wait_for(lambda: any(first.glob("*.json")), 240)
    kept = {path: path.stat().st_mtime_ns for path in first.glob("*.json")}
    _ask(slurm, "scontrol", "requeue", f"{job}_1")

    def ended() -> bool:
        # A requeued task waits two minutes unless its start is set.
        _ask(slurm, "scontrol", "update", f"JobId={job}_1", "StartTime=now")
        return not _ask(slurm, "squeue", "-h").strip()

    wait_for(ended, 400)
    log = (folder / "slurm-logs" / "1.log").read_text()
    assert log.count("cells to run") + log.count("nothing to do") >= 2, log
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    merged = {
        i: result
        for shard in ("shard-1", "shard-2")
        for i, result in read_run(folder / shard).results.items()
    }
    expected = read_run(local).results
    assert merged.keys() == expected.keys()
    for i, result in expected.items():
        assert merged[i].ok
        assert merged[i].scores == result.scores
        assert merged[i].predictions == result.predictions
