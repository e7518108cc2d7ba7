"""The commands. Exit 0 done, 1 some cells failed, 2 bad input, 130 interrupted."""

from __future__ import annotations

import errno
import io
import signal
import sys
import tempfile
from collections.abc import Sequence

try:
    import click

    from harness.cli.compare_command import compare
    from harness.cli.export_command import export
    from harness.cli.fit_command import fit
    from harness.cli.folder_commands import publish, report, tuned
    from harness.cli.slurm_command import slurm
    from harness.cli.sweep_commands import plan, run
    from harness.cli.tasks_command import tasks
    from harness.cli.verify_command import verify
    from harness.cli.watch_command import watch
    from harness.core.errors import BadInput, printable
except KeyboardInterrupt:  # Ctrl-C while this is imported
    raise SystemExit(130) from None
except ModuleNotFoundError as missing:  # ssmlora may be installed alone
    print(
        f"bench-long: the package {missing.name} is not installed: pip install -e '.[bench]'",
        file=sys.stderr,
    )
    raise SystemExit(2) from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bench-long")
def cli() -> None:
    """Sweep sequence length and insertion density for full fine-tuning, LoRA and SSMLoRA."""


for _command in (
    compare,
    export,
    fit,
    plan,
    publish,
    report,
    run,
    slurm,
    tasks,
    tuned,
    verify,
    watch,
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. Errors are printed in one line each."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # a terminal shows `?` for a character that it lacks
    try:
        code = cli.main(args=arguments, prog_name="bench-long", standalone_mode=False)
        code = code if isinstance(code, int) else 0
        if code == 130:  # another Ctrl-C ends the process silently
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        return code
    except (BadInput, click.ClickException) as error:
        lines = error.args if isinstance(error, BadInput) else [error.format_message()]
        for line in lines:
            click.echo(f"bench-long: {printable(line)}", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        click.echo("bench-long: interrupted", err=True)
        return 130
    except OSError as error:  # a full disk, a folder without write permission
        place = f"{error.filename}: " if error.filename else ""
        hint = "" if error.filename else _full(error)
        click.echo(f"bench-long: {printable(place)}{error.strerror or error}{hint}", err=True)
        return 2


def _full(error: OSError) -> str:
    """Name the folders that may be full, for an error that names no file."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return ""
    return (
        f": space is needed for what is printed, for temporary files (in {tempfile.gettempdir()}; "
        f"another folder: $TMPDIR) and for the cache ($BENCH_LONG_CACHE)"
    )
