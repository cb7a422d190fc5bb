"""The command `faceanim verify`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from faceanim.provenance.c2pa import Manifest
    from faceanim.provenance.verification import Findings
    from faceanim.provenance.watermark import WatermarkReading


EXIT_UNMARKED = 3
"""The exit code where a file carries no mark."""


def verify(
    files: Annotated[
        list[Path], typer.Argument(help="Videos, GIFs, PNG, JPEG or WebP pictures, or folders of frames.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per file instead.")] = False,
) -> None:
    """Look for the marks that say FILES are synthetic: metadata, a C2PA manifest, a watermark.

    Exits with 0 if every file carries one, with 3 if a file carries none, and with 1 at a file that can't be
    read. A file without a mark may be synthetic all the same: marks can be removed.
    """
    from faceanim.provenance.verification import verify_file as look

    all_marked = True
    for file in files:
        found = look(file)
        all_marked &= found.synthetic
        print(json.dumps(_to_json(found))) if as_json else _print_findings(found)
    if not all_marked:
        raise typer.Exit(EXIT_UNMARKED)


def _to_json(found: "Findings") -> dict[str, object]:
    """What `--json` prints: a mark is null where there is none, or none that can be read."""
    mark = found.watermark
    return {
        "file": str(found.path),
        "synthetic": found.synthetic,
        "metadata": found.metadata,
        "manifest": asdict(found.manifest) if found.manifest else None,
        "watermark": {"score": mark.score, "threshold": mark.threshold, "found": mark.found}
        if mark
        else None,
    }


def _print_findings(found: "Findings") -> None:
    table = Table(title=Text(str(found.path)), show_header=False)
    # As `Text`, in which nothing is markup.
    table.add_row("metadata", Text(f"says `{found.metadata}`" if found.metadata else "says nothing of it"))
    table.add_row("C2PA manifest", Text(_describe_manifest(found.manifest)))
    table.add_row("watermark", Text(_describe_watermark(found.watermark)))
    Console().print(table)
    if found.synthetic:
        print(f"{found.path} is marked as synthetic (by {' and '.join(found.marks)}).")
    else:
        print(f"{found.path} carries no mark of faceanim; that does not prove that it is a recording.")


def _describe_manifest(manifest: "Manifest | None") -> str:
    from faceanim.provenance.c2pa import INSTALL_HINT, is_c2pa_available

    if manifest is None:
        return "none" if is_c2pa_available() else f"not looked for: {INSTALL_HINT}"
    says = (
        "says that a trained model made this" if manifest.synthetic else "does not say that it is synthetic"
    )
    names = [name for name in (manifest.common_name, manifest.issuer) if name]
    signer = f"signed by {', '.join(names) or 'somebody unnamed'}"
    state = "valid" if manifest.valid else "NOT VALID"
    return f"{says}; {signer}; {state}" + (f" ({'; '.join(manifest.reasons)})" if manifest.reasons else "")


def _describe_watermark(reading: "WatermarkReading | None") -> str:
    if reading is None:
        return "no picture can be read"
    state = "found" if reading.found else "not found"
    return f"{state}: score {reading.score:.3g}, threshold {reading.threshold:.3g}"
