"""The command `faceanim`: every command in one place, each a thin call."""
