"""Claims of publications that a sweep tests: the files `claims/NAME.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.core.errors import BadInput, nearest

CLAIMS = Path(__file__).parents[2] / "claims"


class ClaimTest(BaseModel):
    """A comparison of two arms, and the verdict that the claim expects.

    Attributes:
        lengths: tokens; None for all lengths at which both arms were trained.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    arm: str
    other: str
    expects: Literal["comparable", "better"]
    lengths: tuple[int, ...] | None = None


class Claim(BaseModel):
    """A claim in the words of its publication, and how it is tested.

    Attributes:
        own_words: whether `words` are a summary, because the publication has no such sentence.
        sweep: the sweep file, relative to the project.
        published: the folder of its results, relative to the project.
        not_tested: what the tests leave open, and what a test of that needs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    words: str
    own_words: bool = False
    source: str
    link: str = Field(pattern="^https://")
    sweep: str | None = None
    published: str | None = None
    tests: tuple[ClaimTest, ...] = ()
    not_tested: str


def read_claim(path: Path) -> Claim:
    """Read the file of a claim.

    Raises:
        BadInput: it cannot be read or has another form.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Claim.model_validate({**content, "name": path.stem})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, ValidationError) as error:
        raise BadInput(
            f"{path}: is not the file of a claim: {str(error).splitlines()[0]}"
        ) from None


def find_claim(name: str, folder: Path | None = None) -> Claim:
    """Return the claim of this name.

    Raises:
        BadInput: there is none.
    """
    folder = folder or CLAIMS
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in names:
        raise BadInput(
            f"there is no claim '{name}'.{nearest(name, names)} Available: {', '.join(names)}"
        )
    return read_claim(folder / f"{name}.yaml")


def all_claims(folder: Path = CLAIMS) -> list[Claim]:
    """Return all claims by name."""
    return [read_claim(path) for path in sorted(folder.glob("*.yaml"))]
