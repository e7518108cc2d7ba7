"""Runs cells on Ray, on this machine. Needs the package ray: `pip install -e '.[ray]'`.

Ray starts one actor per slot. An actor runs its jobs with the local executor, so each cell still
has a process of its own, with the same limits and the same handling of failures. A timing group is
one job, so it runs on one machine. If the run is
killed with SIGKILL, its cells end within seconds and Ray's own processes within minutes.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from harness.core.errors import BadInput, one_line
from harness.core.result import CellResult, Failure
from harness.execution.executor import RESULTS, Job, Settings, died
from harness.execution.executors.local import LocalExecutor
from harness.system.machine import describe_machine
from harness.system.scratch import RUN, owned_folder, run_folder

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to Ray's makers
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # an actor that asks for no GPU still sees it
}
_OBJECT_STORE = 80 * 2**20
"""Bytes of shared memory, near Ray's minimum: only jobs and results pass through it."""
_LONGEST = 40
"""Characters of the path to Ray's folder, so that the paths of the sockets in it are valid."""
_PATIENCE = 5.0
"""Seconds in which Ray's processes end by themselves before they are killed."""


class Host:
    """The actor: runs one job at a time on the machine where Ray has placed it."""

    def __init__(self, settings: Settings) -> None:
        self._stack = ExitStack()
        self._stack.enter_context(run_folder())  # until this process ends
        self.executor = LocalExecutor(replace(settings, slots=1))

    def machine(self) -> dict[str, Any]:
        """Describe the actor's machine."""
        return describe_machine()

    def run(self, job: Job) -> str:
        """Run a job to its end and return its results as JSON."""
        self.executor.submit(job)
        while not (results := self.executor.finished(60)):
            pass
        return RESULTS.dump_json(results).decode()


@dataclass(frozen=True)
class _Slot:
    """An actor, and the description of its machine (a reference to it)."""

    actor: Any
    machine: Any


@dataclass(frozen=True)
class _Running:
    job: Job
    slot: _Slot
    started: float


class RayExecutor:
    """Actors of a Ray that lives as long as the run.

    Args:
        host: the class of the actors; a test may pass another.

    Raises:
        BadInput: ray is not installed.
    """

    def __init__(self, settings: Settings, host: type[Host] = Host) -> None:
        if importlib.util.find_spec("ray") is None:
            raise BadInput(
                "--executor ray: the package ray is not installed: pip install -e '.[ray]'"
            )
        self.slots = settings.slots
        self._settings = settings
        self._host = host
        self._ray: Any = None
        self._stack = ExitStack()
        self._others: set[psutil.Process] = set()
        self._idle: list[_Slot] = []
        self._running: dict[Any, _Running] = {}

    def submit(self, job: Job) -> None:
        """Send the job to an idle actor; the first call starts Ray.

        Raises:
            BadInput: Ray cannot be started.
        """
        if self._ray is None:
            self._start()
        slot = self._idle.pop() if self._idle else self._new_slot()
        self._running[slot.actor.run.remote(job)] = _Running(job, slot, time.monotonic())

    def finished(self, timeout: float) -> list[CellResult]:
        """Collect results; an actor that died yields a failed one and is replaced."""
        ready, _ = self._ray.wait([*self._running], timeout=timeout)
        return [result for reference in ready for result in self._results(reference)]

    def pause(self) -> None:
        """Nothing is done: the cells go on while the run is suspended."""

    def resume(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Stop Ray and wait until its processes and those of the cells have ended."""
        if self._ray is None:
            return
        started = {*psutil.Process().children(recursive=True)} - self._others
        self._ray.shutdown()
        _, alive = psutil.wait_procs(started, timeout=_PATIENCE)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=_PATIENCE)
        self._stack.close()
        self._ray = None
        self._idle.clear()
        self._running.clear()

    def _start(self) -> None:
        os.environ.update(_ENVIRONMENT)
        self._others = {*psutil.Process().children(recursive=True)}
        import ray

        self._ray = ray
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            ray.init(
                address="local",
                num_cpus=self.slots,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=_OBJECT_STORE,
                _temp_dir=str(self._folder()),
            )
        except Exception as error:  # Ray raises many kinds
            raise BadInput(f"--executor ray: Ray cannot be started: {one_line(error)}") from None
        finally:
            for number, handler in handlers.items():  # Ray sets its own
                signal.signal(number, handler)

    def _folder(self) -> Path:
        folder = Path(tempfile.gettempdir())
        if len(str(folder)) > _LONGEST:
            folder = self._stack.enter_context(owned_folder(Path("/tmp"), RUN))  # noqa: S108
        return folder

    def _new_slot(self) -> _Slot:
        actor = (
            self._ray.remote(self._host).options(num_cpus=1, max_restarts=0).remote(self._settings)
        )
        return _Slot(actor, actor.machine.remote())

    def _results(self, reference: Any) -> list[CellResult]:
        running = self._running.pop(reference)
        try:
            results = RESULTS.validate_json(self._ray.get(reference))
            self._idle.append(running.slot)
            return results
        except self._ray.exceptions.RayActorError:
            failure = died("its Ray actor died")
        except Exception as error:
            failure = Failure("error", type(error).__name__, one_line(error))
        seconds = time.monotonic() - running.started
        machine = self._machine(running.slot)
        return [CellResult.failed(cell, machine, failure, seconds) for cell in running.job.cells]

    def _machine(self, slot: _Slot) -> dict[str, Any] | None:
        try:
            machine: dict[str, Any] = self._ray.get(slot.machine, timeout=1)
        except Exception:  # the actor died before it described its machine
            return None
        return machine


def make(settings: Settings) -> RayExecutor:
    """Build the executor."""
    return RayExecutor(settings)
