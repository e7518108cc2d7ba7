"""A GGUF file -> a folder in the hub's format, made once and kept in the cache."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr
from importlib.metadata import version
from pathlib import Path

from harness.core.errors import BadInput, one_line
from harness.execution.scratch import owned_folder
from tasks import TaskError
from tasks.lib.cache import cache_folder

_DONE = "config.json"
"""Is there once the folder is, which is renamed into its place as a whole."""


def unpacked(name: str, file: Path, sha256: str, where: str) -> Path:
    """Return the folder with float32 weights and tokenizer, after making it where it is missing.

    The weights are what the file's few bits stand for: dequantised, not the original ones.

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
            with redirect_stderr(io.StringIO()):  # bars of progress
                _convert(file, part / "made")
            if not (folder / _DONE).is_file():  # another process may have been faster
                (part / "made").replace(folder)
    except ImportError as error:
        raise BadInput(
            f"{where}: reading {file.name} needs {error.name}: run `make setup`"
        ) from None
    except Exception as error:  # parts of the libraries tell of a full disk by errors of their own
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
    # A model that was read from GGUF refuses to be saved, and to be trained whole: a plain one
    # takes its weights.
    del model.config.quantization_config
    plain = AutoModelForCausalLM.from_config(model.config, dtype="float32")
    plain.load_state_dict(model.state_dict())
    AutoTokenizer.from_pretrained(file.parent, **source).save_pretrained(folder)
    plain.save_pretrained(folder)
