"""Entry point of `python -m faceanim`, which is the command `faceanim`."""

from faceanim.cli.main import main

main()
