"""Tasks of lm-eval on the models of a sweep, and the export of tasks to lm-eval.

Other packages import only these names.
"""

from harness.lm_eval.check import PREFIX, check, suggested_name
from harness.lm_eval.export import export_task
from harness.lm_eval.run import extra_positions, run_evaluations

__all__ = [
    "PREFIX",
    "check",
    "export_task",
    "extra_positions",
    "run_evaluations",
    "suggested_name",
]
