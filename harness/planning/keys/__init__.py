"""The keys of a sweep file: their types and ranges."""
