"""Converts a GGUF file into a folder in the hub's format, once; the folder is cached."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr
from importlib.metadata import version
from pathlib import Path

from harness.core.errors import BadInput, one_line
from harness.system.scratch import owned_folder
from tasks import TaskError
from tasks.lib.cache import cache_folder

_DONE = "config.json"
"""The file that marks a complete folder: folders are moved into the cache when complete."""


def unpacked(name: str, file: Path, sha256: str, where: str) -> Path:
    """Return the folder with float32 weights and tokenizer; make it if it is missing.

    The weights are dequantised: they differ from the weights before quantisation.

    Raises:
        BadInput: the file cannot be read, or the cache folder cannot be written.
    """
    try:
        cache = cache_folder(name)
    except TaskError as error:
        raise BadInput(f"{where}: {error}") from None
    folder = cache / "backbones" / f"{name}-{sha256[:12]}-{version('transformers')}"
    if (folder / _DONE).is_file():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with owned_folder(folder.parent, f"{name}-part-") as part:
            print(f"unpacking the weights of {name}, once: half a minute", file=sys.stderr)
            with redirect_stderr(io.StringIO()):  # progress bars
                _convert(file, part / "made")
            if not (folder / _DONE).is_file():  # another process may have been faster
                (part / "made").replace(folder)
    except ImportError as error:
        raise BadInput(
            f"{where}: reading {file.name} needs {error.name}: run `make setup`"
        ) from None
    except Exception as error:  # the libraries raise their own errors for a full disk
        raise BadInput(
            f"{where}: {name}: its weights cannot be unpacked into {folder.parent}: "
            f"{one_line(error)}: they take some 600 MB; another folder can be "
            f"named in $BENCH_LONG_CACHE"
        ) from None
    return folder


def _convert(file: Path, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, logging

    logging.disable_progress_bar()
    source = {"gguf_file": file.name, "local_files_only": True, "trust_remote_code": False}
    model = AutoModelForCausalLM.from_pretrained(file.parent, dtype="float32", **source)
    # transformers refuses to save a model that was read from GGUF: copy its weights.
    del model.config.quantization_config
    plain = AutoModelForCausalLM.from_config(model.config, dtype="float32")
    plain.load_state_dict(model.state_dict())
    AutoTokenizer.from_pretrained(file.parent, **source).save_pretrained(folder)
    plain.save_pretrained(folder)
