"""HRM adapters on a whole model."""

from __future__ import annotations

from typing import Any, ClassVar

from peft.tuners.tuners_utils import BaseTuner
from torch import nn

from hrm.config import HrmConfig
from hrm.layer import MERGE_REFUSED, Adapted, HrmLayer
from ssmlora.checkpoint import check_fit

_CACHE_REFUSED = (
    "HRM adapters start every forward pass from an empty state, so a token that is decoded with a "
    "KV cache would miss the state of the tokens in it: pass use_cache=False."
)


class HrmModel(BaseTuner):  # type: ignore[misc]
    """A model with HRM adapters. `peft.get_peft_model(model, HrmConfig(...))` makes it."""

    prefix = "hrm_"
    tuner_layer_cls = HrmLayer
    target_module_mapping: ClassVar[dict[str, list[str]]] = {
        family: ["mlp"]
        for family in ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "gpt2")
    }

    def _post_injection_hook(self, model: nn.Module, config: HrmConfig, adapter_name: str) -> None:
        """Refuse KV caches with tokens in them; a second adapter adds no second hook."""
        if not getattr(self, "_refuses_caches", None):
            self._refuses_caches = model.register_forward_pre_hook(_refuse_cache, with_kwargs=True)

    def _create_and_replace(
        self,
        peft_config: HrmConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **kwargs: Any,
    ) -> None:
        if isinstance(target, HrmLayer):
            target.update_layer(adapter_name, peft_config)
            return
        layer = Adapted(target, adapter_name, peft_config)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    def _replace_module(
        self, parent: nn.Module, child_name: str, new_module: nn.Module, child: nn.Module
    ) -> None:
        """Put a module in the place of another. PEFT's own method needs modules with a weight."""
        setattr(parent, child_name, new_module)

    def _check_merge_allowed(self) -> None:
        raise NotImplementedError(MERGE_REFUSED)

    def _unload_and_optionally_merge(self, *args: Any, merge: bool = True, **kwargs: Any) -> Any:
        model = super()._unload_and_optionally_merge(*args, merge=merge, **kwargs)
        self._refuses_caches.remove()
        return model

    @classmethod
    def _remap_adapter_state_dict_for_load(
        cls, model: nn.Module, config: HrmConfig, adapter_name: str, state_dict: dict[str, Any]
    ) -> dict[str, Any]:
        """Map the names as PEFT does, then check that the checkpoint fits the adapter."""
        mapped: dict[str, Any] = super()._remap_adapter_state_dict_for_load(
            model=model, config=config, adapter_name=adapter_name, state_dict=state_dict
        )
        check_fit(model, adapter_name, mapped, (), prefix=cls.prefix)
        return mapped


def _refuse_cache(model: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
    # The argument's name depends on the version of transformers.
    caches = (value for value in kwargs.values() if hasattr(value, "get_seq_length"))
    if any(cache.get_seq_length() for cache in caches):
        layers = (at for at in model.modules() if isinstance(at, HrmLayer))
        if any(not layer.disable_adapters for layer in layers):
            raise NotImplementedError(_CACHE_REFUSED)
