"""`python -m faceanim` is the command `faceanim`."""

from faceanim.cli import main

main()
