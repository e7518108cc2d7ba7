"""Tasks on real documents."""
