"""The objects of the drawn examples, one a class. `draw_examples.py` puts them on a board and looks at them.

Lengths are centimetres, colours of pictures 8-bit sRGB, and z points upwards from the board.
"""

from typing import Any

import mitsuba as mi
import numpy as np
from example_shapes import (
    Scene,
    crumple,
    flat,
    grid,
    matt,
    noise,
    outline,
    paint,
    revolve,
    tint,
    turn,
    upright,
)
from PIL import Image, ImageDraw, ImageFont

Place = mi.ScalarTransform4f


def write(pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, ink: Any) -> None:
    pen.text(at, text, font=ImageFont.load_default(size), fill=ink, anchor="mm")


def build_box() -> Scene:
    """An open shipping box."""
    width, depth, height, thick, flap = 24.0, 18.0, 13.0, 0.35, 8.5

    def panel(size: tuple[float, float, float], place: Any, seed: int) -> Scene:
        streaks = noise((512, 512), seed=seed, scale=3)[:1].repeat(512, 0) * 1.6
        light = noise((512, 512), seed=seed + 1, scale=90) * 5 + streaks
        light += noise((512, 512), seed=seed + 2, scale=3) * 3
        shape = place @ Place().scale([one / 2 for one in size])
        return {"type": "cube", "to_world": shape, "bsdf": matt(tint((186, 142, 98), light))}

    move, spin = Place().translate, Place().rotate([0, 0, 1], 33)
    parts = {
        "front": panel((width, thick, height), spin @ move([0, -depth / 2, height / 2]), 1),
        "back": panel((width, thick, height), spin @ move([0, depth / 2, height / 2]), 2),
        "left": panel((thick, depth, height), spin @ move([-width / 2, 0, height / 2]), 3),
        "right": panel((thick, depth, height), spin @ move([width / 2, 0, height / 2]), 4),
        "floor": panel((width, depth, thick), spin @ move([0, 0, thick]), 5),
    }
    long, short = (width - 0.4, flap, thick), (flap, depth - 0.4, thick)
    for name, hinge, axis, degrees, size, outwards in (
        ("flap_front", [0, -depth / 2, height], [1, 0, 0], 28, long, [0, -flap / 2, 0]),
        ("flap_back", [0, depth / 2, height], [1, 0, 0], -118, long, [0, -flap / 2, 0]),
        ("flap_left", [-width / 2, 0, height], [0, 1, 0], -22, short, [-flap / 2, 0, 0]),
        ("flap_right", [width / 2, 0, height], [0, 1, 0], 35, short, [flap / 2, 0, 0]),
    ):
        place = spin @ move(hinge) @ Place().rotate(axis, degrees) @ move(outwards)
        parts[name] = panel(size, place, len(parts) + 10)
    return parts


def build_glass_bottle() -> Scene:
    """A green bottle with a paper label."""
    outside = (
        "0 .9  2.2 .35  3 0  3.4 .25  3.5 1  3.5 6  3.5 11  3.45 12.5  2.9 14.4  1.9 16.2  1.5 17.8 "
    )
    neck = "1.38 20  1.32 21.8  1.55 22  1.6 22.3  1.55 22.6  1.35 22.8  1.4 23.4  .98 23.4  .98 21 "
    inside = "1.05 18  1.55 16  2.55 14.2  3.08 12.4  3.12 11  3.12 6  3.12 1.4  2.5 .95  0 1.35"
    glass = {
        "type": "dielectric",
        "int_ior": 1.5,
        "specular_transmittance": flat(0.42, 0.74, 0.40),
    }
    angle, rise = np.meshgrid(np.linspace(-2.91, -0.21, 80), np.linspace(3.0, 9.6, 30))
    label = np.stack([3.54 * np.cos(angle), 3.54 * np.sin(angle), rise], -1)
    image, ink = tint((236, 226, 200), noise((640, 420), seed=3, scale=3) * 3), (120, 30, 30)
    pen = ImageDraw.Draw(image)
    pen.rectangle([14, 14, 626, 406], outline=ink, width=8)
    write(pen, (320, 175), "LIMONATA", 104, ink)
    write(pen, (320, 290), "sparkling lemon  33 cl", 40, (60, 70, 50))
    return {
        "bottle": grid(revolve(outline(outside + neck + inside)), glass),
        "label": grid(label, matt(upright(image))),
    }


def build_can() -> Scene:
    """A dented drinks can."""
    side = "2.3 0  2.45 .1  3.2 1  3.25 1.6  3.25 5  3.25 10  3.2 10.8  2.75 11.7  2.66 11.9  2.72 12.1"
    body = revolve(outline(side), steps=240)
    angle, height = np.arctan2(body[..., 1], body[..., 0]), body[..., 2]
    for at, up, wide, high, deep in (
        (-1.0, 6.2, 0.42, 1.3, 0.23),
        (-1.9, 4.0, 0.3, 0.9, 0.11),
        (-1.45, 5.3, 0.2, 0.7, -0.05),
    ):
        away = (np.angle(np.exp(1j * (angle - at))) / wide) ** 2 + ((height - up) / high) ** 2
        body[..., :2] *= (1 - deep * np.exp(-away))[..., None]
    image, white = Image.new("RGB", (1200, 480), (176, 20, 24)), (240, 240, 236)
    pen = ImageDraw.Draw(image)
    for middle in (325, 925):
        write(pen, (middle, 235), "COLA", 170, white)
    pen.line([(x, 392 + 22 * np.sin(x / 95)) for x in range(0, 1201, 5)], fill=white, width=20)
    for top in (0, 440):
        pen.rectangle([0, top, 1200, top + 40], fill=(190, 190, 192))
    coat = {
        **{"type": "principled", "base_color": paint(upright(image)), "metallic": 0.75},
        **{"roughness": 0.3, "specular": 0.6, "clearcoat": 0.7, "clearcoat_gloss": 0.9},
    }
    bare = {"type": "roughconductor", "material": "Al", "alpha": 0.14}
    lid = "2.72 12.1  2.62 12.16  2.5 12.1  2.4 11.65  2.2 11.6  2.1 11.75  0 11.75"
    hole = revolve(outline("0.95 11.77  0 11.77")) * [0.8, 1, 1] - [0, 1.1, 0]
    around, across = np.meshgrid(np.linspace(0, 2 * np.pi, 60), np.linspace(0, 2 * np.pi, 20))
    thick = 0.16 * np.cos(across)
    tab = [(0.62 + thick) * np.cos(around), 0.55 + (0.95 + thick) * np.sin(around)]
    parts = {
        "body": (body, coat),
        "lid": (revolve(outline(lid)), bare),
        "tab": (np.stack([*tab, 11.92 + 0.08 * np.sin(across)], -1), bare),
        "hole": (hole, {"type": "diffuse", "reflectance": flat(0.01, 0.01, 0.01)}),
    }
    return {
        name: grid(turn(points, -12), {"type": "twosided", "inner": surface})
        for name, (points, surface) in parts.items()
    }


def build_sheet() -> Scene:
    """A printed sheet that was crumpled and smoothed out again."""
    x, y = np.meshgrid(np.linspace(-9.5, 9.5, 500), np.linspace(-13, 13, 680))
    height = 0.34 * crumple(x / 5, y / 5, seed=4, folds=26)
    height += 0.05 * crumple(x / 1.7, y / 1.7, seed=9, folds=14)
    rim = np.maximum(np.abs(x) / 9.5, np.abs(y) / 13) ** 6
    height += 0.9 * rim * (0.5 + 0.5 * np.sin(x / 3 + y / 4))
    height -= height.min() - 0.03
    image = tint((243, 242, 238), noise((760, 1040), seed=5, scale=4) * 1.5)
    pen, generator = ImageDraw.Draw(image), np.random.default_rng(8)
    write(pen, (325, 90), "Minutes of the meeting", 48, (40, 40, 44))
    top = 170
    while top < 950:
        for line in range(top, top + 25 * int(generator.integers(4, 8)), 25):
            left = 70
            while left < 640 and line < 960:
                word = int(generator.integers(16, 74))
                pen.rectangle([left, line, min(left + word, 690), line + 8], fill=(92, 92, 98))
                left += word + 11
        top = line + 51
    points = turn(np.stack([x, y, height], -1), -24)
    return {"sheet": grid(points, matt(upright(image)), smooth=False)}


def build_plastic_bottle() -> Scene:
    """A clear water bottle with a blue cap, lying."""
    low, high = np.arange(1.2, 6.2, 0.18), np.arange(11.4, 14.4, 0.18)
    ribs = [
        np.stack([3.15 + deep * np.cos(2 * np.pi * at / 1.1), at], 1)
        for at, deep in ((low, 0.13), (high, 0.1))
    ]
    foot, middle = outline("0 .6  1.3 .35  2.4 0  3 .45"), outline("3.15 6.6  3.15 11")
    neck = outline(
        "3.05 15.2  2.5 17  1.7 18.4  1.28 19  1.25 19.3  1.6 19.4  1.6 19.55  1.25 19.6  1.25 20.4"
    )
    body = revolve(np.concatenate([foot, ribs[0], middle, ribs[1], neck]), steps=200, rings=400)
    cap = revolve(outline("1.5 19.75  1.55 19.8  1.55 21.4  1.45 21.6  0 21.6"), steps=241)
    cap[..., :2] *= (1 + 0.03 * np.sign(np.sin(np.arange(241) * np.pi / 2)))[:, None]
    image = Image.new("RGB", (900, 220), (24, 92, 190))
    pen = ImageDraw.Draw(image)
    for start in (0, 450):
        write(pen, (start + 337, 95), "acqua", 90, (245, 250, 255))
    wave = [(x, 165 + 14 * np.sin(x / 24)) for x in range(0, 901, 4)]
    pen.line(wave, fill=(120, 190, 245), width=12)
    clear = {
        "type": "thindielectric",
        "int_ior": 1.8,
        "specular_transmittance": flat(0.93, 0.96, 0.97),
    }
    parts = {
        "body": (body, clear),
        "cap": (cap, {"type": "plastic", "diffuse_reflectance": flat(0.02, 0.12, 0.55)}),
        "label": (
            revolve(outline("3.2 6.7  3.2 10.9")),
            {"type": "plastic", "diffuse_reflectance": paint(upright(image))},
        ),
    }
    laid = {}
    for name, (points, surface) in parts.items():
        lying = points[..., [2, 0, 1]] + [-10.8, 0, 3.26]
        two_sided = surface if name == "body" else {"type": "twosided", "inner": surface}
        laid[name] = grid(turn(lying, 32), two_sided)
    return laid


def build_bag() -> Scene:
    """An empty bag of crisps."""
    u, v = np.meshgrid(np.linspace(-1, 1, 420), np.linspace(-1, 1, 560))
    full = (1 - np.abs(u) ** 2.6).clip(0) ** 0.6 * (1 - np.abs(v) ** 5).clip(0) ** 0.7
    creases = crumple(u * 2.2, v * 2.8, seed=12, folds=16) * 0.34
    creases += crumple(u * 5, v * 6, seed=13, folds=12) * 0.07
    seam = 0.35 + 0.06 * np.sin(v * 260) + 0.25 * np.sin(u * 5 + v)
    height = np.where(np.abs(v) > 0.91, seam, 1.7 * full + creases * (0.35 + full) + 0.25)
    x = u * 7.4 * (1 - 0.10 * (1 - v**2) * np.abs(u)) + 0.15 * creases
    image, ink = Image.new("RGB", (840, 1120), (206, 46, 30)), (150, 22, 20)
    pen = ImageDraw.Draw(image)
    pen.ellipse([90, 300, 750, 860], fill=(248, 196, 40))
    write(pen, (420, 480), "CRISPS", 150, ink)
    write(pen, (420, 610), "paprika", 84, ink)
    for left, top in ((238, 700), (388, 730), (498, 680)):
        crisp = [left, top, left + 124, top + 80]
        pen.ellipse(crisp, fill=(232, 158, 40), outline=(176, 106, 20), width=5)
    for top in (0, 1055):
        pen.rectangle([0, top, 840, top + 65], fill=(214, 214, 216))
    foil = {
        **{"type": "principled", "base_color": paint(upright(image))},
        **{"metallic": 0.45, "roughness": 0.25, "specular": 0.7},
    }
    points = turn(np.stack([x, v * 10.5, height.clip(0.02)], -1), -28)
    return {"bag": grid(points, {"type": "twosided", "inner": foil})}
