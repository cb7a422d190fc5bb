"""The command `faceanim verify`, which reports the marks of synthetic media in files."""

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
"""Exit code if a file carries no mark."""


def verify(
    files: Annotated[list[Path], typer.Argument(help="Videos, images, or folders of frames.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per file instead of a table.")
    ] = False,
) -> None:
    """Check FILES for marks that identify them as synthetic: metadata, a C2PA manifest, a watermark.

    Exits with 0 if every file carries a mark, with 3 if a file carries none, and with 1 if a file cannot be
    read. A file without a mark may still be synthetic, because marks can be removed.
    """
    from faceanim.provenance.verification import verify_file

    all_marked = True
    for file in files:
        findings = verify_file(file)
        all_marked &= findings.is_synthetic
        print(json.dumps(_to_json(findings))) if as_json else _print_findings(findings)
    if not all_marked:
        raise typer.Exit(EXIT_UNMARKED)


def _to_json(findings: "Findings") -> dict[str, object]:
    """Build the object that `--json` prints; a mark is null if it is absent or cannot be read."""
    mark = findings.watermark
    return {
        "file": str(findings.path),
        "synthetic": findings.is_synthetic,
        "metadata": findings.metadata,
        "manifest": asdict(findings.manifest) if findings.manifest else None,
        "watermark": {"score": mark.score, "threshold": mark.threshold, "found": mark.found}
        if mark
        else None,
    }


def _print_findings(findings: "Findings") -> None:
    table = Table(title=Text(str(findings.path)), show_header=False)
    # `Text` keeps Rich from interpreting markup in the values.
    table.add_row("metadata", Text(f"says `{findings.metadata}`" if findings.metadata else "no mark"))
    table.add_row("C2PA manifest", Text(_describe_manifest(findings.manifest)))
    table.add_row("watermark", Text(_describe_watermark(findings.watermark)))
    Console().print(table)
    if findings.is_synthetic:
        print(f"{findings.path} is marked as synthetic (by {' and '.join(findings.marks)})")
    else:
        print(
            f"{findings.path} carries no mark of faceanim, which does not prove that it is a real recording"
        )


def _describe_manifest(manifest: "Manifest | None") -> str:
    from faceanim.provenance.c2pa import INSTALL_HINT, is_c2pa_available

    if manifest is None:
        return "none" if is_c2pa_available() else f"not checked: {INSTALL_HINT}"
    statement = (
        "states that a trained model made this"
        if manifest.synthetic
        else "does not state that it is synthetic"
    )
    names = [name for name in (manifest.common_name, manifest.issuer) if name]
    signer = f"signed by {', '.join(names) or 'an unnamed signer'}"
    state = "valid" if manifest.valid else "NOT VALID"
    return f"{statement}; {signer}; {state}" + (
        f" ({'; '.join(manifest.reasons)})" if manifest.reasons else ""
    )


def _describe_watermark(reading: "WatermarkReading | None") -> str:
    if reading is None:
        return "no image can be read"
    state = "found" if reading.found else "not found"
    return f"{state}: score {reading.score:.3g}, threshold {reading.threshold:.3g}"
