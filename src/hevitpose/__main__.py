"""`python -m hevitpose`."""

from hevitpose.cli.main import main

main()
