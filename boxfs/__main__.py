"""`python -m boxfs` is `boxfs`."""

from boxfs.cli.main import main

if __name__ == "__main__":
    main()
