"""Long Range Arena and pixel sequences."""
