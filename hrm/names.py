"""The name of the method in PEFT."""

METHOD = "HRM"
