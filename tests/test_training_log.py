"""What a run says of an epoch."""

import pytest

from semantic.training.log import epoch_line, to_tensorboard

LINE = {
    "epoch": 3,
    "seconds": 1.26,
    "learning_rate": 0.25,
    "train": {"loss": 0.5, "teacher_ranking": 0.125},
    "train_unlabelled": {"loss": 0.75},
    "valid": {"standard": {"ndcg@5": 0.1234}, "released": {"ndcg@5": 0.5}, "tie_rate": 0.0, "loss": 1.0},
    "best": True,
    "diagnostics": {"train": {"score_spread": 0.375}},
    "gradients": {"state": 0.0625},
    "collapse": ["train: every vector is alike"],
}


@pytest.mark.parametrize(
    ("left_out", "changed", "said"),
    [
        ((), {}, "epoch 3/7  train loss 0.5000 train unlabelled loss 0.7500  valid NDCG@5 12.3 (best)  1.3 s"),
        ((), {"best": False}, "epoch 3/7  train loss 0.5000 train unlabelled loss 0.7500  valid NDCG@5 12.3  1.3 s"),
        (("train",), {}, "epoch 3/7  train unlabelled loss 0.7500  valid NDCG@5 12.3 (best)  1.3 s"),
        (("train_unlabelled", "valid", "best"), {}, "epoch 3/7  train loss 0.5000  1.3 s"),
    ],
)
def test_an_epoch_is_one_line(left_out, changed, said):
    line = {name: value for name, value in (LINE | changed).items() if name not in left_out}
    assert epoch_line(line, 7) == said


class Writer:
    """Keeps the points of curves."""

    def __init__(self) -> None:
        self.points: dict[str, tuple[float, int]] = {}
        self.texts: list[tuple[str, str, int]] = []
        self.flushed = 0

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.points[name] = (value, step)

    def add_text(self, name: str, text: str, step: int) -> None:
        self.texts.append((name, text, step))

    def flush(self) -> None:
        self.flushed += 1


def test_an_epoch_is_a_point_of_each_curve():
    writer = Writer()
    to_tensorboard(writer, LINE)

    assert writer.points == {
        "train/loss": (0.5, 3),
        "train/teacher_ranking": (0.125, 3),
        "train_unlabelled/loss": (0.75, 3),
        "valid standard/ndcg@5": (0.1234, 3),
        "valid released/ndcg@5": (0.5, 3),
        "train diagnostics/score_spread": (0.375, 3),
        "gradient norm/state": (0.0625, 3),
        "learning_rate": (0.25, 3),
    }
    assert writer.texts == [("collapse", "train: every vector is alike", 3)]
    assert writer.flushed == 1
