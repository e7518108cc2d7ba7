"""GLUE, SuperGLUE and RACE."""
