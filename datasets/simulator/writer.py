"""Writing of a catalogue and dialogues in MMD's layout: v3 with states, v2 without."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from semantic.datasets.simulator.catalogue.catalogue import Catalogue
from semantic.datasets.simulator.catalogue.photos import Photographer
from semantic.datasets.simulator.dialogue.conversation import Said
from semantic.datasets.simulator.dialogue.phrases import text_of
from semantic.runtime.progress import Report

ADDRESS = "http://shop.invalid/photos"
ABSENT = "null"  # MMD's text for a missing annotation or alternative utterance
REPORT_EVERY = 50  # products between two reports of progress


@dataclass
class Counts:
    """The counts of what was written."""

    turns: int = 0
    states: int = 0
    recommendation_turns: int = 0
    positives: int = 0
    negatives: int = 0


@dataclass
class MmdWriter:
    """Writes MMD's files below `root`. Image ids are in random order, because MMD's are in no order either."""

    root: Path
    catalogue: Catalogue
    seed: int
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.ids = np.random.default_rng([self.seed, 3]).permutation(len(self.catalogue)) + 1
        suffixes = [photo.suffix.lower() for photo in self.catalogue.photos] or [".jpg"] * len(self.catalogue)
        self.files = [f"{name}{suffix}" for name, suffix in zip(self.catalogue.names, suffixes, strict=True)]

    def write_catalogue(self, progress: Report) -> None:
        """Write `images/images`, `knowledge/products_format`, `cleaned_image_id.json` and `url2img.txt`."""
        images, texts = self.root / "images" / "images", self.root / "knowledge" / "products_format"
        images.mkdir(parents=True)
        texts.mkdir(parents=True)
        photographer = Photographer(self.seed)
        for row, file in enumerate(self.files):
            if self.catalogue.photos:
                shutil.copyfile(self.catalogue.photos[row], images / file)
            else:
                item = self.catalogue.item(row)
                (images / file).write_bytes(photographer.jpeg(item, np.random.default_rng([self.seed, 4, row])))
            _write_json(texts / f"{self.catalogue.names[row]}.json", self.catalogue.texts[row])
            if (row + 1) % REPORT_EVERY == 0 or row + 1 == len(self.files):
                progress("products", row + 1, len(self.files))
        ids = {self._url(row): int(self.ids[row]) for row in range(len(self.files))}
        _write_json(self.root / "cleaned_image_id.json", [ids])
        lines = [f"{self._url(row)} {file}\n" for row, file in enumerate(self.files)]
        (self.root / "url2img.txt").write_text("".join(lines), encoding="utf-8")

    def write_dialogue(self, folder: Path, number: int, turns: Iterable[Said], states: bool) -> None:
        """Write one dialogue as `<number>.json`: a v3 file with states, or a v2 file without."""
        written = [self._v3(turn, place) if states else self._v2(turn) for place, turn in enumerate(turns)]
        self.counts.turns += len(written)
        _write_json(folder / f"{number}.json", written)

    def _v3(self, turn: Said, place: int) -> dict[str, Any]:
        content: dict[str, Any] = {"speaker": turn.speaker, "type": turn.act, "utterance": self._utterance(turn)}
        content["utterance"]["image_desps"] = []
        if turn.recommendation is not None:
            shown = turn.recommendation.shown.tolist()
            content["utterance"]["image_desps"] = [self._description(row) for row in shown]
        content["utterance"]["spans"] = [
            {"text": text, "annot": ABSENT if slot is None else [slot]} for text, slot in turn.spans or []
        ]
        content["turn_id"] = place
        if turn.state is not None:
            self.counts.states += 1
            requestable = [entry | {"object": self._url(entry["object"])} for entry in turn.state["requestable"]]
            content["ds"] = turn.state | {"requestable": requestable}
        return content

    def _v2(self, turn: Said) -> dict[str, Any]:
        return {"speaker": turn.speaker, "type": turn.act, "utterance": self._utterance(turn)}

    def _utterance(self, turn: Said) -> dict[str, Any]:
        text = None if turn.spans is None else text_of(turn.spans)
        if turn.recommendation is None:
            return {"images": None, "false nlg": ABSENT, "nlg": text}
        shown, negatives = turn.recommendation.shown, turn.recommendation.negatives
        self.counts.recommendation_turns += 1
        self.counts.positives += len(shown)
        self.counts.negatives += len(negatives)
        return {
            "false nlg": "",
            "false images": self.ids[negatives].tolist(),
            "nlg": text,
            "images": self.ids[shown].tolist(),
        }

    def _description(self, row: int) -> str:
        known = [value for value in self.catalogue.texts[row].values() if value.strip() not in ("", "unk")]
        return "; ".join(known)

    def _url(self, row: int) -> str:
        return f"{ADDRESS}/{self.files[row]}"


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def is_simulated(root: Path) -> bool:
    """Whether the files of a dataset are the simulator's, by the addresses of its photos; False where they are gone."""
    try:
        with (root / "url2img.txt").open("rb") as stream:
            return stream.read(len(ADDRESS)) == ADDRESS.encode()
    except OSError:
        return False
