"""The drawing of a garment: the outlines of its cloth, and details on top, in the unit square."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]

CENTRE = 0.5


class Sketch:
    """The drawing of one garment. Points have x and y in [0, 1]; `scale`, `shift` and `width` place them on the picture.

    `area`, `halves`, `both` and `ellipse` add cloth, `cut` and `cut_ellipse` remove it. `seam`, `seams`, `trim` and `dot`
    are details, drawn on the finished cloth in the order of the calls.
    """

    def __init__(self, size: int, scale: float, shift: Point, width: float) -> None:
        self.size, self.scale, self.shift, self.width = size, scale, shift, width
        self.mask = Image.new("L", (size, size), 0)
        self._cloth = ImageDraw.Draw(self.mask)
        self._outlines: list[list[Point]] = []
        self._details: list[tuple[str, list[Point], float, Colour | None]] = []

    def area(self, *points: Point) -> None:
        placed = self._placed(points)
        self._cloth.polygon(placed, fill=255)
        self._outlines.append([*placed, placed[0]])

    def halves(self, *points: Point) -> None:
        """Add one area, given the points of its right half from top to bottom; the left half is its mirror image."""
        self.area(*points, *((1 - x, y) for x, y in reversed(points)))

    def both(self, *points: Point) -> None:
        """Add an area and its mirror image."""
        self.area(*points)
        self.area(*((1 - x, y) for x, y in points))

    def ellipse(self, x: float, y: float, across: float, down: float) -> None:
        (left, top), (right, bottom) = self._placed([(x - across, y - down), (x + across, y + down)])
        self._cloth.ellipse((left, top, right, bottom), fill=255)

    def cut(self, *points: Point) -> None:
        placed = self._placed(points)
        self._cloth.polygon(placed, fill=0)
        self._details.append(("line", placed, 0.012, None))

    def cut_ellipse(self, x: float, y: float, across: float, down: float) -> None:
        (left, top), (right, bottom) = self._placed([(x - across, y - down), (x + across, y + down)])
        self._cloth.ellipse((left, top, right, bottom), fill=0)
        self._details.append(("arc", [(left, top), (right, bottom)], 0.016, None))

    def seam(self, *points: Point, width: float = 0.012, colour: Colour | None = None) -> None:
        """Draw a line, without a `colour` in the colour of outlines."""
        self._details.append(("line", self._placed(points), width, colour))

    def seams(self, *points: Point, width: float = 0.012, colour: Colour | None = None) -> None:
        """Draw a line and its mirror image."""
        self.seam(*points, width=width, colour=colour)
        self.seam(*((1 - x, y) for x, y in points), width=width, colour=colour)

    def trim(self, *points: Point, colour: Colour | None = None) -> None:
        self._details.append(("polygon", self._placed(points), 0.01, colour))

    def dot(self, x: float, y: float, radius: float = 0.013, colour: Colour | None = None) -> None:
        (left, top), (right, bottom) = self._placed([(x - radius, y - radius), (x + radius, y + radius)])
        self._details.append(("dot", [(left, top), (right, bottom)], 0, colour))

    def finish(self, image: Image.Image, dark: Colour) -> None:
        """Draw outlines and details onto the picture of the cloth; `dark` is the colour of outlines."""
        pen = ImageDraw.Draw(image)
        for outline in self._outlines:
            pen.line(outline, fill=dark, width=max(1, round(0.012 * self.size)), joint="curve")
        for kind, points, width, colour in self._details:
            fill, line = colour or dark, max(1, round(width * self.size))
            if kind == "line":
                pen.line(points, fill=fill, width=line, joint="curve")
            elif kind == "polygon":
                pen.polygon(points, fill=fill, outline=dark)
            elif kind == "arc":
                pen.arc((*points[0], *points[1]), 0, 180, fill=fill, width=line)
            else:
                pen.ellipse((*points[0], *points[1]), fill=fill)

    def _placed(self, points: Sequence[Point]) -> list[Point]:
        (right, down), scale = self.shift, self.scale * self.size
        middle = self.size / 2
        return [
            (middle + ((x - CENTRE) * self.width + right) * scale, middle + (y - CENTRE + down) * scale)
            for x, y in points
        ]
