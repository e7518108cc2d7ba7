"""The tuner: replaces the chosen modules, links them along depth, opens a pass for each forward."""

from __future__ import annotations

from typing import Any

from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import nn

from ssmlora.config import SSMLoraConfig
from ssmlora.layer import SSMLoraLinear
from ssmlora.placement import QUERY_VALUE, Site, candidate_sites, select_sites
from ssmlora.state import Owner, carry, close_pass, open_pass


class SSMLoraModel(BaseTuner):  # type: ignore[misc]
    """SSMLoRA around a model. Use `peft.get_peft_model(model, SSMLoraConfig(...))`."""

    prefix = "ssmlora_"
    tuner_layer_cls = SSMLoraLinear
    target_module_mapping = QUERY_VALUE

    def __init__(self, model: nn.Module, *args: Any, **kwargs: Any) -> None:
        object.__setattr__(self, "_owner", Owner())
        super().__init__(model, *args, **kwargs)
        self.model.register_forward_pre_hook(self._open)
        self.model.register_forward_hook(self._close, always_call=True)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model with its hooks, which open and close the pass."""
        return self.model(*args, **kwargs)

    def _open(self, *_: Any) -> None:
        self._carry_checkpoints()
        open_pass(self._owner)

    def _close(self, *_: Any) -> None:
        close_pass(self._owner)

    def _carry_checkpoints(self) -> None:
        """Let blocks that transformers checkpoints be recomputed inside their own pass."""
        for module in self.model.modules():
            function = vars(module).get("_gradient_checkpointing_func")
            if function is not None and getattr(function, "ssmlora_owner", None) is not self._owner:
                module._gradient_checkpointing_func = carry(self._owner, function)

    def _prepare_adapter_config(
        self, peft_config: SSMLoraConfig, model_config: dict[str, Any]
    ) -> SSMLoraConfig:
        return peft_config  # sites are chosen in _prepare_model, which sees the modules

    def _prepare_model(self, peft_config: SSMLoraConfig, model: nn.Module) -> None:
        """Turn density and placement into `peft_config.sites`; a loaded adapter has them."""
        if peft_config.sites is not None:
            return
        candidates = [s for s in candidate_sites(model, peft_config.target_modules)]
        if peft_config.exclude_modules:
            out = tuple(f".{name}" for name in peft_config.exclude_modules)
            candidates = [s for s in candidates if not f".{s.name}".endswith(out)]
        if peft_config.layers_to_transform is not None:
            candidates = [s for s in candidates if s.layer in peft_config.layers_to_transform]
        if not candidates:
            raise ValueError("exclude_modules and layers_to_transform leave nothing to adapt")
        sites = select_sites(
            candidates, peft_config.density, peft_config.placement, peft_config.placement_seed
        )
        peft_config.sites = [site.name for site in sites]

    @staticmethod
    def _check_target_module_exists(peft_config: SSMLoraConfig, key: str) -> bool:
        if key in (peft_config.sites or ()):
            return True
        return any(f".{key}".endswith(f".{name}") for name in peft_config.stateless_modules or ())

    def _create_and_replace(
        self,
        peft_config: SSMLoraConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **_: Any,
    ) -> None:
        stateful = current_key in (peft_config.sites or ())
        if isinstance(target, SSMLoraLinear):
            target.update_layer(adapter_name, peft_config, stateful, current_key)
            return
        if isinstance(target, BaseTunerLayer):
            raise ValueError(f"{current_key} is adapted by another method already")
        layer = SSMLoraLinear(target, self._owner)
        layer._active_adapter = adapter_name
        layer.update_layer(adapter_name, peft_config, stateful, current_key)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    def _post_injection_hook(
        self, model: nn.Module, config: SSMLoraConfig, adapter_name: str
    ) -> None:
        """Tell every stateful layer whose state it receives."""
        last: dict[str, str] = {}
        layers = {n: m for n, m in model.named_modules() if isinstance(m, SSMLoraLinear)}
        for site in self.linked_sites(config):
            layers[site.name].previous[adapter_name] = last.get(site.axis)
            last[site.axis] = site.name

    def linked_sites(self, config: SSMLoraConfig) -> list[Site]:
        """The stateful sites of an adapter in depth order."""
        names = config.sites or []
        kinds = list(dict.fromkeys(name.rsplit(".", 1)[-1] for name in names))
        return [s for s in candidate_sites(self.model, kinds) if s.name in set(names)]

    def _check_merge_allowed(self) -> None:
        raise NotImplementedError(
            "SSMLoRA cannot be merged into the base weights: the min-max step of its state is not "
            "linear in the layer's input. Keep the adapter, or unload() to drop it"
        )
