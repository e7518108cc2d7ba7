"""Evaluation-only tasks of lm-eval."""
