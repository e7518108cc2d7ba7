"""Figures: one description (`describe.py`), drawn for print (`printed.py`) and for the page.

A section returns descriptions. Both drawings show the same points, limits and texts.
"""
