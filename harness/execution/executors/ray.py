"""Runs cells on Ray: on this machine, or on the cluster at `$RAY_ADDRESS`.

Needs the package ray: `pip install -e '.[ray]'`. A job is a task of Ray, which finds a node with
the processors, GPUs and memory that the job asks for. The task runs the job with the local
executor of its node, so each cell has a process of its own, with the same limits and the same
handling of failures. If the node or the process of the task is lost, Ray runs the task again
elsewhere. Results and logs come back through Ray: the nodes share no folder. A timing group is one
job, so it runs on one node.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from harness.core.errors import BadInput, one_line
from harness.core.result import CellResult, Failure
from harness.execution.executor import RESULTS, Job, Settings, died
from harness.execution.executors.local import LocalExecutor
from harness.system import resources
from harness.system.scratch import RUN, owned_folder, run_folder

ADDRESS = "RAY_ADDRESS"
"""Ray's own environment variable. Without it, or if it is `local`, Ray starts for this run."""

_ENVIRONMENT = {
    "RAY_worker_niceness": "0",  # cells have the priority of the run, as with other executors
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to Ray's makers
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a task that asks for no GPU still sees it
}
_OBJECT_STORE = 80 * 2**20
"""Bytes of shared memory, near Ray's minimum: only jobs and results pass through it."""
_LONGEST = 40
"""Characters of the path to Ray's folder, so that the paths of the sockets in it are valid."""
_PATIENCE = 5.0
"""Seconds in which Ray's processes end by themselves before they are killed."""
_SECONDS = 10.0
"""In which a cluster must answer."""
_AGAIN = 3
"""How often a job runs again after its node or the process of its task was lost."""
_LOG_BYTES = 2**20
"""The end of a cell's log that comes back."""

Answer = tuple[str, dict[str, bytes]]
"""Of a task: the results as JSON, and the log of each cell by its id."""
Work = Callable[[Job, Settings], Answer]


def run_job(job: Job, settings: Settings, main: Callable[..., None] | None = None) -> Answer:
    """Run a job to its end, in a process of Ray that may run further jobs later.

    Args:
        main: the function of a cell's process; a test may pass another.
    """
    executor, logs = _executor(replace(settings, slots=1), main)
    shared = job.keeping is not None and job.keeping.folder.is_dir()
    here = replace(
        job,
        logs=logs,
        gpus=os.environ.get("CUDA_VISIBLE_DEVICES"),
        keeping=job.keeping if shared else None,
    )
    executor.submit(here)
    while not (results := executor.finished(60)):
        pass
    return RESULTS.dump_json(results).decode(), {c.id: _taken(here.log(c)) for c in job.cells}


@cache
def _executor(settings: Settings, main: Callable[..., None] | None) -> tuple[LocalExecutor, Path]:
    """Return the executor of this process and the folder of its logs, which end with it."""
    folder = ExitStack()
    folder.enter_context(run_folder())
    _open.append(folder)
    logs = Path(tempfile.mkdtemp(prefix="logs-"))
    executor = LocalExecutor(settings) if main is None else LocalExecutor(settings, main, ["json"])
    return executor, logs


_open: list[ExitStack] = []
"""Folders that live as long as this process."""


def _taken(log: Path) -> bytes:
    """Return the end of a log and remove it; empty if there is none."""
    try:
        text = log.read_bytes()[-_LOG_BYTES:]
        log.unlink()
    except OSError:
        return b""
    return text


@dataclass(frozen=True)
class _Running:
    job: Job
    started: float


class RayExecutor:
    """Tasks of a Ray that lives as long as the run, or of a cluster.

    Args:
        settings: `slots` is the number of jobs that Ray has at a time, running or waiting.
        work: the function of the tasks; a test may pass another.

    Raises:
        BadInput: ray is not installed.
    """

    def __init__(self, settings: Settings, work: Work = run_job) -> None:
        _require_ray()
        self.slots = settings.slots
        self._settings = settings
        self._work = work
        self._ray: Any = None
        self._task: Any = None
        self._stack = ExitStack()
        self._others: set[psutil.Process] = set()
        self._running: dict[Any, _Running] = {}

    def submit(self, job: Job) -> None:
        """Give the job to Ray; the first call starts Ray or connects to the cluster.

        Raises:
            BadInput: Ray cannot be started or reached, or no node has a GPU for the job.
        """
        if self._ray is None:
            self._others = {*psutil.Process().children(recursive=True)}
            self._ray = connect(self.slots, self._folder())
            self._task = self._ray.remote(self._work)
        asked = demands(job, self._settings, self._ray.nodes())
        task = self._task.options(**asked, max_retries=_AGAIN)
        self._running[task.remote(job, self._settings)] = _Running(job, time.monotonic())

    def finished(self, timeout: float) -> list[CellResult]:
        """Collect results; a job that was lost several times yields failed ones."""
        ready, _ = self._ray.wait([*self._running], timeout=timeout)
        return [result for reference in ready for result in self._results(reference)]

    def pause(self) -> None:
        """Nothing is done: the cells go on while the run is suspended."""

    def resume(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """End all tasks; a Ray that this run has started ends, too, with all its processes."""
        if self._ray is None:
            return
        started = {*psutil.Process().children(recursive=True)} - self._others
        for reference in self._running:
            with suppress(Exception):  # a task that has just ended
                self._ray.cancel(reference, force=True)
        self._ray.shutdown()
        _, alive = psutil.wait_procs(started, timeout=_PATIENCE)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=_PATIENCE)
        self._stack.close()
        self._ray = None
        self._running.clear()

    def _folder(self) -> Path:
        folder = Path(tempfile.gettempdir())
        if len(str(folder)) > _LONGEST:
            folder = self._stack.enter_context(owned_folder(Path("/tmp"), RUN))  # noqa: S108
        return folder

    def _results(self, reference: Any) -> list[CellResult]:
        running = self._running.pop(reference)
        seconds = time.monotonic() - running.started
        errors = self._ray.exceptions
        try:
            found, logs = self._ray.get(reference)
        except errors.OutOfMemoryError:
            failure = Failure("oom", "KilledForMemory", "Ray ended its task: out of memory")
        except (errors.WorkerCrashedError, errors.NodeDiedError):
            failure = died(f"its Ray task was lost {_AGAIN + 1} times")
        except Exception as error:
            failure = Failure("error", type(error).__name__, one_line(error))
        else:
            for cell in running.job.cells:
                _append(running.job.log(cell), logs.get(cell.id, b""))
            return RESULTS.validate_json(found)
        return [CellResult.failed(cell, None, failure, seconds) for cell in running.job.cells]


def make(settings: Settings) -> RayExecutor:
    """Build the executor."""
    return RayExecutor(settings)


def default_workers(device: str) -> int:
    """Jobs at a time: one for each GPU or processor of the cluster, if there is one.

    Raises:
        BadInput: ray is not installed, or the cluster cannot be reached.
    """
    if _address() == "local":
        return resources.default_workers(device)
    _require_ray()
    total = connect(0, Path(tempfile.gettempdir())).cluster_resources()
    return max(1, int(total.get("GPU" if device == "cuda" else "CPU", 1)))


def connect(slots: int, folder: Path) -> Any:
    """Return the module ray, connected to the cluster or to a Ray with this many processors.

    Args:
        slots: processors of a Ray on this machine.
        folder: of the files of a Ray on this machine.

    Raises:
        BadInput: Ray cannot be started or reached.
    """
    os.environ.update(_ENVIRONMENT)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    import ray

    if ray.is_initialized():
        return ray
    address = _address()
    own: dict[str, Any] = {}
    if address == "local":
        own = {
            "num_cpus": slots,
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE,
            "_temp_dir": str(folder),
        }
    try:
        _reach(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as error:  # Ray raises many kinds
        doing = "started" if own else f"reached at {ADDRESS}={address}"
        raise BadInput(f"--executor ray: Ray cannot be {doing}: {one_line(error)}") from None
    finally:
        for number, handler in handlers.items():  # Ray sets its own
            signal.signal(number, handler)
    return ray


def _reach(address: str) -> None:
    """Connect to a cluster once, because Ray would try for minutes.

    Raises:
        OSError: nothing answers there.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():  # not `local` or `auto`
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS).close()


def _address() -> str:
    return os.environ.get(ADDRESS) or "local"


def _require_ray() -> None:
    if importlib.util.find_spec("ray") is None:
        raise BadInput("--executor ray: the package ray is not installed: pip install -e '.[ray]'")


def demands(job: Job, settings: Settings, nodes: list[dict[str, Any]]) -> dict[str, float]:
    """Return what a node must have free for a job, at most what the largest node has.

    Raises:
        BadInput: it needs a GPU, and no node has one.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]

    def largest(name: str) -> float:
        return max((node.get(name, 0.0) for node in alive), default=0.0)

    found: dict[str, float] = {"num_cpus": min(job.threads, largest("CPU"))}
    if job.cells[0].device == "cuda":
        total = sum(node.get("GPU", 0.0) for node in alive)
        if not total:
            raise BadInput("--executor ray: the sweep has device: cuda, and no node has a GPU")
        found["num_gpus"] = min(1.0, total / settings.slots)
    elif memory := job.memory or (settings.memory_bytes or 0) * len(job.cells):
        found["memory"] = min(memory, int(largest("memory")))
    return found


def _append(path: Path, text: bytes) -> None:
    """Write the log of a cell where the local executor writes it."""
    with suppress(OSError), path.open("ab") as log:
        log.write(text)
