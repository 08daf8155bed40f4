"""``python -m unwired``: the same as the ``unwired`` command."""

from unwired.cli.main import main

main()
