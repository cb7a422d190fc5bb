"""Takes: a person in front of a camera for a few seconds, drawn from a seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from faceanim.synthetic.head import Floats
from faceanim.synthetic.people.person import Person
from faceanim.synthetic.performance.motion import Motion, generate_motion
from faceanim.synthetic.performance.styles import MotionStyle
from faceanim.synthetic.render import Pose, Posed, View, draw_person, pose_mesh
from faceanim.synthetic.rendering.rasterizer import Fragments
from faceanim.synthetic.rendering.shading import Lighting
from faceanim.synthetic.scenes.backgrounds import background_motion, draw_background, sample_background
from faceanim.synthetic.scenes.camera import Camera, apply_camera, draw_camera, expose
from faceanim.synthetic.scenes.lighting import draw_lighting

Frame = NDArray[np.uint8]
Framing = Literal["head", "shoulders"]
WIDTHS: dict[Framing, tuple[float, float]] = {"head": (0.26, 0.37), "shoulders": (0.42, 0.56)}
"""Width that the shorter side of a picture shows at the head's distance, in m: about a crop of the head, or a
whole frame."""


@dataclass(frozen=True)
class Take:
    """All that makes the frames of a take, except for the person.

    Attributes:
        seed: the seed that makes the take.
        view: the camera's place and lens.
        motion: what the person does in each frame.
        lighting: lamps and surround.
        background: (H, W, 3), linear RGB.
        background_motion: (T, 2, 3), affine maps from the picture's pixels to the background's.
        camera: what the camera does to the light.
    """

    seed: int
    view: View
    motion: Motion
    lighting: Lighting
    background: Floats
    background_motion: Floats
    camera: Camera

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.motion.actions)

    def pose(self, number: int) -> Pose:
        """Return the person's pose in a frame."""
        motion = self.motion
        return Pose(
            motion.actions[number], motion.head_rotation[number], motion.torso_rotation[number],
            motion.head_position[number], motion.gaze[number],
        )  # fmt: skip


def make_take(
    seed: int,
    size: tuple[int, int],
    frames: int,
    fps: float,
    framing: Framing = "shoulders",
    style: MotionStyle | None = None,
    background: str | None = None,
) -> Take:
    """Draw a take.

    Args:
        seed: seed of everything in it.
        size: width and height of the picture, in pixels.
        frames: number of frames.
        fps: frames a second.
        framing: how much of the person the picture shows.
        style: how the person moves; drawn by default.
        background: kind of the background, one of `backgrounds.KINDS`; drawn by default.
    """
    rng = np.random.default_rng((seed, 2))
    width, height = size
    return Take(
        seed=seed,
        view=draw_view(rng, width, height, framing),
        motion=generate_motion(seed, frames, fps, style),
        lighting=draw_lighting(rng),
        background=draw_background(rng, width, height, background),
        background_motion=background_motion(rng, frames, width, height),
        camera=draw_camera(rng),
    )


def draw_view(rng: np.random.Generator, width: int, height: int, framing: Framing) -> View:
    """Draw a camera: from a phone at arm's length to a long lens, the head near the middle."""
    shown = rng.uniform(*WIDTHS[framing])
    side = min(width, height)
    distance = float(np.exp(rng.uniform(np.log(0.45), np.log(2.5))))
    # The middle of the face is 3 cm above and 9 cm before the head's pivot; there the scale holds.
    focal = side / shown * (distance - 0.09)
    drift = rng.normal(0, 0.02, 2)
    lower = 0.455 if framing == "head" else 0.45
    x = width / 2 + drift[0] * side
    y = height * (lower + drift[1]) + 0.03 * side / shown
    return View(width, height, distance, float(focal), (float(x), float(y)))


def pose_person(person: Person, take: Take, number: int) -> Posed:
    """Pose the person as in a frame of the take, as its camera sees it."""
    return pose_mesh(person, take.pose(number), take.view)


def compose_light(
    person: Person,
    take: Take,
    number: int,
    posed: Posed,
    samples: int = 2,
    fragments: Fragments | None = None,
) -> Floats:
    """Compute the light of a frame, (H, W, 3), linear RGB: the person before the background.

    Args:
        person: who is seen.
        take: the take.
        number: number of the frame.
        posed: the person's mesh, from `pose_person`.
        samples: fragments along each side of a pixel.
        fragments: what `render.find_fragments` found for them, if it is known.
    """
    view = take.view
    image = draw_person(person, posed, view, take.lighting, samples, fragments)
    behind = sample_background(take.background, take.background_motion[number], view.width, view.height)
    return np.asarray(image[..., :3] + (1 - image[..., 3:]) * behind, np.float32)


def photograph(take: Take, camera: Camera, number: int, light: Floats) -> Frame:
    """Photograph the light of a frame, (H, W, 3), RGB; the noise depends on the take and the frame only."""
    return apply_camera(light, camera, np.random.default_rng((take.seed, 3, number)))


def render_frames(person: Person, take: Take) -> Iterator[Frame]:
    """Render the frames of a take, each (H, W, 3), RGB; the camera is exposed for the first."""
    camera = take.camera
    for number in range(len(take)):
        light = compose_light(person, take, number, pose_person(person, take, number))
        if number == 0:
            camera = expose(camera, light)
        yield photograph(take, camera, number, light)
