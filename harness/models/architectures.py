"""The configuration of a backbone, equal for all arms, and checks of its architecture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.models.backbones import Backbone

_HIDDEN_DROPOUTS = (
    "hidden_dropout_prob", "hidden_dropout", "resid_pdrop", "resid_dropout", "dropout",
    "dropout_rate", "embd_pdrop", "embed_dropout", "embedding_dropout", "mlp_dropout",
)  # fmt: skip
"""Names in transformers of the dropout of hidden states and embeddings."""


def read_config(backbone: Backbone, dropout: float, pad_token_id: int | None) -> Any:
    """Read config.json, and set what the sweep or the loss decides.

    Hidden dropout is `dropout`; every other dropout is 0. The padding id of the model is kept,
    because RoBERTa counts positions from it; `pad_token_id` is for models without one.

    Raises:
        ValueError: transformers does not know the architecture, or it is not an encoder or decoder
            of text.
    """
    from transformers import AutoConfig

    _check_known(backbone)
    try:
        config = AutoConfig.from_pretrained(
            backbone.folder, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:  # transformers raises many types, with several lines
        raise ValueError(f"config.json: {' '.join(str(error).split())}") from None
    check_reads_text(config)
    for field, value in list(vars(config).items()):
        if "drop" in field and isinstance(value, int | float) and not isinstance(value, bool):
            setattr(config, field, dropout if field in _HIDDEN_DROPOUTS else 0.0)
    own = getattr(config, "pad_token_id", None)
    known = isinstance(own, int) and 0 <= own < getattr(config, "vocab_size", 0)
    config.pad_token_id = own if known else pad_token_id
    config.use_cache = False  # training does not use cached keys and values
    # The caller decides what a forward pass returns.
    config.return_dict = True
    config.output_attentions = config.output_hidden_states = False
    # Both trade memory for time, and both are measured.
    config.gradient_checkpointing, config.chunk_size_feed_forward = False, 0
    return config


def shorten(config: Any, blocks: int) -> None:
    """Make a configuration describe a model of its first blocks."""
    config.num_hidden_layers = blocks
    kinds = getattr(config, "layer_types", None)
    if kinds:
        config.layer_types = kinds[:blocks]


def describe_dropout(config: Any) -> str:
    """Attention and hidden dropout of a configuration that `read_config` made."""
    hidden = next((getattr(config, f) for f in _HIDDEN_DROPOUTS if hasattr(config, f)), 0.0)
    return f"attention 0, hidden {hidden or 0.0:g}"


def check_reads_text(config: Any) -> None:
    """Check that a configuration describes one encoder or one decoder of text.

    Raises:
        ValueError: an encoder-decoder, a model of several parts, or one of images or sound.
    """
    from transformers import AutoModel

    name = f"config.json: model_type: '{config.model_type}'"
    remedy = "take an encoder or a decoder of text"
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError(f"{name} is an encoder-decoder, which no arm here adapts: {remedy}")
    # A sub-configuration may be absent (ESM's folding head) or hold settings (MPT's `attn_config`).
    models = (n for n in sorted(config.sub_configs) if getattr(config, n, None) is not None)
    parts = ", ".join(n for n in models if getattr(getattr(config, n), "model_type", ""))
    if parts:
        raise ValueError(f"{name} is made of several models ({parts}): {remedy}")
    read = model_class(AutoModel, config).main_input_name
    if read != "input_ids":
        raise ValueError(f"{name} reads {read}, not text: {remedy}")
    if not isinstance(getattr(config, "hidden_size", None), int):
        raise ValueError(f"{name} has no hidden_size that a classifier could be built on: {remedy}")


def model_class(kind: Any, config: Any) -> Any:
    """Return the model class that an auto class maps a configuration to.

    Raises:
        ValueError: it maps it to none.
    """
    if type(config) not in kind._model_mapping:
        raise ValueError(
            f"config.json: model_type: transformers has no {kind.__name__} of '{config.model_type}'"
        )
    found = kind._model_mapping[type(config)]
    return found[0] if isinstance(found, tuple) else found


def attention_of(kind: Any, config: Any) -> str:
    """Return the attention implementation: `sdpa` where the model supports it, else `eager`."""
    return "sdpa" if model_class(kind, config)._supports_sdpa else "eager"


def _check_known(backbone: Backbone) -> None:
    from transformers import CONFIG_MAPPING, __version__

    try:
        said = json.loads((backbone.folder / "config.json").read_text(encoding="utf-8"))
        kind = said.get("model_type")
    except (OSError, ValueError, AttributeError, RecursionError):
        raise ValueError("config.json is not a valid JSON file of keys and values") from None
    if kind is None:
        raise ValueError("config.json: model_type is missing: name the architecture there")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        ours = " (code that comes with a model, as its auto_map says, is never run)"
        raise ValueError(
            f"config.json: model_type: '{kind}' is unknown to transformers {__version__}"
            f"{ours if 'auto_map' in said else ''}: take another backbone or another transformers"
        )
