"""The product rows of the images in dialogue files, resolved a whole list at a time."""

from array import array
from collections.abc import Callable, Mapping

import numpy as np

from semantic.datasets.preparing.parsing import Images

IDS = 1 << 24
"""The length of an array from image id to row; MMD has 4.2 million ids. Only the pages in use take memory."""

NEW, DEAD = 0, -1
"""Entries of the array: an id not looked up yet, an id without a product; every other entry is 1 + a row."""

NO_ROWS = np.empty(0, np.int32)

ReportDead = Callable[[str], None]


class Resolver:
    """A function from images to product rows.

    `image_name` gives the name of an image, `rows` the row of each product by name. `report_dead` is called once for each
    name without a row.
    """

    def __init__(self, image_name: Callable[[int | str], str], rows: Mapping[str, int], ids: int = IDS) -> None:
        self._image_name, self._rows = image_name, rows
        self._known = np.zeros(ids, np.int32)
        self._dead: set[str] = set()

    def __call__(self, images: Images, report_dead: ReportDead) -> np.ndarray:
        """The rows of the images that have one, int32 [n], in the order of the images."""
        if not images:
            return NO_ROWS
        if not isinstance(images, array):
            found = np.array([self._look_up(image, report_dead) for image in images], np.int32)
        else:
            ids = np.frombuffer(images, np.int32)
            # As an unsigned number, a negative id lies beyond the array. All ids beyond it clip to the last entry, which
            # is never set.
            found = self._known.take(ids.view(np.uint32), mode="clip")
            for place in (found == NEW).nonzero()[0].tolist():
                found[place] = self._look_up_id(images[place], report_dead)
        return found[found > 0] - 1

    def _look_up_id(self, image: int, report_dead: ReportDead) -> int:
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
