"""The command line `faceanim`: all commands in one package, each a thin call into the library.

May import every package of the library and is imported by `faceanim.__main__` only.
"""
