"""`bench-long verify`: whether this machine reproduces the published test of a claim."""

from __future__ import annotations

from pathlib import Path

import click

from harness.core.errors import BadInput, printable


@click.command()
@click.argument("claim")
@click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the run; finished cells are used (default runs/claim-<claim>).",
)
@click.pass_context
def verify(ctx: click.Context, claim: str, folder: Path | None) -> int:
    """Run the sweep of CLAIM and compare with the published result. Names: docs/claims.md.

    Exit 0 if every difference is inside the published 95 % interval, else 1.
    """
    from reports.claims import CLAIMS, find_claim, reproduced, where

    known = find_claim(claim)
    root = CLAIMS.parent
    reference = root / known.published if known.published else None
    if known.sweep is None or reference is None or not reference.is_dir():
        raise BadInput(f"claim {claim}: there is no published result. {known.not_tested}")
    here = folder or Path("runs") / f"claim-{claim}"
    commands = ctx.find_root().command
    assert isinstance(commands, click.Group)
    code = ctx.invoke(
        commands.commands["run"], sweep=root / known.sweep, out=here, executor="local"
    )
    if code not in (0, 1):
        return int(code)
    found = reproduced(known, reference, here)
    references = [one.reference for one in found]
    for one in found:
        at = f"{one.reference.test.arm} minus {one.reference.test.other}"
        at += f" {where(one.reference, references)}"
        mine = one.here.difference if one.here else "no result"
        word = {True: "inside", False: "outside", None: "not comparable"}[one.inside]
        click.echo(
            printable(f"{at} tokens: here {mine}; published {one.reference.difference}: {word}")
        )
    same = all(one.inside for one in found)
    click.echo(f"claim {claim}: {'reproduced' if same else 'not reproduced'} on this machine")
    return 0 if same else 1
