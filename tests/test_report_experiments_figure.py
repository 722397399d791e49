"""An experiment's figure: where lines, bars, published marks and floors stand, with axes, units and a legend of every name."""

import pytest
from matplotlib.figure import Figure

from semantic.report.drawing import CARD
from semantic.report.experiments.figure import experiment_figure, panel_figures
from semantic.report.experiments.results import experiment_result
from semantic.report.experiments.series import line_axis, line_series
from semantic.report.svg import inline_svg, write_figure
from semantic.runtime.errors import DataError
from tests.experiment_files import make_plan, study, write_study


def by_id(axes):
    return {line.get_gid(): line for line in axes.lines if line.get_gid()}


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_line_has_our_means_over_the_axis_and_published_ones_hollow_and_dashed(tmp_path):
    result = study(tmp_path)
    figure = experiment_figure(result)
    first, second = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "NDCG@5, released protocol",
        "Recall@10, released protocol",
    ]
    assert (first.get_xlabel(), first.get_ylabel()) == ("share, per cent", "per cent")
    lines = by_id(first)
    means = [100 * line.values["released"]["ndcg@5"].mean for line in result.results.parts[0].variants]
    assert lines["series_0"].get_xydata().tolist() == [[10, means[0]], [50, means[1]], [100, means[2]]]
    assert lines["published_0"].get_xydata().tolist() == [[50, pytest.approx(63.9)]]
    assert lines["published_0"].get_markerfacecolor() == CARD
    assert lines["published_0"].get_linestyle() == "--"
    assert lines["level_0"].get_ydata()[0] == pytest.approx(31.2)
    assert lines["floor"].get_ydata()[0] == pytest.approx(12.5)
    assert "level_0" not in by_id(second)  # not published for this metric
    assert legend(figure) == ["ours", "published: The paper", "published: A & rival_100%", "floor: tfidf context"]
    ticks = [first.xaxis.get_major_formatter()(value) for value in first.xaxis.get_major_locator()()]
    assert ticks == ["10", "50", "100"]


def test_error_bars_are_standard_deviations_and_single_runs_are_dots(tmp_path):
    result = study(tmp_path)
    axis = line_axis(result)
    ours, published = line_series(result, "ndcg@5", axis)
    for point, line in zip(ours.points, result.results.parts[0].variants, strict=True):
        value = line.values["released"]["ndcg@5"]
        assert (point.mean, point.deviation) == (100 * value.mean, 100 * value.deviation)
        assert len(point.values) == 2
        assert sum(point.values) / 2 == pytest.approx(point.mean)
    assert published.points[0].deviation == pytest.approx(0.4)
    (one,) = line_series(study(tmp_path / "one", seeds=(0,), published=[]), "ndcg@5", axis)
    assert {point.deviation for point in one.points} == {None}


def test_values_that_are_very_unevenly_apart_stand_at_equal_distances_and_say_so(tmp_path):
    result = study(tmp_path, shares=(0.1, 0.5, 1.0), published=[{"name": "P", "at": 0.11, "values": {"ndcg@5": 50}}])
    axis = line_axis(result)
    assert axis.label == "share, per cent (not to scale)"
    assert axis.ticks == ((0, "10"), (1, "11"), (2, "50"), (3, "100"))
    assert [point.place for series in line_series(result, "ndcg@5", axis) for point in series.points] == [0, 2, 3, 1]


def test_each_variant_is_a_line_of_its_own(tmp_path):
    plan = make_plan(
        shares=(0.5, 1.0), published=[{"name": "P", "beside": "b,share=1", "at": 1, "values": {"ndcg@5": 50}}]
    )
    runs = [
        run.model_copy(update={"variant": f"{name},{run.variant}", "folder": f"{name},{run.folder}"})
        for name in ("a", "b")
        for run in plan.runs
    ]
    plan = plan.model_copy(update={"runs": tuple(runs)})
    values = {f"{name},share={share}": 0.5 for name in ("a", "b") for share in ("0.5", "1")}
    result = experiment_result(plan, write_study(tmp_path, plan, values))
    series = line_series(result, "ndcg@5", line_axis(result))
    assert [(one.name, one.published, one.of) for one in series] == [
        ("a", False, None),
        ("b", False, None),
        ("published: P", True, 1),
    ]
    lines = by_id(experiment_figure(result).axes[0])
    assert lines["series_0"].get_marker() != lines["series_1"].get_marker()
    assert lines["series_0"].get_xdata()[0] < 50 < lines["series_1"].get_xdata()[0]  # side by side


def test_bars_have_published_marks_hatches_and_every_name(tmp_path):
    result = study(tmp_path, figure="bars", baseline="share=0.5")
    figure = experiment_figure(result)
    axes = figure.axes[0]
    bars = [bar for container in axes.containers if hasattr(container, "patches") for bar in container.patches]
    means = {
        round(100 * line.values["released"]["ndcg@5"].mean, 6): line.name for line in result.results.parts[0].variants
    }
    assert {means[round(bar.get_width(), 6)]: bar.get_hatch() for bar in bars} == {
        "share=0.1": "",
        "share=0.5": "////",
        "share=1": "",
    }
    names = [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()]
    assert names == ["share=0.1", "share=0.5", "share=1", "published: A & rival_100%"]
    marks = [line for line in axes.lines if line.get_marker() == "D"]
    assert [line.get_xydata().tolist() for line in marks] == [[[pytest.approx(63.9), 1], [pytest.approx(31.2), 3]]]
    assert axes.get_xlim()[0] == 0
    assert legend(figure) == ["ours", "ours, share=0.5 (the baseline)", "published", "floor: tfidf context"]


def test_no_figure_is_drawn_where_none_is_asked_for(tmp_path):
    result = study(tmp_path, figure="none")
    assert experiment_figure(result) is None
    assert panel_figures(result) == {}


def test_a_line_over_words_is_a_fault(tmp_path):
    plan = make_plan(shares=(0.5,))
    words = plan.model_copy(
        update={"runs": tuple(r.model_copy(update={"point": {"data.share": "half"}}) for r in plan.runs)}
    )
    result = experiment_result(words, write_study(tmp_path, plan))
    with pytest.raises(DataError, match=r"study: report.axis: expected numbers for a line, found 'half' of share=0.5"):
        experiment_figure(result)


@pytest.mark.parametrize("kind", ["line", "bars"])
def test_files_are_the_same_bytes_each_time_and_everything_has_room(tmp_path, kind, recwarn):
    published = [{"name": "A rival with a very long name indeed, trained on all there is", "values": {"ndcg@5": 40}}]
    result = study(tmp_path, figure=kind, metrics=["ndcg@5", "ndcg@10", "ndcg@20", "recall@5"], published=published)
    write_figure(experiment_figure(result), tmp_path / "one")
    write_figure(experiment_figure(result), tmp_path / "two")
    for ending in ("svg", "png"):
        assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()
    assert not recwarn.list
    figure = experiment_figure(result)
    figure.draw_without_rendering()
    width, height = figure.bbox.size
    drawn = [axes.get_tightbbox() for axes in figure.axes if axes.get_visible()]
    for box in [*drawn, figure.legends[0].get_window_extent()]:
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= width + 1
        assert box.y1 <= height + 1


def test_hatches_on_a_page_have_ids_of_their_own(tmp_path):
    result = study(tmp_path, figure="bars", baseline="share=0.5")
    figures = panel_figures(result)
    assert list(figures) == ["ndcg@5", "recall@10"]
    svg = inline_svg(figures["ndcg@5"], "a panel", "figure-0")
    assert isinstance(figures["ndcg@5"], Figure)
    assert "fill: url(#figure-0-" in svg
    assert "url(#h" not in svg
