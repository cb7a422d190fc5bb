"""Backgrounds with objects: bookshelves, windows, cities at night, television studios, screens, banners.

Each function draws linear RGB in [0, 1], (height, width, 3), before lighting and depth blur.
"""

import cv2
import numpy as np

from faceanim.synthetic.scenes.color import Image, Pixels, decode_pixels, decode_srgb, draw_color, to_byte
from faceanim.synthetic.scenes.noise import draw_noise
from faceanim.synthetic.scenes.surfaces import stamp_disc

LETTERS = np.array(list("ABCDEFGHIKLMNOPRSTUVWabcdefghiklmnoprstuvw0123456789"))


def _canvas(width: int, height: int, color: Image) -> Pixels:
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = to_byte(color)
    return canvas


def _rectangle(
    canvas: Pixels, x0: float, y0: float, x1: float, y1: float, color: Image, line: int = -1
) -> None:
    cv2.rectangle(canvas, (round(x0), round(y0)), (round(x1), round(y1)), to_byte(color), line)


def write_text(
    rng: np.random.Generator, canvas: Pixels, x: float, y: float, height: float, color: Image
) -> None:
    """Write a random word of letters `height` pixels high with its left end on the base line at (x, y)."""
    word = "".join(rng.choice(LETTERS, int(rng.integers(3, 11))))
    font = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
    weight = max(round(height / 9), 1)
    cv2.putText(canvas, word, (round(x), round(y)), font, height / 22, to_byte(color), weight, cv2.LINE_AA)


def draw_shelf(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw a bookshelf: boards, books of several heights with titles, some objects and gaps."""
    wood = draw_color(rng, (0.12, 0.95), (0.0, 0.6), rng.uniform(0.04, 0.11))
    canvas = _canvas(width, height, 0.45 * wood)
    shelf = height / rng.uniform(1.8, 4.2)
    board = max(shelf * rng.uniform(0.05, 0.09), 2)
    top = -shelf * rng.random()
    hue = float(rng.random())
    while top < height:
        base = top + shelf - board
        x = rng.uniform(-10, 5)
        while x < width:
            if rng.random() < 0.06:  # a gap, or an object
                wide = shelf * rng.uniform(0.2, 0.6)
                if rng.random() < 0.6:
                    _draw_object(rng, canvas, x, base, wide, shelf * rng.uniform(0.3, 0.7))
                x += wide
                continue
            x += _draw_book(rng, canvas, x, base, shelf, hue)
        _rectangle(canvas, 0, base, width, base + board, wood)
        _rectangle(canvas, 0, base + board, width, base + board + shelf * 0.05, 0.25 * wood)
        top += shelf
    for _ in range(int(rng.integers(0, 3))):
        x = rng.uniform(0, width)
        _rectangle(canvas, x, 0, x + board, height, 0.9 * wood)
    return decode_pixels(canvas)


def _draw_book(
    rng: np.random.Generator, canvas: Pixels, x: float, base: float, shelf: float, hue: float
) -> float:
    """Draw a book that stands on the board; returns its thickness."""
    thick, tall = shelf * rng.uniform(0.07, 0.22), shelf * rng.uniform(0.55, 0.85)
    near = hue + rng.normal(0, 0.08) if rng.random() < 0.4 else None
    color = draw_color(rng, (0.12, 0.85), (0.0, 0.85), near)
    _rectangle(canvas, x, base - tall, x + thick, base, color)
    _rectangle(canvas, x, base - tall, x + max(thick * 0.12, 1), base, 0.6 * color)
    _rectangle(canvas, x + thick * 0.82, base - tall, x + thick, base, 0.75 * color)
    if rng.random() < 0.6:
        band = base - tall * rng.uniform(0.2, 0.85)
        title = draw_color(rng, (0.5, 1.0), (0.0, 0.6))
        _rectangle(canvas, x + 0.25 * thick, band - tall * 0.12, x + 0.7 * thick, band, title)
    return float(thick)


def _draw_object(
    rng: np.random.Generator, canvas: Pixels, x: float, base: float, wide: float, tall: float
) -> None:
    """Draw a vase or a framed picture on a board."""
    color = draw_color(rng, (0.2, 0.95), (0.0, 0.8))
    if rng.random() < 0.5:
        center = (round(x + wide / 2), round(base - tall / 2))
        axes = (max(round(wide * 0.35), 1), max(round(tall / 2), 1))
        cv2.ellipse(canvas, center, axes, 0, 0, 360, to_byte(color), -1, cv2.LINE_AA)
        center = (round(x + wide * 0.4), round(base - tall * 0.6))
        cv2.ellipse(
            canvas, center, (axes[0] // 4, axes[1] // 3), 0, 0, 360, to_byte(1.3 * color), -1, cv2.LINE_AA
        )
        return
    _rectangle(canvas, x, base - tall, x + wide, base, color)
    inner = draw_color(rng, (0.3, 1.0), (0.0, 0.6))
    _rectangle(canvas, x + wide * 0.12, base - tall * 0.88, x + wide * 0.88, base - tall * 0.12, inner)


def draw_outdoors(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw a bright view: sky with clouds, distant houses or trees, ground."""
    zenith, horizon = (
        draw_color(rng, (0.5, 0.95), (0.1, 0.6), 0.58),
        draw_color(rng, (0.85, 1.0), (0.0, 0.2), 0.1),
    )
    rise = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    clouds = np.clip(draw_noise(rng, width, height, 1.5, 1.5, 2.0, 0.0) - 0.2, 0, 1)[..., None]
    coded = zenith + rise * (horizon - zenith)
    coded = coded + 0.8 * clouds * (1 - coded)
    canvas = (255 * np.clip(coded, 0, 1)).astype(np.uint8)
    level = height * rng.uniform(0.35, 0.8)
    if rng.random() < 0.5:
        outline = level - 0.07 * height * draw_noise(rng, width, 1, 1.1, rng.uniform(0.7, 2))[0]
        color = draw_color(rng, (0.12, 0.5), (0.2, 0.6), rng.uniform(0.2, 0.4))
        points = np.column_stack([np.arange(width), outline])
        points = np.concatenate([points, [[width, height], [0, height]]]).round().astype(np.int32)
        cv2.fillPoly(canvas, [points], to_byte(color), cv2.LINE_AA)
        leaves = 1 + 0.25 * draw_noise(rng, width, height, 0.8)
        below = np.arange(height)[:, None] > outline
        canvas[below] = np.clip(canvas[below] * leaves[below][:, None], 0, 255).astype(np.uint8)
    else:
        x = rng.uniform(-30, 0)
        while x < width:
            wide = width * rng.uniform(0.06, 0.25)
            _draw_house(rng, canvas, x, level - height * rng.uniform(0, 0.35), wide)
            x += wide
    return decode_pixels(canvas)


def _draw_house(rng: np.random.Generator, canvas: Pixels, x: float, top: float, wide: float) -> None:
    """Draw the front of a house with windows, down to the lower edge."""
    height = canvas.shape[0]
    color = draw_color(rng, (0.25, 0.8), (0.0, 0.4))
    _rectangle(canvas, x, top, x + wide, height, color)
    step = wide / int(rng.integers(2, 7))
    for row in np.arange(top + 0.4 * step, height, 1.2 * step):
        for column in np.arange(x + 0.25 * step, x + wide - 0.3 * step, step):
            _rectangle(canvas, column, row, column + 0.5 * step, row + 0.6 * step, 0.5 * color)


def draw_window(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw a bright window in a dim wall, with mullions and perhaps curtains or blinds."""
    image = draw_outdoors(rng, width, height) * np.float32(rng.uniform(0.7, 1.5))
    x0, x1 = width * rng.uniform(-0.2, 0.35), width * rng.uniform(0.6, 1.2)
    y0, y1 = height * rng.uniform(-0.2, 0.2), height * rng.uniform(0.55, 1.1)
    mask = np.zeros((height, width), np.uint8)
    frame = max(height * rng.uniform(0.015, 0.04), 2)
    columns, rows = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    for column in range(columns):
        for row in range(rows):
            left, upper = x0 + (x1 - x0) * column / columns, y0 + (y1 - y0) * row / rows
            right, lower = x0 + (x1 - x0) * (column + 1) / columns, y0 + (y1 - y0) * (row + 1) / rows
            corners = (
                (round(left + frame), round(upper + frame)),
                (round(right - frame), round(lower - frame)),
            )
            cv2.rectangle(mask, *corners, 255, -1)
    wall = np.float32(rng.uniform(0.2, 0.9)) * decode_srgb(draw_color(rng, (0.2, 0.8), (0.0, 0.4)))
    bars = decode_srgb(draw_color(rng, (0.1, 0.9), (0.0, 0.2))) * np.float32(0.5)
    cover = np.empty((height, width, 3), np.float32)
    cover[:] = wall
    cover[max(int(y0 - frame), 0) : max(int(y1 + frame), 0), max(int(x0 - frame), 0) : int(x1 + frame)] = bars
    image = np.where(mask[..., None] > 0, image, cover)
    if rng.random() < 0.4:
        cloth = decode_srgb(draw_color(rng, (0.4, 0.95), (0.0, 0.5)))
        shade = 0.5 + 0.3 * np.sin(np.arange(width) * rng.uniform(0.15, 0.4))
        for left, right in ((x0 - 0.1 * width, x0 + 0.12 * width), (x1 - 0.12 * width, x1 + 0.1 * width)):
            side = slice(max(int(left), 0), max(int(right), 0))
            image[:, side] = shade[None, side, None].astype(np.float32) * cloth
    return np.asarray(np.minimum(image, 1), np.float32)


def draw_city(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw a city at night: lit windows in dark towers, and lights out of focus."""
    rise = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    dusk = decode_srgb(draw_color(rng, (0.05, 0.4), (0.3, 0.8), rng.uniform(0.55, 0.8)))
    glow = decode_srgb(draw_color(rng, (0.1, 0.6), (0.2, 0.8), rng.uniform(0.02, 0.1)))
    image = np.array(np.broadcast_to(dusk + rise**2 * (glow - dusk), (height, width, 3)), np.float32)
    x = -10.0
    while x < width:
        wide = width * rng.uniform(0.06, 0.2)
        top, left, right = int(height * rng.uniform(0.1, 0.75)), max(int(x), 0), min(int(x + wide), width)
        if right - left > 4:
            tower = image[top:, left:right]
            tower[:] = decode_srgb(draw_color(rng, (0.02, 0.15), (0.0, 0.5), 0.6))
            step = max(int(wide / rng.integers(4, 9)), 4)
            rows, columns = tower.shape[0] // step, tower.shape[1] // step
            lit = (rng.random((rows, columns)) < rng.uniform(0.1, 0.5)) * rng.uniform(0.2, 1, (rows, columns))
            color = decode_srgb(draw_color(rng, (0.6, 1.0), (0.1, 0.7), rng.uniform(0.08, 0.14)))
            cells = np.kron(lit, np.pad(np.ones((step - 2, step - 2)), ((1, 1), (1, 1)))).astype(np.float32)
            tower[: rows * step, : columns * step] += cells[..., None] * color
        x += wide
    size = max(int(rng.uniform(0.008, 0.03) * max(width, height)), 2)
    for _ in range(int(rng.integers(10, 50))):
        light = decode_srgb(draw_color(rng, (0.6, 1.0), (0.1, 0.9), rng.choice([0.0, 0.08, 0.12, 0.35, 0.6])))
        stamp_disc(
            image, rng.uniform(0, width), height * rng.uniform(0.4, 1.0), size, light * rng.uniform(0.2, 0.8)
        )
    return np.minimum(image, 1)


def draw_studio(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw a television studio: glowing panels, stripes, a screen with a picture, perhaps a desk."""
    hue = float(rng.choice([0.0, 0.58, 0.6, 0.62, 0.72, 0.08, rng.random()]))
    canvas = _canvas(width, height, draw_color(rng, (0.05, 0.4), (0.3, 0.9), hue))
    x = -rng.uniform(0, 0.2) * width
    while x < width:
        wide = width * rng.uniform(0.08, 0.4)
        color = draw_color(rng, (0.08, 0.75), (0.2, 0.9), hue + rng.normal(0, 0.03))
        _rectangle(canvas, x, 0, x + wide * 0.96, height, color)
        if rng.random() < 0.5:
            glow = draw_color(rng, (0.8, 1.0), (0.0, 0.4), hue)
            _rectangle(canvas, x + wide * 0.96, 0, x + wide * 0.96 + max(0.01 * width, 1), height, glow)
        x += wide
    if rng.random() < 0.5:  # slanted stripes
        for _ in range(int(rng.integers(2, 7))):
            start = rng.uniform(-0.3, 1.0) * width
            lean, thick = rng.uniform(-0.4, 0.4) * width, rng.uniform(0.005, 0.06) * width
            corners = [[start, 0], [start + thick, 0], [start + thick + lean, height], [start + lean, height]]
            color = draw_color(rng, (0.3, 1.0), (0.2, 0.9), hue + rng.normal(0, 0.05))
            cv2.fillPoly(canvas, [np.array(corners, np.int32)], to_byte(color), cv2.LINE_AA)
    image = decode_pixels(canvas)
    if rng.random() < 0.4:
        wide, tall = int(width * rng.uniform(0.3, 0.6)), int(height * rng.uniform(0.3, 0.55))
        left, top = int(rng.uniform(0, width - wide)), int(rng.uniform(0, 0.4) * height)
        picture = (draw_screen, draw_outdoors)[int(rng.integers(2))](rng, wide, tall)
        image[top : top + tall, left : left + wide] = picture
    sheen = 1 + 0.25 * draw_noise(rng, width, height, 2.0, 3.0)
    return np.asarray(np.clip(image * np.clip(sheen, 0.3, 1.8)[..., None], 0, 1), np.float32)


def draw_screen(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw a screen with headings, bars of text and charts, often with a caption in the lower third."""
    hue = float(rng.random())
    bright = bool(rng.random() < 0.4)
    ground = draw_color(rng, (0.75, 1.0) if bright else (0.05, 0.4), (0.0, 0.25 if bright else 0.8), hue)
    canvas = _canvas(width, height, ground)
    ink = draw_color(rng, (0.05, 0.4) if bright else (0.7, 1.0), (0.0, 0.5), hue)
    accent = draw_color(rng, (0.5, 1.0), (0.4, 1.0))
    margin, line = 0.06 * width, height * rng.uniform(0.03, 0.08)
    if rng.random() < 0.7:
        _rectangle(canvas, 0, 0, width, 2.2 * line, accent)
        write_text(rng, canvas, margin, 1.6 * line, line, draw_color(rng, (0.8, 1.0), (0.0, 0.1)))
    if rng.random() < 0.35:
        for index, value in enumerate(rng.uniform(0.1, 0.6, 7)):
            left, bottom = margin + index * 0.12 * width, 0.78 * height
            _rectangle(canvas, left, bottom - value * height, left + 0.08 * width, bottom, accent)
    else:
        for row in np.arange(3.5 * line, 0.8 * height, 1.8 * line):
            x = margin
            end = width * rng.uniform(0.5, 0.95)
            while x < end:
                word = line * rng.uniform(0.8, 4)
                _rectangle(canvas, x, row, x + word, row + 0.6 * line, ink)
                x += word + 0.6 * line
    if rng.random() < 0.6:
        draw_caption(rng, canvas)
    return decode_pixels(canvas)


def draw_caption(rng: np.random.Generator, canvas: Pixels) -> None:
    """Draw a caption of two lines, as news put it on the lower third, in place."""
    height, width = canvas.shape[:2]
    top, tall = height * rng.uniform(0.72, 0.84), height * rng.uniform(0.1, 0.16)
    left, right = width * rng.uniform(0, 0.1), width * rng.uniform(0.6, 1.0)
    color = draw_color(rng, (0.2, 1.0), (0.0, 1.0), rng.choice([0.0, 0.6, 0.13, 0.58]))
    _rectangle(canvas, left, top, right, top + tall, color)
    ink = np.full(3, 1.0 if color.mean() < 0.5 else 0.05, np.float32)
    write_text(rng, canvas, left + 0.03 * width, top + 0.48 * tall, 0.36 * tall, ink)
    write_text(rng, canvas, left + 0.03 * width, top + 0.86 * tall, 0.24 * tall, ink)


def draw_banner(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw a sponsors' wall: marks and words repeated in a staggered grid."""
    ground = draw_color(rng, (0.05, 1.0), (0.0, 0.8))
    canvas = _canvas(width, height, ground)
    dark = float(ground @ np.array([0.3, 0.6, 0.1], np.float32)) > 0.5
    inks = [draw_color(rng, (0.05, 0.5) if dark else (0.6, 1.0), (0.0, 0.9)) for _ in range(2)]
    step = height * rng.uniform(0.16, 0.34)
    for row, y in enumerate(np.arange(-step * rng.random(), height + step, 0.7 * step)):
        for column, x in enumerate(np.arange(-step, width + step, 1.6 * step)):
            left = x + (row % 2) * 0.8 * step
            if (row + column) % 2:
                write_text(rng, canvas, left, y, 0.2 * step, inks[0])
            else:
                center = (round(left + 0.3 * step), round(y - 0.1 * step))
                cv2.circle(canvas, center, max(round(0.17 * step), 2), to_byte(inks[1]), -1, cv2.LINE_AA)
                cv2.circle(canvas, center, max(round(0.09 * step), 1), to_byte(ground), -1, cv2.LINE_AA)
    return decode_pixels(canvas)
