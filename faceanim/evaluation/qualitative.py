"""Qualitative results of an evaluation: the grid of sample images, and ranked clips as comparison videos."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path

import torch

from faceanim.evaluation.comparison_video import write_comparison_video
from faceanim.evaluation.methods import Method, ModelMethod, Predictions
from faceanim.evaluation.metric_pitfalls import compute_variants, write_variants
from faceanim.evaluation.protocol import VIDEOS_FOLDER, MethodName, Task
from faceanim.evaluation.test_set import TestItem, read_clip_frames
from faceanim.media.frames import Frames, resize_square
from faceanim.media.tensors import resize_frames, to_float, to_uint8
from faceanim.tables import Row, write_json
from faceanim.viz import draw_error, draw_heatmap, draw_keypoints, write_image_grid

RANKING_METRIC = {Task.RECONSTRUCTION: "psnr", Task.REENACTMENT: "csim", Task.SUPER_RESOLUTION: "psnr"}
"""Metric that ranks the clips of a task into best, median and worst; higher is better for each."""
MAIN_METHOD = {
    Task.RECONSTRUCTION: MethodName.PREDICTION,
    Task.REENACTMENT: MethodName.PREDICTION,
    Task.SUPER_RESOLUTION: MethodName.SUPER_RESOLVED,
}
"""Method whose scores represent a task."""
ANIMATED_PANELS = (MethodName.WARPED, MethodName.PREDICTION, MethodName.SUPER_RESOLVED)
ENLARGED_PANELS = (MethodName.BICUBIC, MethodName.SUPER_RESOLVED)
"""Methods shown beside the driving frame, in this order; the error shown is that of the last."""
MAX_FRAMES = 100
"""Largest number of frames in a video."""
PITFALL_STRIDE = 5
"""Stride over those frames in the demonstration of metric pitfalls: a fifth of them shows the effect of a
mistake, and all at once would take gigabytes."""
PANEL_SIDE = 192
"""Side of an image in a video, in pixels."""
BATCH_SIZE = 8


def write_ranked_videos(items: Sequence[TestItem], scores: Sequence[Row], method: Method, out: Path) -> None:
    """Write videos of each task's best, median and worst clip, and their index.json, to `out`/videos.

    Args:
        items: all evaluated items.
        scores: rows of SCORES.
        method: the evaluated method, which predicts the shown clips again.
        out: folder of the evaluation.
    """
    by_id = {(item.task, item.item_id): item for item in items}
    index = []
    for task in Task:
        for rank, metric, row in rank_clips(task, scores):
            file = f"{task}_{rank}.webm"
            write_clip_video(by_id[task, row["item_id"]], method, out / VIDEOS_FOLDER / file)
            entry = {"task": task, "rank": rank, "item_id": row["item_id"], "metric": metric}
            index.append(entry | {"value": row[metric], "file": file})
    write_json(index, out / VIDEOS_FOLDER / "index.json")


def rank_clips(task: Task, scores: Sequence[Row]) -> list[tuple[str, str, Row]]:
    """Return rank, metric and row of a task's best, median and worst clip, or fewer if it has fewer clips."""
    rows = [row for row in scores if row["task"] == task and row["method"] == MAIN_METHOD[task]]
    metric = RANKING_METRIC[task]
    # A clip in which no face is found has no CSIM, and ranks last.
    ordered = sorted(rows, key=lambda row: (row[metric] is None, -(row[metric] or 0), row["item_id"]))
    positions = {"median": len(ordered) // 2, "worst": len(ordered) - 1, "best": 0}
    # Two clips are the best and the worst, a single one is the best.
    ranks = {position: rank for rank, position in positions.items() if rows}
    return [(rank, metric, ordered[position]) for position, rank in sorted(ranks.items())]


def write_clip_video(item: TestItem, method: Method, path: Path) -> None:
    """Write the beginning of an item as a video of the inputs, the predictions and the error."""
    rows = iter_panels(item, method)
    columns, first = next(rows)
    fps = Fraction(item.driving["fps"]).limit_denominator(1001)
    write_comparison_video(
        path, columns, (row for _, row in chain([(columns, first)], rows)), fps, PANEL_SIDE
    )


def iter_panels(item: TestItem, method: Method) -> Iterator[tuple[list[str], list[Frames]]]:
    """Yield the titles and the images of each driving frame, up to `MAX_FRAMES` of them."""
    source = read_clip_frames(item.source, slice(1))[0]
    panels = ENLARGED_PANELS if item.task == Task.SUPER_RESOLUTION else ANIMATED_PANELS
    for driving, predictions in iter_predictions(item, method):
        arrays = {name: to_uint8(predictions[name]) for name in panels if name in predictions}
        for number, driving_frame in enumerate(driving):
            row = {} if item.task == Task.SUPER_RESOLUTION else {"source": source}
            row["driving"] = driving_frame
            predicted = {name: frames[number] for name, frames in arrays.items()}
            row |= {str(name).replace("_", "-"): image for name, image in predicted.items()}
            if item.task != Task.REENACTMENT:
                last = predicted[next(reversed(predicted))]
                row["error"] = draw_error(resize_square(last, len(driving_frame)), driving_frame)
            yield list(row), list(row.values())


def iter_predictions(item: TestItem, method: Method) -> Iterator[tuple[Frames, Predictions]]:
    """Yield driving frames and their predictions, batch by batch, up to `MAX_FRAMES` frames in total."""
    predict = method.prepare(item)
    for start in range(1, 1 + min(item.frames, MAX_FRAMES), BATCH_SIZE):
        frames = slice(start, min(start + BATCH_SIZE, 1 + item.frames, 1 + MAX_FRAMES))
        driving = read_clip_frames(item.driving, frames)
        yield driving, predict(to_float(driving), frames)


def write_pitfall_example(item: TestItem, method: Method, path: Path) -> None:
    """Write PSNR and SSIM of a reconstruction with the mistakes that published scores may hide."""
    batches = [
        (predictions[MethodName.PREDICTION], to_float(driving))
        for driving, predictions in iter_predictions(item, method)
    ]
    predicted, driving = (torch.cat(frames)[::PITFALL_STRIDE].cpu() for frames in zip(*batches, strict=True))
    write_variants(item.item_id, compute_variants(predicted, resize_frames(driving, method.size)), path)


def write_sample_grid(
    method: ModelMethod, items: Sequence[TestItem], frame_numbers: Mapping[str, int], out: Path
) -> None:
    """Write the grid of sample images: one row per reconstruction, at the frame least like the source.

    Args:
        method: the model.
        items: reconstructions to show.
        frame_numbers: number of that frame, by item_id.
        out: PNG to write.
    """
    write_image_grid([draw_grid_row(method, item, frame_numbers[item.item_id]) for item in items], out)


@torch.inference_mode()
def draw_grid_row(method: ModelMethod, item: TestItem, frame: int) -> list[Frames]:
    """Draw a row of the grid: source and driving frame, each with its keypoints, and the model's outputs."""
    source = read_clip_frames(item.source, slice(1))
    driving = read_clip_frames(item.driving, slice(frame, frame + 1))
    animator, prepared = method.animator, method.prepare_source(item)
    landmarks = method.read_landmarks(item.driving, slice(frame, frame + 1))
    animation = animator.animate(prepared, to_float(driving), landmarks)
    enlarged = animator.enlarge(animation.prediction)
    warped, prediction, larger = map(to_uint8, (animation.warped, animation.prediction, enlarged))
    detected = (prepared.keypoints, animation.kp_driving)
    marked = [
        draw_keypoints(image[0], keypoints.value[0].cpu().numpy())
        for image, keypoints in zip((source, driving), detected, strict=True)
    ]
    occlusion_map = draw_heatmap(animation.occlusion_map[0, 0].cpu().numpy())
    outputs = [warped[0], occlusion_map, prediction[0], larger[0]]
    return [source[0], marked[0], driving[0], marked[1], *outputs]


def one_per_person(items: Sequence[TestItem], count: int) -> list[TestItem]:
    """Select items to show: the first item of every person before the second of any."""
    seen: Counter[str] = Counter()
    ranked = []
    for item in items:
        person = str(item.driving["person_id"])
        ranked.append((seen[person], person, item))
        seen[person] += 1
    return [item for _, _, item in sorted(ranked, key=lambda entry: entry[:2])[:count]]
