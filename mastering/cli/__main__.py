"""`python -m mastering.cli` is `mastering`."""

from mastering.cli import main

main()
