"""What is shown of an evaluation: the picture grid, and clips side by side as videos."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path

import torch

from faceanim.evaluation.comparison_video import write_comparison_video
from faceanim.evaluation.methods import Method, Predictions
from faceanim.evaluation.metric_pitfalls import compute_variants, write_variants
from faceanim.evaluation.protocol import VIDEOS_FOLDER, MethodName, Task
from faceanim.evaluation.test_set import TestItem, read_clip_frames
from faceanim.inference.animator import Animator
from faceanim.media.frames import Frames, resize_square
from faceanim.media.tensors import resize_frames, to_float, to_uint8
from faceanim.tables import Row, write_json
from faceanim.viz import draw_error, draw_heatmap, draw_keypoints, write_image_grid

RANKING_METRIC = {Task.RECONSTRUCTION: "psnr", Task.REENACTMENT: "csim", Task.SUPER_RESOLUTION: "psnr"}
"""By which metric, each the higher the better, clips are the best, the median and the worst."""
MAIN_METHOD = {
    Task.RECONSTRUCTION: MethodName.PREDICTION,
    Task.REENACTMENT: MethodName.PREDICTION,
    Task.SUPER_RESOLUTION: MethodName.SUPER_RESOLVED,
}
"""The method that a task is about."""
ANIMATED_PANELS = (MethodName.PREDICTION, MethodName.SUPER_RESOLVED)
ENLARGED_PANELS = (MethodName.BICUBIC, MethodName.SUPER_RESOLVED)
"""What is shown beside the driving frame, in turn; the error is the last one's."""
MAX_FRAMES = 100
"""Frames of a video, at most."""
PITFALL_STRIDE = 5
"""Of those frames, as many are enough to show what a mistake does, and all at once would take gigabytes."""
PANEL_SIDE = 192
"""Of a picture in a video, in pixels."""
BATCH_SIZE = 8


def write_ranked_videos(
    items: Sequence[TestItem], scores: Sequence[Row], candidate: Method, out: Path
) -> None:
    """Write each task's best, median and worst clip to the folder `out`/videos, and its index.json.

    Args:
        items: all that was done.
        scores: rows of SCORES.
        candidate: does it again.
        out: the evaluation's folder.
    """
    by_id = {(item.task, item.item_id): item for item in items}
    index = []
    for task in Task:
        for rank, metric, row in rank_clips(task, scores):
            file = f"{task}_{rank}.webm"
            write_clip_video(by_id[task, row["item_id"]], candidate, out / VIDEOS_FOLDER / file)
            entry = {"task": task, "rank": rank, "item_id": row["item_id"], "metric": metric}
            index.append(entry | {"value": row[metric], "file": file})
    write_json(index, out / VIDEOS_FOLDER / "index.json")


def rank_clips(task: Task, scores: Sequence[Row]) -> list[tuple[str, str, Row]]:
    """Rank, metric and row of a task's best, median and worst clip; of fewer than three, as many."""
    rows = [row for row in scores if row["task"] == task and row["method"] == MAIN_METHOD[task]]
    metric = RANKING_METRIC[task]
    # A clip in which no face is found has no CSIM: there is none worse.
    ordered = sorted(rows, key=lambda row: (row[metric] is None, -(row[metric] or 0), row["item_id"]))
    places = {"median": len(ordered) // 2, "worst": len(ordered) - 1, "best": 0}
    # Of two clips there are the best and the worst, of one only the best.
    ranks = {place: rank for rank, place in places.items() if rows}
    return [(rank, metric, ordered[place]) for place, rank in sorted(ranks.items())]


def write_clip_video(item: TestItem, candidate: Method, path: Path) -> None:
    """Write an item's beginning as a video: what was given, what was made of it, and where that is wrong."""
    rows = iter_panels(item, candidate)
    columns, first = next(rows)
    fps = Fraction(item.driving["fps"]).limit_denominator(1001)
    write_comparison_video(
        path, columns, (row for _, row in chain([(columns, first)], rows)), fps, PANEL_SIDE
    )


def iter_panels(item: TestItem, candidate: Method) -> Iterator[tuple[list[str], list[Frames]]]:
    """The titles and the pictures of each driving frame, at most `LONGEST`."""
    source = read_clip_frames(item.source, slice(1))[0]
    shown = ENLARGED_PANELS if item.task == Task.SUPER_RESOLUTION else ANIMATED_PANELS
    for driving, answers in iter_predictions(item, candidate):
        arrays = {method: to_uint8(answers[method]) for method in shown if method in answers}
        for number, wanted in enumerate(driving):
            row = {} if item.task == Task.SUPER_RESOLUTION else {"source": source}
            row["driving"] = wanted
            made = {method: frames[number] for method, frames in arrays.items()}
            row |= {str(method).replace("_", "-"): picture for method, picture in made.items()}
            if item.task != Task.REENACTMENT:
                last = made[next(reversed(made))]
                row["error"] = draw_error(resize_square(last, len(wanted)), wanted)
            yield list(row), list(row.values())


def iter_predictions(item: TestItem, candidate: Method) -> Iterator[tuple[Frames, Predictions]]:
    """Driving frames and what is made of them, batch by batch, at most `LONGEST` in all."""
    act = candidate.prepare(item)
    for start in range(1, 1 + min(item.frames, MAX_FRAMES), BATCH_SIZE):
        frames = slice(start, min(start + BATCH_SIZE, 1 + item.frames, 1 + MAX_FRAMES))
        driving = read_clip_frames(item.driving, frames)
        yield driving, act(to_float(driving), frames)


def write_pitfall_example(item: TestItem, candidate: Method, path: Path) -> None:
    """Write what the figures of a reconstruction become with the mistakes that published ones hide."""
    made = [
        (answers[MethodName.PREDICTION], to_float(driving))
        for driving, answers in iter_predictions(item, candidate)
    ]
    predictions, driving = (torch.cat(frames)[::PITFALL_STRIDE].cpu() for frames in zip(*made, strict=True))
    write_variants(item.item_id, compute_variants(predictions, resize_frames(driving, candidate.size)), path)


def write_sample_grid(
    animator: Animator, items: Sequence[TestItem], farthest: Mapping[str, int], out: Path
) -> None:
    """Write the picture grid: of each reconstruction, the frame least like the source.

    Args:
        animator: the model.
        items: the reconstructions to show.
        farthest: the number of that frame, by item_id.
        out: the PNG.
    """
    write_image_grid([draw_grid_row(animator, item, farthest[item.item_id]) for item in items], out)


@torch.inference_mode()
def draw_grid_row(animator: Animator, item: TestItem, frame: int) -> list[Frames]:
    """A row of the grid: source and driving frame, each with its keypoints, and what was made of them."""
    source = read_clip_frames(item.source, slice(1))
    driving = read_clip_frames(item.driving, slice(frame, frame + 1))
    prepared = animator.prepare(to_float(source))
    animation = animator.animate(prepared, to_float(driving))
    enlarged = animator.enlarge(animation.prediction)
    warped, prediction, larger = map(to_uint8, (animation.warped, animation.prediction, enlarged))
    found = (prepared.keypoints, animator.detect(to_float(driving)))
    marked = [
        draw_keypoints(picture[0], keypoints.value[0].cpu().numpy())
        for picture, keypoints in zip((source, driving), found, strict=True)
    ]
    occlusion_map = draw_heatmap(animation.occlusion_map[0, 0].cpu().numpy())
    made = [warped[0], occlusion_map, prediction[0], larger[0]]
    return [source[0], marked[0], driving[0], marked[1], *made]


def one_per_person(items: Sequence[TestItem], count: int) -> list[TestItem]:
    """Items to show: everyone's first before anyone's second."""
    seen: Counter[str] = Counter()
    turns = []
    for item in items:
        person = str(item.driving["person_id"])
        turns.append((seen[person], person, item))
        seen[person] += 1
    return [item for _, _, item in sorted(turns, key=lambda turn: turn[:2])[:count]]
