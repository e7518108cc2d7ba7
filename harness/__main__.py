"""`python -m harness` is `bench-long`."""

from harness.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
