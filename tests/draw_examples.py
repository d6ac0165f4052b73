"""Draws the pictures of `trashlens/ui/examples`: one object a class, modelled here and lit by a path tracer.

    pip install mitsuba
    python tests/draw_examples.py [--samples 512] [--folder FOLDER] [CLASS ...]

Nothing in them is from a photo. Lengths are centimetres, colours linear RGB in 0..1, and z points upwards from a
white board.
"""

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mitsuba as mi
import numpy as np
from PIL import Image, ImageDraw, ImageFont

mi.set_variant("scalar_rgb")

FOLDER = Path(__file__).parent.parent / "src" / "trashlens" / "ui" / "examples"
SIZE_PX = (512, 384)
MOST_BYTES = 25_000
Scene = dict[str, Any]
Place = mi.ScalarTransform4f


# Surfaces


def paint(image: Image.Image) -> Scene:
    """Return a texture of an image, 8-bit sRGB."""
    return {"type": "bitmap", "bitmap": mi.Bitmap(np.array(image.convert("RGB"))), "raw": False}


def flat(*colour: float) -> Scene:
    return {"type": "rgb", "value": list(colour)}


def two_sided(surface: Scene) -> Scene:
    return {"type": "twosided", "inner": surface}


def noise(size: tuple[int, int], *, seed: int, scale: float) -> np.ndarray:
    """Return smooth noise, [height, width], mean 0 and standard deviation 1; `scale` is its grain in pixels."""
    grain = Image.fromarray(np.random.default_rng(seed).normal(size=size[::-1]).astype(np.float32))
    smooth = np.asarray(_blur(grain, scale))
    return (smooth - smooth.mean()) / smooth.std()


def _blur(image: Image.Image, scale: float) -> Image.Image:
    width, height = image.size
    small = image.resize((max(2, int(width / scale)), max(2, int(height / scale))), Image.Resampling.BOX)
    return small.resize((width, height), Image.Resampling.BICUBIC)


def tint(colour: tuple[int, int, int], light: np.ndarray) -> Image.Image:
    """Return a picture of one colour, lighter and darker by `light`, [height, width] in 8-bit steps."""
    return Image.fromarray(np.clip(np.array(colour) + light[..., None], 0, 255).astype(np.uint8))


# Shapes


def grid(points: np.ndarray, surface: Scene, *, smooth: bool = True) -> Any:
    """Return a mesh through `points`, [rows, columns, 3], whose texture spans it once."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    bsdf = mi.load_dict(surface)
    properties = mi.Properties()
    properties["bsdf"] = bsdf
    mesh = mi.Mesh("grid", rows * columns, len(faces), props=properties, has_vertex_normals=smooth,
                   has_vertex_texcoords=True)
    values = mi.traverse(mesh)
    values["vertex_positions"] = points.reshape(-1, 3).ravel().astype(np.float32)
    values["vertex_texcoords"] = np.stack([u.ravel(), v.ravel()], 1).ravel().astype(np.float32)
    values["faces"] = faces.ravel().astype(np.uint32)
    values.update()
    return mesh


def revolve(profile: list[tuple[float, float]], *, steps: int = 160, rings: int = 240, rounding: int = 2) -> np.ndarray:
    """Return points, [heights, angles, 3], of a profile of (radius, height) turned about the z axis."""
    outline = np.array(profile, float)
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(outline, axis=0).T))])
    at = np.linspace(0, length[-1], rings)  # evenly, so that a texture is not stretched
    radius, height = (np.interp(at, length, outline[:, k]) for k in (0, 1))
    for _ in range(rounding):  # corners of real things are round
        radius[1:-1] = (radius[:-2] + 2 * radius[1:-1] + radius[2:]) / 4
        height[1:-1] = (height[:-2] + 2 * height[1:-1] + height[2:]) / 4
    radius = radius.clip(0.01)  # at a point a surface has no direction
    angle = np.linspace(0, 2 * np.pi, steps)
    return np.stack(
        [np.outer(radius, np.cos(angle)), np.outer(radius, np.sin(angle)), np.outer(height, np.ones(steps))], -1
    )


def crumple(x: np.ndarray, y: np.ndarray, *, seed: int, folds: int) -> np.ndarray:
    """Return heights as of a sheet that was crumpled and smoothed: straight creases in all directions."""
    generator = np.random.default_rng(seed)
    height = np.zeros_like(x)
    for _ in range(folds):
        angle, period = generator.uniform(0, np.pi), generator.uniform(0.35, 1.6)
        along = x * np.cos(angle) + y * np.sin(angle) + generator.uniform(0, 9)
        height += generator.normal() * period * np.abs(along / period % 2 - 1)
    return (height - height.mean()) / height.std()


def turn(points: np.ndarray, *, x: float = 0, y: float = 0, z: float = 0) -> np.ndarray:
    """Turn points about the axes, degrees, in this order."""
    for axis, degrees in enumerate((x, y, z)):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        first, second = [k for k in range(3) if k != axis]
        s = -s if axis == 1 else s
        a, b = points[..., first].copy(), points[..., second].copy()
        points = points.copy()
        points[..., first], points[..., second] = c * a - s * b, s * a + c * b
    return points


# The objects


def draw_cardboard() -> Scene:
    """An open shipping box."""
    width, depth, height, thick = 24.0, 18.0, 13.0, 0.35
    def side(seed: int, label: bool = False) -> Scene:
        streaks = noise((512, 512), seed=seed, scale=3)[:1].repeat(512, 0) * 1.6
        light = noise((512, 512), seed=seed + 1, scale=90) * 5 + noise((512, 512), seed=seed + 2, scale=3) * 3 + streaks
        image = tint((186, 142, 98), light)
        if label:
            pen = ImageDraw.Draw(image)
            for left in (352, 422):  # this side up
                pen.polygon([(left, 330), (left + 25, 285), (left + 50, 330)], fill=(74, 54, 40))
                pen.rectangle([left + 17, 330, left + 33, 375], fill=(74, 54, 40))
            pen.rectangle([345, 388, 478, 395], fill=(74, 54, 40))
        return {"type": "diffuse", "reflectance": paint(image)}

    def panel(size: tuple[float, float, float], place: Any, seed: int, label: bool = False) -> Scene:
        return {"type": "cube", "to_world": Place(place) @ Place().scale([s / 2 for s in size]), "bsdf": side(seed, label)}

    move, spin = Place().translate, Place().rotate([0, 0, 1], 33)
    parts = {
        "front": panel((width, thick, height), spin @ move([0, -depth / 2, height / 2]), 1, label=True),
        "back": panel((width, thick, height), spin @ move([0, depth / 2, height / 2]), 2),
        "left": panel((thick, depth, height), spin @ move([-width / 2, 0, height / 2]), 3),
        "right": panel((thick, depth, height), spin @ move([width / 2, 0, height / 2]), 4),
        "floor": panel((width, depth, thick), spin @ move([0, 0, thick]), 5),
    }
    flap = 8.5
    for name, at, axis, degrees, size in (
        ("flap_front", [0, -depth / 2, height], [1, 0, 0], 28, (width - 0.4, flap, thick)),
        ("flap_back", [0, depth / 2, height], [1, 0, 0], -118, (width - 0.4, -flap, thick)),
        ("flap_left", [-width / 2, 0, height], [0, 1, 0], -22, (flap, depth - 0.4, thick)),
        ("flap_right", [width / 2, 0, height], [0, 1, 0], 35, (-flap, depth - 0.4, thick)),
    ):
        outwards = [0, -flap / 2, 0] if axis == [1, 0, 0] else [-flap / 2 * np.sign(size[0]), 0, 0]
        if name == "flap_back":
            outwards = [0, -flap / 2, 0]
        sizes = tuple(abs(one) for one in size)
        hinge = spin @ move(at) @ Place().rotate(axis, degrees) @ move(outwards)
        parts[name] = panel(sizes, hinge, len(parts) + 10)
    return parts


def draw_glass() -> Scene:
    """A green bottle with a paper label."""
    outer = [(0, 0.9), (2.2, 0.35), (3.0, 0), (3.4, 0.25), (3.5, 1), (3.5, 6), (3.5, 11), (3.45, 12.5), (2.9, 14.4),
             (1.9, 16.2), (1.5, 17.8), (1.38, 20), (1.32, 21.8), (1.55, 22), (1.6, 22.3), (1.55, 22.6), (1.35, 22.8), (1.4, 23.4)]
    inner = [(0.98, 23.4), (0.98, 21), (1.05, 18), (1.55, 16), (2.55, 14.2), (3.08, 12.4), (3.12, 11), (3.12, 6), (3.12, 1.4), (2.5, 0.95), (0, 1.35)]
    glass = {"type": "dielectric", "int_ior": 1.5, "specular_transmittance": flat(0.42, 0.74, 0.40)}
    angle = np.linspace(-1.25, 1.45, 80) - 1.66
    rise = np.linspace(3.0, 9.6, 30)
    label = np.stack([3.54 * np.cos(angle)[None].repeat(30, 0), 3.54 * np.sin(angle)[None].repeat(30, 0), rise[:, None].repeat(80, 1)], -1)
    image = tint((236, 226, 200), noise((640, 420), seed=3, scale=3) * 3)
    pen = ImageDraw.Draw(image)
    pen.rectangle([14, 14, 626, 406], outline=(120, 30, 30), width=8)
    pen.text((320, 175), "LIMONATA", font=ImageFont.load_default(104), fill=(120, 30, 30), anchor="mm")
    pen.text((320, 290), "sparkling lemon  33 cl", font=ImageFont.load_default(40), fill=(60, 70, 50), anchor="mm")
    paper = two_sided({"type": "diffuse", "reflectance": paint(image.transpose(Image.Transpose.FLIP_TOP_BOTTOM))})
    return {
        "bottle": grid(revolve(outer + inner), glass),
        "label": grid(label, paper),
    }


def draw_metal() -> Scene:
    """A dented drinks can."""
    body = revolve([(2.3, 0), (2.45, 0.1), (3.2, 1.0), (3.25, 1.6), (3.25, 5), (3.25, 10), (3.2, 10.8), (2.75, 11.7), (2.66, 11.9), (2.72, 12.1)], steps=240)
    angle, height = np.arctan2(body[..., 1], body[..., 0]), body[..., 2]
    def dent(at_angle: float, at_height: float, wide: float, high: float, deep: float) -> np.ndarray:
        away = (np.angle(np.exp(1j * (angle - at_angle))) / wide) ** 2 + ((height - at_height) / high) ** 2
        return deep * np.exp(-away)
    shrink = dent(-1.0, 6.2, 0.42, 1.3, 0.75) + dent(-1.9, 4.0, 0.3, 0.9, 0.35) - dent(-1.45, 5.3, 0.2, 0.7, 0.15)
    body[..., :2] *= (1 - shrink / 3.25)[..., None]
    image = Image.new("RGB", (1200, 480), (176, 20, 24))
    pen = ImageDraw.Draw(image)
    for start in (60, 660):
        pen.text((start + 60, 235), "COLA", font=ImageFont.load_default(170), fill=(240, 240, 236), anchor="lm")
    wave = [(x, 392 + 22 * np.sin(x / 95)) for x in range(0, 1201, 5)]
    pen.line(wave, fill=(236, 236, 232), width=20)
    pen.rectangle([0, 0, 1200, 40], fill=(190, 190, 192))
    pen.rectangle([0, 440, 1200, 480], fill=(190, 190, 192))
    coat = {"type": "principled", "base_color": paint(image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)), "metallic": 0.75, "roughness": 0.3, "specular": 0.6, "clearcoat": 0.7, "clearcoat_gloss": 0.9}
    bare = {"type": "roughconductor", "material": "Al", "alpha": 0.14}
    lid = revolve([(2.72, 12.1), (2.62, 12.16), (2.5, 12.1), (2.4, 11.65), (2.2, 11.6), (2.1, 11.75), (0, 11.75)])
    hole = revolve([(0.95, 11.77), (0, 11.77)])
    hole[..., 0] *= 0.8
    hole[..., 1] -= 1.1
    ring = np.array(np.meshgrid(np.linspace(0, 2 * np.pi, 60), np.linspace(0, 2 * np.pi, 20))).transpose(1, 2, 0)
    tab = np.stack([(0.62 + 0.16 * np.cos(ring[..., 1])) * np.cos(ring[..., 0]), 0.55 + (0.95 + 0.16 * np.cos(ring[..., 1])) * np.sin(ring[..., 0]), 11.92 + 0.08 * np.sin(ring[..., 1])], -1)
    shapes = {"body": (body, two_sided(coat)), "lid": (lid, two_sided(bare)), "tab": (tab, two_sided(bare)),
              "hole": (hole, two_sided({"type": "diffuse", "reflectance": flat(0.01, 0.01, 0.01)}))}
    return {name: grid(turn(points, z=-12), surface) for name, (points, surface) in shapes.items()}


def draw_paper() -> Scene:
    """A printed sheet that was crumpled and smoothed out again."""
    x, y = np.meshgrid(np.linspace(-9.5, 9.5, 500), np.linspace(-13, 13, 680))
    height = 0.34 * crumple(x / 5, y / 5, seed=4, folds=26) + 0.05 * crumple(x / 1.7, y / 1.7, seed=9, folds=14)
    rim = np.maximum(np.abs(x) / 9.5, np.abs(y) / 13) ** 6
    height += 0.9 * rim * (0.5 + 0.5 * np.sin(x / 3 + y / 4))
    height -= height.min() - 0.03
    image = tint((243, 242, 238), noise((760, 1040), seed=5, scale=4) * 1.5)
    pen, generator = ImageDraw.Draw(image), np.random.default_rng(8)
    pen.text((70, 90), "Minutes of the meeting", font=ImageFont.load_default(48), fill=(40, 40, 44), anchor="lm")
    top = 170
    while top < 950:
        for _ in range(generator.integers(4, 8)):
            left = 70
            while left < 640 and top < 960:
                word = int(generator.integers(16, 74))
                pen.rectangle([left, top, min(left + word, 690), top + 8], fill=(92, 92, 98))
                left += word + 11
            top += 25
        top += 26
    surface = two_sided({"type": "diffuse", "reflectance": paint(image.transpose(Image.Transpose.FLIP_TOP_BOTTOM))})
    points = turn(np.stack([x, y, height], -1), z=-24)
    return {"sheet": grid(points, surface, smooth=False)}


def draw_plastic() -> Scene:
    """A clear water bottle with a blue cap, lying."""
    ribs = [(3.15 + 0.13 * np.cos(2 * np.pi * at / 1.1), at) for at in np.arange(1.2, 6.2, 0.18)]
    ribs2 = [(3.15 + 0.1 * np.cos(2 * np.pi * at / 1.1), at) for at in np.arange(11.4, 14.4, 0.18)]
    outline = [(0, 0.6), (1.3, 0.35), (2.4, 0), (3.0, 0.45), *ribs, (3.15, 6.6), (3.15, 11), *ribs2, (3.05, 15.2), (2.5, 17), (1.7, 18.4), (1.28, 19), (1.25, 19.3), (1.6, 19.4), (1.6, 19.55), (1.25, 19.6), (1.25, 20.4)]
    body = revolve(outline, steps=200, rings=400)
    clear = {"type": "thindielectric", "int_ior": 1.8, "specular_transmittance": flat(0.93, 0.96, 0.97)}
    cap = revolve([(1.5, 19.75), (1.55, 19.8), (1.55, 21.4), (1.45, 21.6), (0, 21.6)], steps=241)
    knurl = 1 + 0.03 * np.sign(np.sin(np.arange(241) * 2 * np.pi / 4))
    cap[..., :2] *= knurl[None, :, None]
    image = Image.new("RGB", (900, 220), (24, 92, 190))
    pen = ImageDraw.Draw(image)
    for start in (0, 450):
        pen.text((start + 337, 95), "acqua", font=ImageFont.load_default(90), fill=(245, 250, 255), anchor="mm")
        pen.line([(start + x, 165 + 14 * np.sin(x / 24)) for x in range(0, 451, 4)], fill=(120, 190, 245), width=12)
    label = revolve([(3.2, 6.7), (3.2, 10.9)])
    shapes = {
        "body": (body, clear),
        "cap": (cap, two_sided({"type": "plastic", "diffuse_reflectance": flat(0.02, 0.12, 0.55)})),
        "label": (label, two_sided({"type": "plastic", "diffuse_reflectance": paint(image.transpose(Image.Transpose.FLIP_TOP_BOTTOM))})),
    }
    return {
        name: grid(_lay(points), surface)
        for name, (points, surface) in shapes.items()
    }


def _lay(points: np.ndarray) -> np.ndarray:
    """Lay what stands upon the board, 3.25 cm thick from its axis, and turn it."""
    lying = np.stack([points[..., 2] - 10.8, points[..., 0], points[..., 1] + 3.26], -1)
    return turn(lying, z=32)


def draw_trash() -> Scene:
    """An empty bag of crisps."""
    u, v = np.meshgrid(np.linspace(-1, 1, 420), np.linspace(-1, 1, 560))
    full = (1 - np.abs(u) ** 2.6).clip(0) ** 0.6 * (1 - np.abs(v) ** 5).clip(0) ** 0.7
    creases = crumple(u * 2.2, v * 2.8, seed=12, folds=16) * 0.20 + crumple(u * 6, v * 7, seed=13, folds=10) * 0.035
    height = 2.3 * full + creases * (0.35 + full) + 0.25
    seal = np.abs(v) > 0.91
    height = np.where(seal, 0.35 + 0.06 * np.sin(v * 260) + 0.25 * np.sin(u * 5 + v), height)
    x = u * 7.4 * (1 - 0.10 * (1 - v**2) * np.abs(u)) + 0.15 * creases
    y = v * 10.5
    image = Image.new("RGB", (840, 1120), (206, 46, 30))
    pen = ImageDraw.Draw(image)
    pen.ellipse([90, 300, 750, 860], fill=(248, 196, 40))
    pen.text((420, 480), "CRISPS", font=ImageFont.load_default(150), fill=(150, 22, 20), anchor="mm")
    pen.text((420, 610), "paprika", font=ImageFont.load_default(84), fill=(150, 22, 20), anchor="mm")
    for at in ((300, 740), (450, 770), (560, 720)):
        pen.ellipse([at[0] - 62, at[1] - 40, at[0] + 62, at[1] + 40], fill=(232, 158, 40), outline=(176, 106, 20), width=5)
    for top in (0, 1055):
        pen.rectangle([0, top, 840, top + 65], fill=(214, 214, 216))
    foil = {"type": "principled", "base_color": paint(image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)), "metallic": 0.35, "roughness": 0.28, "specular": 0.7}
    points = turn(np.stack([x, y, height.clip(0.02)], -1), z=-28)
    return {"bag": grid(points, two_sided(foil))}


# The picture


def light_room() -> np.ndarray:
    """Return what surrounds the board, [height, width, 3]: a bright ceiling, a window, walls that shine see."""
    rows = np.linspace(0, 1, 128)[:, None]
    room = 0.62 - 0.42 * rows + np.zeros((128, 256))
    room[22:56, 40:92] = 7.0
    room[22:56, 64:67] = 0.3
    room[26:52, 150:176] = 1.8
    room[60:76, 100:230] = 0.10
    colour = room[..., None] * np.array([1.0, 0.975, 0.94])
    colour[22:56, 40:92] *= np.array([0.94, 0.99, 1.08])
    return colour.astype(np.float32)


VIEWS: dict[str, tuple[Callable[[], Scene], float, float, tuple[float, float, float]]] = {
    "cardboard": (draw_cardboard, 76, 36, (0, 0, 6.5)),
    "glass": (draw_glass, 49, 24, (0, 0, 11.4)),
    "metal": (draw_metal, 30, 33, (0, 0, 5.5)),
    "paper": (draw_paper, 48, 52, (0, -0.8, 0)),
    "plastic": (draw_plastic, 38, 42, (0, 0, 2.4)),
    "trash": (draw_trash, 39, 52, (0, -0.6, 1)),
}
"""By class: what is drawn, how far away the camera is, how high it looks down from, degrees, and where to."""


def render(label: str, samples: int, size_px: tuple[int, int]) -> Image.Image:
    """Return the picture of a class."""
    draw, far, degrees, centre = VIEWS[label]
    away = np.array([0, -np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]) * far
    board = tint((226, 224, 219), noise((1024, 1024), seed=1, scale=260) * 1.6 + noise((1024, 1024), seed=2, scale=2) * 1.2)
    scene = mi.load_dict({
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 14},
        "sensor": {
            "type": "perspective", "fov": 38,
            "to_world": Place().look_at(origin=list(away + centre), target=list(centre), up=[0, 0, 1]),
            "film": {"type": "hdrfilm", "width": size_px[0], "height": size_px[1], "rfilter": {"type": "gaussian"}},
            "sampler": {"type": "independent", "sample_count": samples},
        },
        "room": {"type": "envmap", "bitmap": mi.Bitmap(light_room()), "scale": 1.25, "to_world": Place().rotate([1, 0, 0], 90)},
        "board": {"type": "rectangle", "to_world": Place().scale([200, 200, 1]), "bsdf": {"type": "diffuse", "reflectance": paint(board)}},
        **draw(),
    })
    light = np.array(mi.render(scene))[..., :3]
    return develop(light)


def develop(light: np.ndarray) -> Image.Image:
    """Return the picture that a camera would make of `light`, [height, width, 3], linear: exposed, a little dim at the rim."""
    height, width = light.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    exposed = light * (0.66 / np.percentile(light.mean(2), 60)) * (1 - 0.13 * (x**2 + y**2))[..., None]
    shoulder = np.where(exposed > 0.7, 0.7 + 0.3 * (1 - np.exp(-(exposed - 0.7) / 0.3)), exposed)
    return Image.fromarray((255 * shoulder.clip(0, 1) ** (1 / 2.2) + 0.5).astype(np.uint8))


def compress(picture: Image.Image) -> bytes:
    """Return the JPEG of the best quality within `MOST_BYTES`."""
    for quality in range(92, 30, -2):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        if buffer.tell() <= MOST_BYTES:
            return buffer.getvalue()
    raise ValueError("The picture cannot be made small enough. Take more samples.")


def main() -> int:
    """Draw the classes that are named, by default all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", nargs="*", metavar="CLASS")
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--draft", action="store_true", help="a quarter of the pixels")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for label in given.labels or VIEWS:
        size_px = (256, 192) if given.draft else SIZE_PX
        picture = render(label, given.samples, size_px)
        (given.folder / f"{label}.jpg").write_bytes(compress(picture))
        print(label, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
