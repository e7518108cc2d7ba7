"""Backbones: found, verified, loaded."""
