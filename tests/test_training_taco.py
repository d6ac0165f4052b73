"""TACO's annotations become crops of the right place, class and split; what cannot is counted by why."""

import csv
import dataclasses
import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import COLOURS, LABELS
from PIL import Image
from taco_server import EXCERPT, ORIENTATION, TacoServer, draw_photo, read_excerpt, serve_taco

from trashlens.__main__ import main
from trashlens.errors import DataError, ImageError
from trashlens.image import decode_image
from trashlens.training.data.taco.annotations import Box, Scene, read_annotations
from trashlens.training.data.taco.classes import map_categories
from trashlens.training.data.taco.config import TacoConfig
from trashlens.training.data.taco.crops import cut_box, read_view
from trashlens.training.data.taco.inputs import crops_differ
from trashlens.training.data.taco.split import draw_split, format_split, read_split

REPOSITORY = Path(__file__).parents[1]
MANIFEST = REPOSITORY / "data" / "taco-official.csv"
CATEGORIES = tuple(entry["name"] for entry in read_excerpt()["categories"])


def read(annotations: dict[str, Any]) -> Any:
    return read_annotations(json.dumps(annotations).encode(), "annotations.json")


def no_map(name: str) -> bytes:
    raise AssertionError(name)


def test_the_excerpt_is_read_whole() -> None:
    annotations = read(read_excerpt())
    assert (len(annotations.scenes), len(annotations.categories)) == (22, 60)
    assert sum(len(scene.boxes) for scene in annotations.scenes) == 47
    assert not annotations.left_out
    scene = next(scene for scene in annotations.scenes if scene.id == 0)
    assert (scene.path, scene.size) == ("batch_1/000006.jpg", (1537, 2049))
    assert scene.boxes == (
        Box(id=1, category="Glass bottle", left=517.0, top=127.0, width=447.0, height=1322.0),
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"iscrowd": 1}, "crowd"),
        ({"bbox": [10, 10, 0, 40]}, "zero-size"),
        ({"bbox": [10, 10, 40, -1]}, "zero-size"),
        ({"bbox": [10, 10, 40]}, "broken"),
        ({"bbox": None}, "broken"),
        ({"bbox": [10, math.nan, 40, 40]}, "broken"),
        ({"bbox": [10, 10, math.inf, 40]}, "broken"),
        ({"image_id": 99999}, "broken"),
        ({"category_id": 60}, "broken"),
        ({"category_id": [1]}, "broken"),
        ({"bbox": [9000, 10, 40, 40]}, "outside"),
        ({"bbox": [10, -50, 40, 40]}, "outside"),
    ],
)
def test_a_box_that_cannot_be_cut_is_left_out_and_counted(change: dict[str, object], why: str) -> None:
    annotations = read_excerpt()
    annotations["annotations"][3] |= change
    left = read(annotations)
    assert left.left_out == {why: 1}
    assert sum(len(scene.boxes) for scene in left.scenes) == 46


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.pop("categories"),
        lambda record: record["images"].clear(),
        lambda record: record["images"][0].update(width=0),
        lambda record: record["images"][0].update(file_name="../elsewhere.jpg"),
        lambda record: record["images"][0].update(file_name=record["images"][1]["file_name"]),
        lambda record: record.update(images=3),
    ],
)
def test_a_file_that_is_no_annotation_file_is_a_sentence(change: Any) -> None:
    annotations = read_excerpt()
    change(annotations)
    with pytest.raises(DataError, match=r"annotations\.json"):
        read(annotations)
    with pytest.raises(DataError, match="COCO"):
        read_annotations(b"path,class\n", "some.csv")


def test_our_table_gives_each_category_a_class_or_none_and_says_why() -> None:
    mapped = map_categories("trashnet", CATEGORIES, fetch_map=no_map)
    assert set(mapped.values()) == set(LABELS)
    assert set(CATEGORIES) - set(mapped) == {"Battery", "Unlabeled litter"}
    assert mapped["Egg carton"] == "paper"
    assert mapped["Plastic film"] == "trash"
    table = REPOSITORY / "src/trashlens/training/data/taco/trashnet-classes.csv"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["category"] for row in rows) == sorted(CATEGORIES)
    assert all(row["why"] for row in rows)


def test_tacos_own_maps_leave_its_background_out() -> None:
    table = "".join(f"{name},{'Can' if 'an' in name else 'Background'}\n" for name in CATEGORIES)
    table = table.replace("Cigarette,Background", "Cigarette,Cigarette") + "Bread bag,Background\n"
    mapped = map_categories("map_3", CATEGORIES, fetch_map=lambda _: table.encode())
    assert set(mapped.values()) == {"Can", "Cigarette"}
    assert map_categories("all", CATEGORIES, fetch_map=no_map) == {name: name for name in CATEGORIES}


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("Battery,one\n", "says nothing of 59 categories"),
        ("".join(f"{name},Litter\n" for name in CATEGORIES), "fewer than two classes"),
        ("".join(f"{name},a/b\n" for name in CATEGORIES), "cannot name a folder"),
        ("Battery\n", "not a CSV file of category and class"),
    ],
)
def test_a_table_that_does_not_hold_is_a_sentence(tmp_path: Path, table: str, sentence: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(table)
    with pytest.raises(DataError, match=sentence):
        map_categories(str(path), CATEGORIES, fetch_map=no_map)
    with pytest.raises(DataError, match="There is no table of classes map_11"):
        map_categories("map_11", CATEGORIES, fetch_map=no_map)


def test_the_committed_split_knows_each_photo_once() -> None:
    with MANIFEST.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["split"] for row in rows) == {"train": 1203, "val": 143, "test": 154}
    assert len({row["path"] for row in rows}) == len({row["sha256"] for row in rows}) == 1500
    excerpt = read(read_excerpt())
    assert Counter(read_split(MANIFEST, excerpt.scenes).values()) == {"train": 14, "val": 4, "test": 4}


def test_the_committed_split_is_the_one_that_its_seed_draws() -> None:
    path = REPOSITORY / "data/raw/taco/annotations.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there: `trashlens data --source taco` fetches it")
    scenes = read_annotations(path.read_bytes(), path.name).scenes
    assert format_split(scenes, draw_split(scenes, seed=0)) == MANIFEST.read_bytes()


def test_annotations_that_changed_do_not_pass_for_the_committed_split() -> None:
    annotations = read_excerpt()
    annotations["annotations"][0]["bbox"][2] += 1
    with pytest.raises(DataError, match="1 of 22 photos are annotated otherwise"):
        read_split(MANIFEST, read(annotations).scenes)
    with pytest.raises(DataError, match="There is no split manifest"):
        read_split(Path("nowhere.csv"), ())


def scenes_of_categories(rng: np.random.Generator) -> list[Scene]:
    """300 photos with one to five boxes of categories from frequent to rare, and one with 40 of one."""
    categories = [*"a" * 12, *"b" * 6, *"c" * 3, "d"]
    contents = [rng.choice(categories, rng.integers(1, 6)).tolist() for _ in range(300)]
    contents += [["e"] * 40, ["f"]]
    return [
        Scene(
            id=index,
            path=f"{index}.jpg",
            size=(100, 100),
            address="",
            small_address=None,
            boxes=tuple(
                Box(id=index * 100 + i, category=name, left=0, top=0, width=9, height=9)
                for i, name in enumerate(names)
            ),
            sha256="",
        )
        for index, names in enumerate(contents)
    ]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_drawn_split_has_each_category_in_like_shares(seed: int) -> None:
    scenes = scenes_of_categories(np.random.default_rng(5))
    split = draw_split(scenes, seed=seed)
    assert split == draw_split(scenes, seed=seed)
    assert split != draw_split(scenes, seed=seed + 1)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for scene in scenes:
        for box in scene.boxes:
            counts[box.category][split[scene.path]] += 1
    for category in "abc":
        total = counts[category].total()
        assert counts[category]["val"] / total == pytest.approx(0.1, abs=0.03)
        assert counts[category]["test"] / total == pytest.approx(0.1, abs=0.03)
    # A single photo's category can be learned, not tested.
    assert counts["e"] == {"train": 40}
    assert counts["f"] == {"train": 1}


SCENE = Scene(
    id=0,
    path="a.png",
    size=(200, 120),
    address="",
    small_address=None,
    boxes=(Box(id=1, category="Battery", left=150, top=10, width=40, height=20),),
    sha256="",
)
RED, BLUE = (255, 0, 0), (0, 0, 255)
UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def paint_scene() -> Image.Image:
    """The scene with its box in red: a blue bar along the upper half tells what is up."""
    photo = Image.new("RGB", SCENE.size, (0, 0, 0))
    photo.paste(RED, (150, 10, 190, 30))
    photo.paste(BLUE, (150, 10, 190, 20))
    return photo


def cut(path: Path, *, margin: float = 0.0, min_side_px: int = 8, short_side_px: int = 64) -> Any:
    config = TacoConfig(margin=margin, min_side_px=min_side_px)
    return cut_box(read_view(path, SCENE), SCENE.boxes[0], config, short_side_px=short_side_px)


def save(photo: Image.Image, path: Path, orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    photo.save(path, exif=exif)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_is_found_however_the_photo_lies(tmp_path: Path, orientation: int) -> None:
    stored = paint_scene()
    if orientation in UNDO:
        stored = stored.transpose(UNDO[orientation])
    crop = cut(save(stored, tmp_path / "a.png", orientation))
    assert crop.size == (40, 20)
    pixels = np.asarray(crop)
    assert (pixels[:10] == BLUE).all()
    assert (pixels[10:] == RED).all()


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_drawn_on_the_stored_pixels_are_found_and_their_crops_set_upright(
    tmp_path: Path, orientation: int
) -> None:
    crop = cut(save(paint_scene(), tmp_path / "a.png", orientation))
    assert crop.size == (20, 40)
    turned = np.asarray(crop.transpose(UNDO[orientation]))
    assert (turned[:10] == BLUE).all()
    assert (turned[10:] == RED).all()


def test_a_smaller_copy_has_its_boxes_where_they_belong(tmp_path: Path) -> None:
    save(paint_scene().resize((100, 60), Image.Resampling.BOX), tmp_path / "a.png")
    crop = cut(tmp_path / "a.png")
    assert crop.size == (20, 10)
    assert (np.asarray(crop)[:5] == BLUE).all()
    # 20 px of this copy are too few where 21 are asked for.
    assert cut(tmp_path / "a.png", min_side_px=20) is not None
    assert cut(tmp_path / "a.png", min_side_px=21) is None


def test_the_margin_ends_at_the_photos_edge_and_large_crops_shrink(tmp_path: Path) -> None:
    save(paint_scene(), tmp_path / "a.png")
    # A quarter of 40 px each way: 10 to the left, the right and below, and just the 10 there are above.
    assert cut(tmp_path / "a.png", margin=0.25).size == (60, 40)
    assert cut(tmp_path / "a.png", margin=1.0, short_side_px=70).size == (90, 70)
    assert cut(tmp_path / "a.png", margin=1.0, short_side_px=35).size == (45, 35)


def test_another_photo_and_no_photo_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="100×100 px instead of 200×120"):
        read_view(save(Image.new("RGB", (100, 100)), tmp_path / "a.png"), SCENE)
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="damaged"):
        read_view(tmp_path / "a.png", SCENE)


@pytest.fixture(scope="module")
def photos() -> dict[int, bytes]:
    """The excerpt's photos in their real sizes, by id."""
    annotations = read_excerpt()
    return {image["id"]: draw_photo(annotations, image) for image in annotations["images"]}


@pytest.fixture
def server(photos: dict[int, bytes], tmp_path: Path) -> Iterator[TacoServer]:
    """Serves the excerpt's photos, and has written the excerpt with its own addresses in `tmp_path`."""
    with serve_taco() as server:
        annotations = read_excerpt()
        for image in annotations["images"]:
            image["flickr_url"] = f"{server.address}/{image['id']}.jpg"
            image["flickr_640_url"] = f"{server.address}/{image['id']}-small.jpg"
            server.files[f"/{image['id']}.jpg"] = photos[image["id"]]
        (tmp_path / "annotations.json").write_text(json.dumps(annotations))
        server.files["/annotations.json"] = (tmp_path / "annotations.json").read_bytes()
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / MANIFEST.name).write_bytes(MANIFEST.read_bytes())
        yield server


def prepare(tmp_path: Path, *options: str) -> int:
    settings = {
        "source": "taco",
        "folder": tmp_path / "data",
        "taco.annotations": tmp_path / "annotations.json",
        "taco.wait_s": 0.01,
    }
    return main(["data", *(f"--{key}={value}" for key, value in settings.items()), *options])


def read_record(tmp_path: Path) -> dict[str, Any]:
    return json.loads((tmp_path / "data/processed-taco/data.json").read_text())


def is_covered(box: dict[str, Any], boxes: list[dict[str, Any]]) -> bool:
    """Return whether the middle of a box lies within 10 % of another one on its photo, or of the photo's edge."""
    left, top, width, height = box["bbox"]
    x, y, reach = left + width / 2, top + height / 2, 0.1 * max(width, height)
    return min(left, top) < reach or any(
        other["bbox"][0] - reach < x < other["bbox"][0] + other["bbox"][2] + reach
        and other["bbox"][1] - reach < y < other["bbox"][1] + other["bbox"][3] + reach
        for other in boxes
        if other["image_id"] == box["image_id"] and other is not box
    )


def test_crops_come_from_annotations_and_a_server_that_fails(
    server: TacoServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults |= {"/0.jpg": ["503"], "/96.jpg": ["cut", "503"], "/549.jpg": ["cut"]}
    address = f"--taco.annotations={server.address}/annotations.json"
    assert prepare(tmp_path, address) == 0
    record, processed = read_record(tmp_path), tmp_path / "data/processed-taco"
    boxes = read_excerpt()["annotations"]
    assert record["photos"].keys() == {"train", "val", "test"}
    written = {path.relative_to(processed).as_posix(): path for path in processed.rglob("*.jpg")}
    counted = {(side, label): n for side, by in record["photos"].items() for label, n in by.items()}
    assert Counter(tuple(path.split("/")[:2]) for path in written) == counted
    assert len(written) + sum(record["taco"]["left_out"].values()) == len(boxes) == 47
    # Each box is in its photo's split, in its class's colour, and upright.
    split = read_split(MANIFEST, read(read_excerpt()).scenes)
    by_id = {str(entry["id"]): entry for entry in boxes}
    paths = {image["id"]: image["file_name"] for image in read_excerpt()["images"]}
    seen = set()
    for name, path in written.items():
        side, label, file = name.split("/")
        entry = by_id[file.removesuffix(".jpg").split("-")[-1]]
        assert side == split[paths[entry["image_id"]]]
        crop = decode_image(path)
        if not is_covered(entry, boxes):
            centre = np.asarray(crop)[crop.height // 2, crop.width // 2]
            assert np.abs(centre.astype(int) - COLOURS[label]).max() < 16
            seen.add(label)
        if max(entry["bbox"][2:]) > 2 * min(entry["bbox"][2:]):
            assert (crop.width > crop.height) == (entry["bbox"][2] > entry["bbox"][3])
    assert seen == set(LABELS)
    said = capsys.readouterr().out
    assert f"{sum(record['photos']['train'].values())} train" in said
    assert "22 images in 6 classes (trashnet)" in said
    assert "no class" in said


def test_missing_and_damaged_images_are_left_out_by_name(
    server: TacoServer, photos: dict[int, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotations = read_excerpt()
    small = next(image for image in annotations["images"] if image["id"] == 1356)
    del server.files["/0.jpg"], server.files["/1356.jpg"]
    server.files["/1356-small.jpg"] = draw_photo(annotations, small, side_px=640)
    server.files["/96.jpg"] = photos[96][: len(photos[96]) // 2]
    server.files["/1357.jpg"] = photos[96]
    assert prepare(tmp_path) == 0
    record = read_record(tmp_path)
    assert record["taco"]["missing"] == ["batch_1/000006.jpg"]
    left_out = record["taco"]["left_out"]
    assert (left_out["image missing"], left_out["image unreadable"]) == (1, 1)
    assert left_out["image of another size"] >= 1
    listed = (tmp_path / "data/raw/taco/missing.csv").read_text()
    assert listed.splitlines()[1:] == [f"batch_1/000006.jpg,{server.address}/0.jpg,HTTP 404"]
    assert "1 images are missing; missing.csv" in capsys.readouterr().out


def test_a_failed_download_leaves_the_earlier_crops_and_says_how_to_go_on(
    server: TacoServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults["/0.jpg"] = ["503"] * 99
    assert prepare(tmp_path) == 2
    assert "Run it again, which goes on from here" in capsys.readouterr().err
    assert not (tmp_path / "data/processed-taco").exists()
    assert len(list((tmp_path / "data/raw/taco").rglob("*.*[gG]"))) == 21
    assert prepare(tmp_path, "--taco.fetch=false") == 0
    assert read_record(tmp_path)["taco"]["missing"] == ["batch_1/000006.jpg"]
    before = len(server.requests)
    assert prepare(tmp_path) == 2  # the server still fails for the one that is left
    assert {path for path, _ in server.requests[before:]} == {"/0.jpg"}
    assert read_record(tmp_path)["taco"]["missing"] == ["batch_1/000006.jpg"]


def test_crops_of_other_annotations_or_of_an_edited_table_are_told_apart(
    server: TacoServer, tmp_path: Path
) -> None:
    table = tmp_path / "maps/map_3.csv"
    table.parent.mkdir()
    table.write_text("".join(f"{name},{'Can' if 'an' in name else 'Rest'}\n" for name in CATEGORIES))
    images, annotations = tmp_path / "data/raw/taco", tmp_path / "annotations.json"
    asked = TacoConfig(annotations=str(annotations), classes="map_3")
    assert prepare(tmp_path, "--taco.classes=map_3") == 0
    record = read_record(tmp_path)
    assert not crops_differ(record, asked, images)
    edited = json.loads(annotations.read_text())
    edited["annotations"][0]["category_id"] += 1
    for path, content in (
        (annotations, json.dumps(edited)),
        (table, table.read_text().replace("Rest", "Others")),
    ):
        before = path.read_bytes()
        path.write_text(content)
        assert crops_differ(record, asked, images)
        path.write_bytes(before)
    assert not crops_differ(record, asked, images)
    for changed in ({"annotations": f"{server.address}/annotations.json"}, {"margin": 0.3}):
        assert crops_differ(record, dataclasses.replace(asked, **changed), images)
    # A record from before there were hashes of tables, and files that are no longer there.
    del record["taco"]["annotations"], record["taco"]["classes_sha256"]
    annotations.unlink()
    assert not crops_differ(record, asked, images)
    assert crops_differ({}, asked, images)


def test_annotations_of_another_address_are_not_those_that_were_fetched(
    server: TacoServer, tmp_path: Path
) -> None:
    changed = read_excerpt()
    changed["images"] = changed["images"][:1]
    server.files["/one.json"] = json.dumps(changed).encode()
    assert prepare(tmp_path, f"--taco.annotations={server.address}/annotations.json") == 0
    whole = read_record(tmp_path)["taco"]["annotations_sha256"]
    assert prepare(tmp_path, f"--taco.annotations={server.address}/one.json") == 2  # too few to train on
    assert prepare(tmp_path, f"--taco.annotations={server.address}/annotations.json") == 0
    assert read_record(tmp_path)["taco"]["annotations_sha256"] == whole
    kept = sorted((tmp_path / "data/raw/taco").glob("annotations*.json"))
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}
    assert digests == {whole, hashlib.sha256(server.files["/one.json"]).hexdigest()}


@pytest.mark.usefixtures("server")
def test_the_random_split_is_written_and_all_categories_may_be_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(tmp_path, "--split=random", "--seed=3", "--taco.classes=all") == 2
    assert "too few to draw a split" in capsys.readouterr().err
    annotations = json.loads((tmp_path / "annotations.json").read_text())
    for index, entry in enumerate(annotations["annotations"]):
        entry["category_id"] = index % 3
    (tmp_path / "annotations.json").write_text(json.dumps(annotations))
    assert prepare(tmp_path, "--split=random", "--seed=3", "--taco.classes=all") == 0
    record = read_record(tmp_path)
    rows = (tmp_path / "data/taco-random-3.csv").read_text().splitlines()
    assert (record["split"], record["seed"], len(rows)) == ("random", 3, 1 + 22)
    assert set(record["photos"]["train"]) == set(CATEGORIES[:3])
    for side in ("val", "test"):
        assert set(record["photos"][side]) <= set(CATEGORIES[:3])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--split=grouped"], "no grouped split"),
        (["--dataset=recycle", "--split=random"], "a data set of its own: leave out dataset recycle"),
        (["--taco.margin=2"], "taco.margin must lie"),
        (["--taco.classes=map_1"], "There is no table of classes map_1"),
        (["--taco.annotations=nowhere.json"], "There is no nowhere.json"),
        (["--add=feedback"], "leave out --add"),
        (["--taco.fetch=false"], "None of the 22 images is in"),
    ],
)
def test_what_cannot_work_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    (tmp_path / "annotations.json").write_bytes(EXCERPT.read_bytes())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / MANIFEST.name).write_bytes(MANIFEST.read_bytes())
    assert prepare(tmp_path, *options) == 2
    assert sentence in capsys.readouterr().err
