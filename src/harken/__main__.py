"""`python -m harken` is `harken`."""

from harken.protocols.cli import main

if __name__ == "__main__":
    main()
