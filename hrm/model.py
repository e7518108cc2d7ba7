"""HRM adapters on a whole model."""

from __future__ import annotations

from typing import Any, ClassVar

from peft.tuners.tuners_utils import check_target_module_exists
from torch import nn

from hrm.config import HrmConfig
from hrm.layer import Adapted, HrmLayer
from ssmlora.checkpoint import check_fit, refuse_nested
from ssmlora.model import above
from ssmlora.placement import Site
from ssmlora.refusals import UnmergedModel

_CACHE_REFUSED = (
    "HRM adapters start every forward pass from an empty state, so a token that is decoded with a "
    "KV cache would miss the state of the tokens in it: pass use_cache=False."
)

TOKENS_FIRST = ("xlnet", "transfo-xl", "longformer", "led")
"""Model types that pass (tokens, rows, width) to some modules: a state would cross rows."""


class HrmModel(UnmergedModel):
    """A model with HRM adapters. `peft.get_peft_model(model, HrmConfig(...))` makes it."""

    prefix = "hrm_"
    tuner_layer_cls = HrmLayer
    method = "HRM"
    target_module_mapping: ClassVar[dict[str, list[str]]] = {
        family: ["mlp"]
        for family in ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "gpt2")
    }

    _guards: tuple[Any, ...] = ()

    def inject_adapter(self, model: nn.Module, *args: Any, **kwargs: Any) -> None:
        """Add the adapter, and refuse KV caches with tokens in them."""
        super().inject_adapter(model, *args, **kwargs)
        self._unguard()
        stacks = [Site.of(name).stack for name, _ in _layers(model)]
        at = dict.fromkeys(name for stack in stacks for name in (stack, *above(stack)))
        self._guards = tuple(
            model.get_submodule(name).register_forward_pre_hook(_refuse_cache, with_kwargs=True)
            for name in at
        )

    def _unguard(self) -> None:
        for guard in self._guards:
            guard.remove()
        self._guards = ()

    def _prepare_adapter_config(
        self, peft_config: HrmConfig, model_config: dict[str, Any]
    ) -> HrmConfig:
        if model_config.get("model_type") in TOKENS_FIRST:
            raise ValueError(
                f"HRM does not support {model_config['model_type']}: it passes tokens of several "
                f"texts to a layer in an order in which a state would run from text to text"
            )
        refuse_nested(self.model, peft_config.modules_to_save)
        peft_config = super()._prepare_adapter_config(peft_config, model_config)
        modules = dict(self.model.named_modules())
        targets = [n for n in modules if n and check_target_module_exists(peft_config, n)]
        found = dict.fromkeys([*targets, *(name for name, _ in _layers(self.model))])
        for name in found:
            outer = next((at for at in above(name) if at in found), None)
            if outer is not None:
                raise ValueError(
                    f"target_modules: {name} lies within {outer}, and only one of them can be "
                    f"adapted"
                )
        return peft_config

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

    def _unload_and_optionally_merge(self, *args: Any, merge: bool = True, **kwargs: Any) -> Any:
        model = super()._unload_and_optionally_merge(*args, merge=merge, **kwargs)
        self._unguard()
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


def _layers(model: nn.Module) -> list[tuple[str, HrmLayer]]:
    return [(name, at) for name, at in model.named_modules() if isinstance(at, HrmLayer)]


def _refuse_cache(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse a cache in any argument: its name depends on the version of transformers."""
    caches = [at for at in (*args, *kwargs.values()) if hasattr(at, "get_seq_length")]
    if not any(_holds_tokens(cache) for cache in caches):
        return
    if any(layer.remembers for _, layer in _layers(model)):
        raise NotImplementedError(_CACHE_REFUSED)


def _holds_tokens(cache: Any) -> bool:
    try:
        return bool(cache.get_seq_length())
    except ValueError:  # a cache of recurrent states, which does not count its tokens
        return True
