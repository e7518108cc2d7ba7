"""Trained weights that a run keeps: which ones, how they are saved, and how they are loaded."""
