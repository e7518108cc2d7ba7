"""SSMLoRA on a whole model: choose the layers, put the adapters in, link them by depth."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from peft.tuners.tuners_utils import (
    BaseTuner,
    _ExcludedModule,
    _maybe_include_all_linear_layers,
    check_target_module_exists,
)
from torch import nn

from ssmlora.config import SSMLoraConfig
from ssmlora.layer import MERGE_REFUSED, Linear, SSMLoraLayer
from ssmlora.placement import (
    Site,
    candidate_sites,
    in_depth_order,
    is_projection,
    select_sites,
)
from ssmlora.state import watch

_serial = itertools.count()


class SSMLoraModel(BaseTuner):  # type: ignore[misc]
    """A model with SSMLoRA adapters. Made by `peft.get_peft_model(model, SSMLoraConfig(...))`."""

    prefix = "ssmlora_"
    tuner_layer_cls = SSMLoraLayer
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
        """Put the adapter in, then fix the order of its layers on each time axis."""
        # Where PEFT takes the layers from a checkpoint's names, those also say who has a state.
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

    def _prepare_adapter_config(
        self, peft_config: SSMLoraConfig, model_config: dict[str, Any]
    ) -> SSMLoraConfig:
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
        if candidates:  # otherwise PEFT says which names it did not find
            sites = select_sites(
                candidates, peft_config.density, peft_config.placement, peft_config.placement_seed
            )
            plan |= {site.name: True for site in sites}
        # Module name -> whether it has a state. Not a field: it is not written to checkpoints,
        # where density and placement say the same.
        peft_config._plan = plan
        return peft_config

    def _matches(self, config: SSMLoraConfig) -> list[str]:
        return [
            name
            for name, module in self.model.named_modules()
            if is_projection(name, module) and check_target_module_exists(config, name)
        ]

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
        """Chain the layers of each axis in depth order and watch the modules that run them."""
        layers = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, SSMLoraLayer)
            and adapter_name in module.settings
            and module.settings[adapter_name].stateful
        }
        axes: dict[tuple[str, str], list[Site]] = {}
        for site in in_depth_order(list(layers)):
            axes.setdefault(site.axis, []).append(site)
        serial = next(_serial)  # no two models share a key, whatever their modules are called
        for sites in axes.values():
            keys = [f"{serial}.{adapter_name}.{site.name}" for site in sites]
            for i, site in enumerate(sites):
                last = i + 1 == len(sites)
                layers[site.name].link(
                    adapter_name, tuple(reversed(keys[:i])), None if last else keys[i]
                )
        self._watch(model, [site for sites in axes.values() if len(sites) > 1 for site in sites])

    def _watch(self, model: nn.Module, sites: list[Site]) -> None:
        """Make calls of whatever runs a chain forward passes: its stack's module and those above.

        Those above too, because a stack can be a bare list that its owner's owner walks through.
        """
        if not hasattr(self, "_handles"):
            self._handles: dict[str, list[Any]] = {}
        runners: dict[str, dict[str, nn.Module]] = {}
        for site in sites:
            blocks = {
                name: model.get_submodule(name)
                for name in _above(site.name)
                if hasattr(model.get_submodule(name), "gradient_checkpointing")
            }
            for name in (site.stack, *_above(site.stack)):
                runners.setdefault(name, {}).update(blocks)
        for name, blocks in runners.items():
            for handle in self._handles.pop(name, []):
                handle.remove()
            self._handles[name] = watch(model.get_submodule(name), list(blocks.values()))

    @contextmanager
    def _enable_peft_forward_hooks(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        """Around every call of the PeftModel; PEFT would drop `adapter_names` silently.

        Raises:
            NotImplementedError: another adapter for every row of the batch was asked for.
        """
        if kwargs.get("adapter_names") is not None:
            raise NotImplementedError(
                "SSMLoRA does not mix adapters within a batch (adapter_names): call set_adapter"
            )
        yield

    def _check_merge_allowed(self) -> None:
        raise NotImplementedError(MERGE_REFUSED)

    def _unload_and_optionally_merge(self, *args: Any, merge: bool = True, **kwargs: Any) -> Any:
        model = super()._unload_and_optionally_merge(*args, merge=merge, **kwargs)
        for handles in getattr(self, "_handles", {}).values():
            for handle in handles:
                handle.remove()
        return model

    @classmethod
    def _remap_adapter_state_dict_for_load(
        cls, model: nn.Module, config: SSMLoraConfig, adapter_name: str, state_dict: dict[str, Any]
    ) -> dict[str, Any]:
        """Refuse a checkpoint that does not fit, by the names of its tensors.

        Raises:
            ValueError: tensors that are missing, not known or of another shape.
        """
        mapped: dict[str, Any] = super()._remap_adapter_state_dict_for_load(
            model=model, config=config, adapter_name=adapter_name, state_dict=state_dict
        )
        wanted = {
            f"{name}.{kind}.{adapter_name}": parameters[adapter_name].shape
            for name, module in model.named_modules()
            if isinstance(module, SSMLoraLayer)
            for kind in module.adapter_layer_names
            if adapter_name in (parameters := getattr(module, kind))
        }
        found = {name: tensor for name, tensor in mapped.items() if f".{cls.prefix}" in name}
        if not any(name in wanted for name in found):  # injected into a model without PeftModel
            found = {name.removeprefix("base_model.model."): t for name, t in found.items()}
        problems = [f"missing: {name}" for name in wanted if name not in found]
        problems += [f"not known: {name}" for name in found if name not in wanted]
        problems += [
            f"wrong shape: {name} is {tuple(tensor.shape)}, not {tuple(wanted[name])}"
            for name, tensor in found.items()
            if name in wanted and tensor.shape != wanted[name]
        ]
        if problems:
            more = f" and {len(problems) - 8} more" * (len(problems) > 8)
            raise ValueError(
                "the checkpoint does not fit the adapter: " + "; ".join(problems[:8]) + more
            )
        return mapped


def _above(name: str) -> list[str]:
    """All modules that hold the named one, nearest first, the model itself ("") last."""
    parts = name.split(".") if name else []
    return [".".join(parts[:i]) for i in reversed(range(len(parts)))]
