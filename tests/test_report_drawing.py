"""Charts as a person sees them: where lines, marks and ticks stand, on pages and in files, the same bytes each time."""

import math
import re
from importlib import resources
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from semantic.report.drawing import CARD, COLOURS, GRID, SOFT, Curve, hue, line_chart, power_of_ten
from semantic.report.svg import VARIABLES, inline_svg, write_figure


def drawn(figure, kind):
    """The (x, y) of what is drawn as curve or mark, by number."""
    (axes,) = figure.axes
    found = {line.get_gid(): line for line in axes.lines}
    return {name: line for name, line in found.items() if name.startswith(kind)}


def ticks(axis):
    axis.figure.draw_without_rendering()
    low, high = sorted(axis.get_view_interval())
    return [tick.label1.get_text() for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


def test_as_many_rows_as_a_study_may_have_differ_in_colour():
    assert len({hue(number) for number in range(24)}) == 24
    assert hue(24) == hue(0)


def test_points_and_marks_stand_where_they_belong():
    figure = line_chart([Curve([(1, 0.0), (2, 5.0), (3, 10.0)], marked=2), Curve([(1, 7.0), (3, 2.0)], colour=7)])

    curves, marks = drawn(figure, "curve"), drawn(figure, "mark")

    assert [curve.get_xydata().tolist() for curve in curves.values()] == [[[1, 0], [2, 5], [3, 10]], [[1, 7], [3, 2]]]
    assert [to_hex(curve.get_color()) for curve in curves.values()] == [COLOURS[0], COLOURS[7]]
    assert {name: mark.get_xydata().tolist() for name, mark in marks.items()} == {"mark_0": [[2, 5]]}
    assert ticks(figure.axes[0].xaxis) == ["1", "2", "3"]  # epochs are whole
    assert ticks(figure.axes[0].yaxis) == ["0", "5", "10"]  # at most five apart


def test_points_that_are_not_finite_are_left_out():
    figure = line_chart([Curve([(1, 1.0), (2, math.nan), (3, math.inf), (4, 2.0)], marked=2), Curve([(1, math.nan)])])
    assert [curve.get_xydata().tolist() for curve in drawn(figure, "curve").values()] == [[[1, 1], [4, 2]], []]
    assert drawn(figure, "mark") == {}


def test_a_curve_of_one_point_can_be_seen():
    one, many = drawn(line_chart([Curve([(1, 5.0)]), Curve([(1, 5.0), (2, 6.0)])]), "curve").values()
    assert (one.get_marker(), many.get_marker()) == ("o", "")
    inline_svg(line_chart([]), "nothing", "none")  # no curves are a chart too


@settings(max_examples=20, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 7))
def test_ticks_are_few_and_differ(low, length, most):
    figure = line_chart([Curve([(0, low), (5, low + length)])], most_ticks=most)
    shown = ticks(figure.axes[0].xaxis)
    assert 1 <= len(shown) == len(set(shown)) <= most + 1
    assert all(float(tick).is_integer() for tick in shown)


def test_logarithmic_axes_span_whole_powers_of_ten():
    figure = line_chart([Curve([(100, 0.02), (10_000, 2.0), (1000, 0.0)])], log=True)
    (axes,) = figure.axes

    assert (axes.get_xlim(), axes.get_ylim()) == ((100, 10_000), (0.01, 10))
    assert ticks(axes.xaxis) == ["10²", "10³", "10⁴"]
    assert ticks(axes.yaxis) == ["10⁻²", "10⁻¹", "10⁰", "10¹"]
    (curve,) = drawn(figure, "curve").values()
    assert curve.get_xydata().tolist() == [[100, 0.02], [10_000, 2.0]]  # zero has no place on such an axis


def test_a_logarithmic_axis_of_one_value_is_a_decade_long():
    (axes,) = line_chart([Curve([(3, 5.0)])], log=True).axes
    assert (axes.get_xlim(), axes.get_ylim()) == ((1, 10), (1, 10))
    assert ticks(axes.xaxis) == ticks(axes.yaxis) == ["10⁰", "10¹"]


def test_logarithmic_ticks_are_powers_evenly_apart():
    (axes,) = line_chart([Curve([(1, 1.0), (10**8, 1.0)])], most_ticks=5, log=True).axes
    assert ticks(axes.xaxis) == [power_of_ten(power) for power in (0, 2, 4, 6, 8)]


CURVES = [Curve([(1, 20.0), (2, 40.0)], marked=2), Curve([(1, 30.0), (2, 10.0)], colour=1, dashed=True, dots=True)]


def test_a_page_gets_text_marks_and_its_own_colours():
    source = inline_svg(line_chart(CURVES, 560, 240), 'a "label" & <more>', "first")
    root = ElementTree.fromstring(source)

    assert (root.tag, root.get("viewBox"), root.get("role")) == ("svg", "0 0 560 240", "img")
    assert root.get("aria-label") == 'a "label" & <more>'
    assert root.get("width") is root.get("height") is None  # as wide as its place
    assert [text.text for text in root.iter("text")][:2] == ["1", "2"]
    assert all("font" not in text.get("style") for text in root.iter("text"))
    assert source.count("stroke-dasharray") == 1
    assert source.count('id="first-mark_') == 1
    assert "stroke: var(--c0)" in source
    assert "stroke: var(--c1)" in source
    assert "stroke: var(--line)" in source  # the grid
    assert not re.search(r"#[0-9a-f]{6}\b", source)  # a colour that would not follow the page into the dark
    assert not re.search(r"http|<style|<metadata|url\(", source)


def test_the_page_has_every_colour_of_the_figures_in_light_and_dark():
    style = resources.files("semantic.report").joinpath("templates", "style.css").read_text(encoding="utf-8")
    assert set(VARIABLES) == {*COLOURS, SOFT, GRID, CARD}
    for colour, variable in VARIABLES.items():
        light, dark = re.findall(rf"{variable}: (#[0-9a-f]{{6}});", style)
        assert (light, dark != light) == (colour, True)


def test_figures_of_a_page_share_no_id():
    first, second = (inline_svg(line_chart(CURVES), "x", name) for name in ("first", "second"))
    ids = [re.findall(r' id="([^"]+)"', source) for source in (first, second)]
    assert ids[0]
    assert not set(ids[0]) & set(ids[1])
    for source, own in zip((first, second), ids, strict=True):
        assert set(re.findall(r'href="#([^"]+)"', source)) <= set(own)


def test_clipped_parts_of_a_figure_keep_their_clip():
    figure = Figure()
    figure.add_subplot().plot([0, 1], [0, 1])
    source = inline_svg(figure, "x", "first")
    clips = set(re.findall(r'clip-path="url\(#([^)]+)\)"', source))
    assert clips
    assert all(f'<clipPath id="{clip}"' in source for clip in clips)


def test_the_same_figure_is_the_same_bytes(tmp_path):
    assert inline_svg(line_chart(CURVES), "x", "a") == inline_svg(line_chart(CURVES), "x", "a")
    files = [write_figure(line_chart(CURVES), tmp_path / name) for name in ("a", "b")]
    for one, two in zip(*files, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_files_are_an_svg_with_text_and_a_png_on_white(tmp_path):
    svg, png = write_figure(line_chart(CURVES, 560, 240), tmp_path / "figures" / "ndcg@5")

    assert (svg.name, png.name) == ("ndcg@5.svg", "ndcg@5.png")
    root = ElementTree.parse(svg).getroot()
    assert [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")][:2] == ["1", "2"]
    image = Image.open(png).convert("RGB")
    assert image.width / image.height == pytest.approx(560 / 240, abs=0.01)
    assert image.getpixel((0, 0)) == (255, 255, 255)
    colours = {colour for _, colour in image.getcolors(image.width * image.height)}
    assert {tuple(bytes.fromhex(colour[1:])) for colour in COLOURS[:2]} <= colours
