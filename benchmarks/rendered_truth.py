"""Truth about rendered takes: the flow, the visibility, and the landmarks beside those of detectors.

    python -m benchmarks.rendered_truth --mediapipe face_landmarker.task

The flow is measured at 128x128 under a light that is the same from everywhere. Detectors see photographed
frames of a head at 256x256 and of head and shoulders at 384x384, whose faces are about 100 pixels wide, at
most 30 degrees turned.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.common import create_parser, pin_to_one_core, print_summary
from benchmarks.flow_checks import cast_rays, fix_light, psnr, warp_error
from faceanim.faces.detection import ViolaJones
from faceanim.faces.landmark_detectors import DlibDetector, MediaPipeDetector
from faceanim.faces.landmark_sets import EYE_CORNERS, IBUG68, Points
from faceanim.media.boxes import Box
from faceanim.media.frames import Frame
from faceanim.models.pretrained import WEIGHTS_VARIABLE
from faceanim.synthetic.people.person import Person, make_person
from faceanim.synthetic.take import Framing, Take, make_take, render_frames
from faceanim.synthetic.truth import find_geometry, frame_truth, pair_truth

FLOW_SIZE = 128
SIZES: Mapping[Framing, int] = {"head": 256, "shoulders": 384}
FRAMES, FPS = 60, 25.0
"""Length of the takes that pairs are drawn from, as the dataset draws them."""
LARGEST_YAW = np.radians(30)
GOALS = {"flow": 38.0, "dlib": 0.95, "mediapipe": 0.97, "viola_jones": 0.95, "distance": 0.04}
"""PSNR in dB; shares of frames in which the face is found; median distance in inter-ocular distances."""
NOSE_TIP = 1


@dataclass(frozen=True)
class Photograph:
    """A frame with its truth.

    Attributes:
        image: (H, W, 3) RGB.
        landmarks: (478, 2), true landmarks in pixels.
    """

    image: Frame
    landmarks: Points


Answer = tuple[Box, Points | None] | None
"""Box of the face, and landmarks; None if no face was found."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__)
    parser.add_argument("--people", type=int, default=50, help="Number of people (default: 50).")
    parser.add_argument("--pairs", type=int, default=4, help="Pairs of frames of each (default: 4).")
    parser.add_argument("--rays", type=int, default=40, help="Rays to check each pair (default: 40).")
    parser.add_argument("--frames", type=int, default=8, help="Frames of each for detectors (default: 8).")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the first person (default: 0).")
    parser.add_argument("--mediapipe", type=Path, help="MediaPipe's face_landmarker.task, if at hand.")
    args = parser.parse_args(arguments)
    pin_to_one_core()
    cast = [make_person(args.seed + number) for number in range(args.people)]
    results = measure_flow(cast, args.pairs, args.rays)
    results |= measure_detectors(cast, args.frames, args.mediapipe)
    print_summary(results)


def measure_flow(cast: Sequence[Person], pairs: int, rays: int) -> dict[str, float]:
    """Measure the flow and the visibility, print both and return the figures of the summary."""
    values, agreed, seconds = defaultdict[str, list[float]](list), [], []
    rng = np.random.default_rng(0)
    for person in cast:
        take = make_take(person.seed, (FLOW_SIZE, FLOW_SIZE), FRAMES, FPS, "head")
        for source, driving in (rng.choice(FRAMES, 2, replace=False) for _ in range(pairs)):
            error, visible, interior = warp_error(person, fix_light(take), source, driving)
            values["visible"].append(psnr(error, visible))
            values["interior"].append(psnr(error, interior))
            person_only = interior & (frame_truth(person, take, driving).mask > 0)
            values["of the person"].append(psnr(error, person_only))
            values["share"].append(float(interior.mean()))
            agreed += compare_to_rays(person, take, source, driving, rays, rng)
            seconds.append(measure_pair(person, take, source, driving))
    print(f"Flow of {len(seconds)} pairs at {FLOW_SIZE}x{FLOW_SIZE} in a light without direction")
    for name in ("interior", "of the person", "visible"):
        low, high = np.percentile(values[name], (5, 95))
        print(f"  PSNR of pixels: {name:13} {np.mean(values[name]):6.2f} dB  ({low:.1f} to {high:.1f})")
    print(f"  share of interior pixels     {np.mean(values['share']):7.1%}")
    print(
        f"  visibility as rays see it    {np.mean(agreed):7.2%} of {len(agreed)} pixels, half of them hidden"
    )
    print(f"  time of a pair               {np.median(seconds) * 1000:7.2f} ms")
    return {
        "flow_psnr_db": float(np.mean(values["interior"])),
        "visibility_agreement": float(np.mean(agreed)),
        "pairs_per_s": float(1 / np.median(seconds)),
    }


def compare_to_rays(
    person: Person, take: Take, source: int, driving: int, count: int, rng: np.random.Generator
) -> list[bool]:
    """Compare the visibility of pixels, half of them hidden ones, with that of rays."""
    geometries = [find_geometry(person, take, number, samples=1) for number in (source, driving)]
    visible = pair_truth(person, take, source, driving, *geometries).visible
    places = [np.argwhere(visible), np.argwhere(~visible)]
    rows, columns = np.concatenate([rng.permutation(found)[: count // 2] for found in places]).T
    seen = cast_rays(person, take, source, driving, np.stack([columns, rows], -1))
    return list(seen == visible[rows, columns])


def measure_pair(person: Person, take: Take, source: int, driving: int) -> float:
    """Measure the time of a pair's truth after rendering, in seconds: the faster of two."""
    geometries = [find_geometry(person, take, number) for number in (source, driving)]
    times = [process_time()]
    for _ in range(2):
        pair_truth(person, take, source, driving, *geometries)
        times.append(process_time())
    return float(np.diff(times).min())


def measure_detectors(cast: Sequence[Person], frames: int, mediapipe: Path | None) -> dict[str, float]:
    """Measure which faces are found and how far landmarks lie from the truth; print and return the
    figures."""
    photographs = [photograph for person in cast for photograph in photograph_take(person, frames)]
    print(f"Faces in {len(photographs)} frames, at most 30 degrees turned")
    viola_jones, dlib = ViolaJones(), DlibDetector()

    def find_by_viola_jones(frame: Photograph) -> Answer:
        boxes = viola_jones.detect(to_luma(frame.image))
        return next(((box, None) for box in boxes if holds_face(box, frame)), None)

    def find_by_dlib(frame: Photograph) -> Answer:
        found = dlib.detect(to_luma(frame.image), None)
        return None if found is None else (found.box, found.points)

    results = {"viola_jones_found": find_all("Viola-Jones", find_by_viola_jones, photographs)[0]}
    results["dlib_found"], points = find_all("dlib", find_by_dlib, photographs)
    results["goal_vs_dlib_distance"] = GOALS["distance"] / print_distance("dlib", points, IBUG68)
    results["mediapipe_found"] = results["goal_vs_mediapipe_distance"] = float("nan")
    if mediapipe is None or not mediapipe.is_file():
        print("MediaPipe: no model; name its file by --mediapipe")
        return results
    os.environ[WEIGHTS_VARIABLE] = str(mediapipe.resolve().parent)
    with closing(MediaPipeDetector()) as landmarker:

        def find_by_mediapipe(frame: Photograph) -> Answer:
            found = landmarker.detect(frame.image, None)
            return None if found is None else (found.box, found.points)

        results["mediapipe_found"], points = find_all("MediaPipe", find_by_mediapipe, photographs)
    print_distance("MediaPipe, all 478", points, range(478))
    same = [(answer[list(IBUG68)], truth) for answer, truth in points]
    results["goal_vs_mediapipe_distance"] = GOALS["distance"] / print_distance("MediaPipe", same, IBUG68)
    return results


def photograph_take(person: Person, count: int) -> Iterator[Photograph]:
    """Photograph frames of a take of a person in which the head is turned little."""
    framing: Framing = "head" if person.seed % 2 else "shoulders"
    take = make_take(person.seed, (SIZES[framing], SIZES[framing]), count, FPS * count / FRAMES, framing)
    for number, image in enumerate(render_frames(person, take)):
        if abs(take.motion.head_rotation[number, 0]) <= LARGEST_YAW:
            yield Photograph(image, frame_truth(person, take, number).landmarks)


def to_luma(image: Frame) -> npt.NDArray[np.uint8]:
    """Convert RGB to brightness."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def holds_face(box: Box, frame: Photograph) -> bool:
    """Tell whether a box holds the tip of the nose."""
    x, y = frame.landmarks[NOSE_TIP]
    return bool(box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1)


def find_all(
    name: str, find: Callable[[Photograph], Answer], photographs: Sequence[Photograph]
) -> tuple[float, list[tuple[Points, Points]]]:
    """Find all faces, print and return the share found, and the landmarks beside the true ones."""
    answers = [find(photograph) for photograph in photographs]
    found = [
        answer and holds_face(answer[0], photograph)
        for answer, photograph in zip(answers, photographs, strict=True)
    ]
    share = float(np.mean([bool(each) for each in found]))
    print(f"  {name:12} finds {share:6.1%}")
    points = [
        (answer[1], photograph.landmarks)
        for answer, photograph, each in zip(answers, photographs, found, strict=True)
        if each and answer[1] is not None
    ]
    return share, points


def print_distance(name: str, points: Sequence[tuple[Points, Points]], chosen: Sequence[int]) -> float:
    """Print and return the median distance from the truth without each point's offset.

    The offset is the median over all frames, in the head's own frame: between the eyes, level, and in
    inter-ocular distances.
    """
    if not points:
        return float("nan")
    differences = np.stack([to_head(answer - truth[list(chosen)], truth) for answer, truth in points])
    offsets = np.median(differences, axis=0)
    plain, fitted = (np.linalg.norm(part, axis=-1) for part in (differences, differences - offsets))
    worst = np.sort(np.median(fitted, axis=0))[-1]
    print(
        f"  {name:18} median distance {np.median(fitted):.2%} of the inter-ocular distance "
        f"({np.median(plain):.2%} with offsets; the worst point {worst:.2%}; 95th percentile "
        f"{np.percentile(fitted, 95):.2%})"
    )
    return float(np.median(fitted))


def to_head(differences: Points, landmarks: Points) -> Points:
    """Turn differences in pixels, (P, 2), level with the eyes and scale them to inter-ocular distances."""
    left, right = (landmarks[list(corners)].mean(0) for corners in EYE_CORNERS["mediapipe478"])
    x, y = (right - left) / np.square(right - left).sum()
    return np.asarray(differences @ np.array([[x, -y], [y, x]], np.float32), np.float32)


if __name__ == "__main__":
    main()
