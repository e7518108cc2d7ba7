"""Tasks of lm-eval on the models of a sweep. Other packages import nothing but these names."""

from harness.lm_eval.check import PREFIX, check, suggested_name
from harness.lm_eval.run import extra_positions, run_evaluations

__all__ = ["PREFIX", "check", "extra_positions", "run_evaluations", "suggested_name"]
