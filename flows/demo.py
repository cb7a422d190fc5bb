"""Demo (`make demo`): the pipeline on the embedded sample, an animated portrait, and a table of results."""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console
from rich.table import Table
from skimage import data

from faceanim.config import Params, load_params
from faceanim.errors import FaceanimError
from faceanim.media.video import probe
from faceanim.schemas import CROPS, DOWNLOAD, Status
from faceanim.tables import read_rows
from flows.dvc import repro, run_python

OUT_FOLDER = Path("out")
API_URL = "http://127.0.0.1:4200/api"


def find_held_out_video(crops: Path, download: Path) -> Path:
    """Find a video of a held-out person: the first with sound, or the first of all.

    Raises:
        FaceanimError: no crop of a held-out person was accepted.
    """
    clips = {
        row["clip_id"]
        for row in read_rows(crops, CROPS)
        if row["status"] == Status.OK and row["split"] == "test"
    }
    videos = [Path(row["path"]) for row in read_rows(download, DOWNLOAD) if row["clip_id"] in clips]
    if not videos:
        raise FaceanimError("cannot animate: no face of a held-out person was cropped; see reports/crop.json")
    return next((video for video in videos if probe(video).has_audio), videos[0])


def build_summary(params: Params, video: Path) -> Table:
    """Build the table of results, next to a baseline, with the files and pages to look at."""
    metrics: dict[str, Any] = json.loads(Path("reports/metrics.json").read_text(encoding="utf-8"))
    registered = json.loads(Path("reports/registered.json").read_text(encoding="utf-8"))
    scores = metrics["reconstruction"]
    copy_scores = scores["copy_source"]
    name = params.register_.model_name
    binaries = Path(sys.executable).parent
    table = Table(title="faceanim", show_header=False, title_justify="left")
    table.add_row("held out", f"{scores['clips']} clips, {scores['frames']} frames")
    table.add_row("PSNR", f"{scores['psnr']:.2f} dB; copying the source: {copy_scores['psnr']:.2f} dB")
    table.add_row("SSIM", f"{scores['ssim']:.3f}; copying the source: {copy_scores['ssim']:.3f}")
    table.add_row("animated video", str(video))
    table.add_row("report", "reports/report.html")
    table.add_row("registered", f"{name} version {registered['version']}: {registered['verdict']}")
    table.add_row("MLflow and Prefect UI", "make ui")
    table.add_row("pipeline with Prefect", f"PREFECT_API_URL={API_URL} {binaries}/python -m flows.pipeline")
    return table


def main() -> None:
    """Run the demo."""
    params = load_params()
    repro()
    OUT_FOLDER.mkdir(exist_ok=True)
    portrait, video = OUT_FOLDER / "portrait.png", OUT_FOLDER / "animated.mp4"
    cv2.imwrite(str(portrait), cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR))
    driving = find_held_out_video(Path("data/crops.parquet"), Path("data/download.parquet"))
    run_python("-m", "faceanim", "animate", str(portrait), str(driving), str(video), "--overwrite")
    Console(width=120, soft_wrap=True).print(build_summary(params, video))


if __name__ == "__main__":
    try:
        main()
    except FaceanimError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
