"""`python -m faceanim` is the command `faceanim`."""

from faceanim.cli.main import main

main()
