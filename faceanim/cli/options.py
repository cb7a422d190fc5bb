"""Options that several commands have, with the same name and meaning in each."""

from typing import Annotated

import typer

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the output if it exists; without this, it is kept.")
]
