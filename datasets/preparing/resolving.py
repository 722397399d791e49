"""Images as dialogue files have them -> product rows, a whole list at a time."""

from array import array
from collections.abc import Callable, Mapping

import numpy as np

from semantic.datasets.preparing.parsing import Images

IDS = 1 << 24
"""Image ids below this are looked up by array; MMD has 4.2 million. Of the array only the pages met take memory."""

NEW, DEAD = 0, -1
"""What the array says of an id: not met yet, without a product; else 1 + its product's row."""

NONE = np.empty(0, np.int32)

ReportDead = Callable[[str], None]


class Resolver:
    """Finds the product rows of images. `report_dead` hears once of each name that has none, however often it is named.

    `image_name` names what a file has for an image, `rows` has the row of each product by name.
    """

    def __init__(self, image_name: Callable[[int | str], str], rows: Mapping[str, int], ids: int = IDS) -> None:
        self._image_name, self._rows = image_name, rows
        self._known = np.zeros(ids, np.int32)
        self._dead: set[str] = set()

    def __call__(self, images: Images, report_dead: ReportDead) -> np.ndarray:
        """Rows int32 [n] of the images that have one, in their order."""
        if not images:
            return NONE
        if not isinstance(images, array):
            found = np.array([self._look_up(image, report_dead) for image in images], np.int32)
        else:
            ids = np.frombuffer(images, np.int32)
            # Unsigned, a negative id is one beyond the array; the last place stands for all beyond, and is never set.
            found = self._known.take(ids.view(np.uint32), mode="clip")
            for place in (found == NEW).nonzero()[0].tolist():
                found[place] = self._meet(images[place], report_dead)
        return found[found > 0] - 1

    def _meet(self, image: int, report_dead: ReportDead) -> int:
        found = self._look_up(image, report_dead)
        if 0 <= image < len(self._known) - 1:
            self._known[image] = found
        return found

    def _look_up(self, image: int | str, report_dead: ReportDead) -> int:
        name = self._image_name(image)
        row = self._rows.get(name)
        if row is not None:
            return 1 + row
        if name not in self._dead:
            self._dead.add(name)
            report_dead(name)
        return DEAD
