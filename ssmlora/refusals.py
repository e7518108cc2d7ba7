"""What an adapter refuses if no weight matrix equals its update."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer


class UnmergedLayer(BaseTunerLayer):  # type: ignore[misc]
    """A layer that cannot be merged. `merge_refused` says why."""

    merge_refused: ClassVar[str]

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Not supported: no weight matrix equals the update.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(self.merge_refused)

    def unmerge(self) -> None:
        """Nothing is ever merged, so nothing can be unmerged.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(self.merge_refused)


class UnmergedModel(BaseTuner):  # type: ignore[misc]
    """A model of such layers."""

    tuner_layer_cls: ClassVar[type[UnmergedLayer]]
    method: ClassVar[str]

    @contextmanager
    def _enable_peft_forward_hooks(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        """Run around every call of the PeftModel. PEFT would ignore `adapter_names` silently.

        Raises:
            NotImplementedError: `adapter_names` is given (an adapter per row of the batch).
        """
        if kwargs.get("adapter_names") is not None:
            raise NotImplementedError(
                f"{self.method} does not mix adapters within a batch (adapter_names): call "
                f"set_adapter"
            )
        yield

    def _check_merge_allowed(self) -> None:
        raise NotImplementedError(self.tuner_layer_cls.merge_refused)
