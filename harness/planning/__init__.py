"""From a sweep file to checked cells."""
