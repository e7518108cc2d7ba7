"""SSMLoRA on a whole model: chooses the layers, adds the adapters and links them by depth."""

from __future__ import annotations

import copy
import itertools
from typing import Any, ClassVar

from peft.tuners.tuners_utils import (
    _ExcludedModule,
    _maybe_include_all_linear_layers,
    check_target_module_exists,
)
from torch import nn

from ssmlora.checkpoint import (
    check_fit,
    refuse_nested,
    without_repeated_biases,
    wrapped_modules,
)
from ssmlora.config import SSMLoraConfig
from ssmlora.layer import Linear, SSMLoraLayer
from ssmlora.placement import (
    Site,
    candidate_sites,
    in_depth_order,
    projections,
    select_sites,
)
from ssmlora.refusals import UnmergedModel
from ssmlora.state import Passes

_serial = itertools.count()


class SSMLoraModel(UnmergedModel):
    """A model with SSMLoRA adapters. `peft.get_peft_model(model, SSMLoraConfig(...))` makes it."""

    prefix = "ssmlora_"
    tuner_layer_cls = SSMLoraLayer
    method = "SSMLoRA"
    target_module_mapping: ClassVar[dict[str, list[str]]] = {}  # see placement.DEFAULT_TARGETS

    def inject_adapter(
        self,
        model: nn.Module,
        adapter_name: str,
        autocast_adapter_dtype: bool = True,
        low_cpu_mem_usage: bool = False,
        state_dict: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Add the adapter and link its layers on each axis."""
        # If PEFT takes the layers from a checkpoint, its tensor names say which have a state.
        self._stateful_in_checkpoint = state_dict and {
            name.split(".ssmlora_C")[0] for name in state_dict if ".ssmlora_C" in name
        }
        super().inject_adapter(
            model,
            adapter_name,
            autocast_adapter_dtype=autocast_adapter_dtype,
            low_cpu_mem_usage=low_cpu_mem_usage,
            state_dict=state_dict,
            **kwargs,
        )
        if self.peft_config[adapter_name].link_state:
            self._link(model, adapter_name)
            _watch(model)

    def _prepare_adapter_config(
        self, peft_config: SSMLoraConfig, model_config: dict[str, Any]
    ) -> SSMLoraConfig:
        refuse_nested(self.model, peft_config.modules_to_save)
        if peft_config.target_modules is None:
            candidates = candidate_sites(self.model)
            peft_config.target_modules = list(dict.fromkeys(site.kind for site in candidates))
        peft_config = _maybe_include_all_linear_layers(peft_config, self.model)
        candidates = in_depth_order(self._matches(peft_config))
        plan: dict[str, bool] = {}
        if peft_config.stateless_modules is not None:
            plain = copy.copy(peft_config)
            plain.target_modules = peft_config.stateless_modules
            plain = _maybe_include_all_linear_layers(plain, self.model)
            reserved = {site.name for site in candidates}
            plan = {name: False for name in self._matches(plain) if name not in reserved}
        if candidates:  # otherwise PEFT reports the names that it did not find
            sites = select_sites(
                candidates, peft_config.density, peft_config.placement, peft_config.placement_seed
            )
            plan |= {site.name: True for site in sites}
        # Module name -> whether it has a state. Not a field, so that it is not written to
        # checkpoints: density and placement decide it.
        peft_config._plan = plan
        return peft_config

    def _matches(self, config: SSMLoraConfig) -> list[str]:
        return [n for n in projections(self.model) if check_target_module_exists(config, n)]

    @staticmethod
    def _check_target_module_exists(peft_config: SSMLoraConfig, key: str) -> Any:
        found = check_target_module_exists(peft_config, key)
        return found if isinstance(found, _ExcludedModule) else key in peft_config._plan

    def _create_and_replace(
        self,
        peft_config: SSMLoraConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **kwargs: Any,
    ) -> None:
        if self._stateful_in_checkpoint is None:
            stateful = peft_config._plan[current_key]
        else:
            stateful = current_key in self._stateful_in_checkpoint
        if isinstance(target, SSMLoraLayer):
            target.update_layer(adapter_name, peft_config, stateful)
            return
        layer = Linear(target, adapter_name, peft_config, stateful)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    def _link(self, model: nn.Module, adapter_name: str) -> None:
        """Link the layers of each axis in depth order."""
        layers = _layers(model)
        # One object per model, even if PEFT injected adapters through several tuners.
        passes = next((at.passes for at in layers.values() if at.passes is not None), Passes())
        stateful = [
            name
            for name, layer in layers.items()
            if adapter_name in layer.settings and layer.settings[adapter_name].stateful
        ]
        axes: dict[tuple[str, str], list[Site]] = {}
        for site in in_depth_order(stateful):
            axes.setdefault(site.axis, []).append(site)
        serial = next(_serial)  # makes the keys of each adapter unique
        for sites in axes.values():
            keys = [f"{serial}.{adapter_name}.{site.name}" for site in sites]
            for i, site in enumerate(sites):
                last = i + 1 == len(sites)
                layer = layers[site.name]
                layer.passes = passes
                layer.link(adapter_name, keys[i], tuple(reversed(keys[:i])), writes=not last)

    def delete_adapter(self, adapter_name: str) -> None:
        """Delete an adapter and remove the hooks that only its chains needed.

        Raises:
            ValueError: the adapter does not exist.
        """
        super().delete_adapter(adapter_name)
        _watch(self.model)

    def _unload_and_optionally_merge(self, *args: Any, merge: bool = True, **kwargs: Any) -> Any:
        watching = [layer.passes for layer in _layers(self.model).values() if layer.passes]
        model = super()._unload_and_optionally_merge(*args, merge=merge, **kwargs)
        for passes in watching:
            passes.watch({})
        return model

    @classmethod
    def _get_learnable_bias_state_dict(
        cls, model: nn.Module, state_dict: dict[str, Any], config: SSMLoraConfig
    ) -> dict[str, Any]:
        """Exclude biases of modules trained in full: PEFT saves these under other names."""
        biases: dict[str, Any] = super()._get_learnable_bias_state_dict(model, state_dict, config)
        within = tuple(wrapped_modules(model))
        return {name: bias for name, bias in biases.items() if not name.startswith(within)}

    @classmethod
    def _remap_adapter_state_dict_for_load(
        cls, model: nn.Module, config: SSMLoraConfig, adapter_name: str, state_dict: dict[str, Any]
    ) -> dict[str, Any]:
        """Map the names as PEFT does, then check that the checkpoint fits the adapter."""
        mapped: dict[str, Any] = super()._remap_adapter_state_dict_for_load(
            model=model, config=config, adapter_name=adapter_name, state_dict=state_dict
        )
        mapped = without_repeated_biases(model, mapped)
        biases = cls._get_learnable_bias_state_dict(model, model.state_dict(), config)
        check_fit(model, adapter_name, mapped, biases)
        return mapped


def _layers(model: nn.Module) -> dict[str, SSMLoraLayer]:
    return {n: module for n, module in model.named_modules() if isinstance(module, SSMLoraLayer)}


def _watch(model: nn.Module) -> None:
    """Open forward passes at calls of the modules that run a chain: its stack and all above.

    All above, because a stack can be a plain list that a module further up iterates over.
    """
    layers = _layers(model)
    runners: dict[str, dict[str, nn.Module]] = {}
    for name, layer in layers.items():
        if any(settings.linked for settings in layer.settings.values()):
            outer = {at: model.get_submodule(at) for at in above(name)}
            blocks = {at: m for at, m in outer.items() if hasattr(m, "gradient_checkpointing")}
            stack = Site.of(name).stack
            for at in (stack, *above(stack)):
                runners.setdefault(at, {}).update(blocks)
    watched = {model.get_submodule(at): list(blocks.values()) for at, blocks in runners.items()}
    for passes in dict.fromkeys(layer.passes for layer in layers.values() if layer.passes):
        passes.watch(watched)


def above(name: str) -> list[str]:
    """Return the modules that contain the named one, nearest first, the model itself ("") last."""
    parts = name.split(".") if name else []
    return [".".join(parts[:i]) for i in reversed(range(len(parts)))]
