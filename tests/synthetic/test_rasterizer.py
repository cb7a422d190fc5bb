import numpy as np

from faceanim.synthetic.rendering.rasterizer import Cutouts, project, rasterize, vertex_normals


def opaque(count: int) -> Cutouts:
    return Cutouts(
        np.full(count, -1, np.int32), np.zeros((count, 3, 2), np.float32), np.zeros((1, 1, 1), np.uint8)
    )


def test_projects_to_pixel_centers() -> None:
    pixels, inverse_depth = project(np.array([[0, 0, -2], [1, 1, -2]], np.float32), 100, (31.5, 31.5))
    assert pixels.tolist() == [[31.5, 31.5], [81.5, -18.5]]
    assert inverse_depth.tolist() == [0.5, 0.5]


def test_shows_the_nearer_of_two_triangles_and_where_in_it() -> None:
    pixels = np.array([[0, 9], [9, 9], [0, 0], [0, 9], [9, 9], [0, 0]], np.float32)
    depth = np.array([1, 1, 1, 2, 2, 2], np.float32)
    triangles = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    fragments = rasterize(pixels, depth, triangles, (10, 10), opaque(2), 2)
    inside = fragments.triangle >= 0
    assert inside.sum() == 55  # the pixels on and below the diagonal
    assert (fragments.triangle[inside] == 1).all()
    assert fragments.inverse_depth[9, 0] == 2
    np.testing.assert_allclose(fragments.weights[9, 9], [1, 0], atol=1e-6)
    np.testing.assert_allclose(fragments.weights[0, 0], [0, 1], atol=1e-6)


def test_interpolates_in_perspective() -> None:
    # A wall from depth 1 to depth 3: its middle in space, at depth 2, appears nearer to the far end.
    points = np.array([[-1, 1, -1], [-1, -1, -1], [1, -1, -3], [1, 1, -3]], np.float32)
    pixels, depth = project(points, 30, (30, 30))
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    fragments = rasterize(pixels, depth, triangles, (60, 60), opaque(2))
    corners = triangles[fragments.triangle]
    second, third = fragments.weights[..., :1], fragments.weights[..., 1:]
    place = points[corners[..., 0]] * (1 - second - third) + points[corners[..., 1]] * second
    place += points[corners[..., 2]] * third
    seen = fragments.triangle >= 0
    again, _ = project(place[seen], 30, (30, 30))
    y, x = np.nonzero(seen)
    np.testing.assert_allclose(again, np.stack([x, y], -1), atol=1e-3)


def test_sees_one_sided_triangles_from_outside_only() -> None:
    pixels = np.array([[0, 0], [9, 9], [0, 9]], np.float32)
    depth = np.ones(3, np.float32)
    clockwise = np.array([[0, 1, 2]], np.int32)
    assert (rasterize(pixels, depth, clockwise, (10, 10), opaque(1), 1).triangle == -1).all()
    assert (rasterize(pixels, depth, clockwise, (10, 10), opaque(1), 0).triangle == 0).any()
    assert (rasterize(pixels, depth, clockwise[:, ::-1].copy(), (10, 10), opaque(1), 1).triangle == 0).any()


def test_leaves_neither_gaps_nor_overlaps_between_neighbors() -> None:
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.linspace(0, 40, 9), np.linspace(0, 40, 9)), -1).reshape(-1, 2)
    grid = (grid + rng.uniform(-1, 1, grid.shape)).astype(np.float32)
    first = (np.arange(8)[:, None] * 9 + np.arange(8)[None]).reshape(-1)
    triangles = np.concatenate(
        [
            np.stack([first, first + 1, first + 9], -1),
            np.stack([first + 1, first + 10, first + 9], -1),
        ]
    )
    fragments = rasterize(grid, np.ones(81, np.float32), triangles.astype(np.int32), (41, 41), opaque(128))
    assert (fragments.triangle[3:-3, 3:-3] >= 0).all()


def test_cuts_holes_by_the_texture() -> None:
    pixels = np.array([[0, 0], [0, 16], [16, 0]], np.float32)
    alpha = np.zeros((1, 4, 4), np.uint8)
    alpha[0, :, :2] = 255
    uv = np.array([[[0, 0], [0, 1], [1, 0]]], np.float32)
    fragments = rasterize(
        pixels, np.ones(3, np.float32), np.array([[0, 1, 2]], np.int32), (16, 16),
        Cutouts(np.zeros(1, np.int32), uv, alpha),
    )  # fmt: skip
    assert (fragments.triangle[0, :8] == 0).all()
    assert (fragments.triangle[0, 8:] == -1).all()


def test_leaves_out_what_is_behind_the_camera() -> None:
    pixels = np.array([[0, 0], [0, 9], [9, 0]], np.float32)
    fragments = rasterize(
        pixels, np.array([1, 1, -1], np.float32), np.array([[0, 1, 2]], np.int32), (10, 10), opaque(1)
    )
    assert (fragments.triangle == -1).all()


def test_normals_point_outwards() -> None:
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    np.testing.assert_allclose(vertex_normals(points, np.array([[0, 1, 2]], np.int32)), [[0, 0, 1]] * 3)
