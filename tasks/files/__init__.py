"""Tasks that an entry of a sweep file defines: data in files, without Python.

`entry.py` is the entry, `reading.py` reads rows, `examples.py` checks them and makes examples,
`dealing.py` divides them into splits, and `task.py` is the task.
"""

from tasks.files.entry import DataEntry

__all__ = ["DataEntry"]
