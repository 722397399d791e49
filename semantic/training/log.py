"""What a run says of an epoch: a line to a person, curves to TensorBoard."""

from typing import Any

from torch.utils.tensorboard import SummaryWriter


def to_tensorboard(writer: SummaryWriter, line: dict[str, Any]) -> None:
    """A line of metrics.jsonl as points of curves."""
    for part in ("train", "train_unlabelled"):
        for name, value in line.get(part, {}).items():
            writer.add_scalar(f"{part}/{name}", value, line["epoch"])
    for protocol in ("standard", "released"):
        for name, value in line.get("valid", {}).get(protocol, {}).items():
            writer.add_scalar(f"valid {protocol}/{name}", value, line["epoch"])
    for part, values in line.get("diagnostics", {}).items():
        for name, value in values.items():
            writer.add_scalar(f"{part} diagnostics/{name}", value, line["epoch"])
    for name, value in line.get("gradients", {}).items():
        writer.add_scalar(f"gradient norm/{name}", value, line["epoch"])
    for sign in line.get("collapse", ()):
        writer.add_text("collapse", sign, line["epoch"])
    writer.add_scalar("learning_rate", line["learning_rate"], line["epoch"])
    writer.flush()


def epoch_line(line: dict[str, Any], epochs: int) -> str:
    """A line of metrics.jsonl for a person."""
    losses = " ".join(
        f"{part.replace('_', ' ')} loss {line[part]['loss']:.4f}"
        for part in ("train", "train_unlabelled")
        if part in line
    )
    if "valid" not in line:
        return f"epoch {line['epoch']}/{epochs}  {losses}  {line['seconds']:.1f} s"
    ndcg = 100 * line["valid"]["standard"]["ndcg@5"]
    return f"epoch {line['epoch']}/{epochs}  {losses}  valid NDCG@5 {ndcg:.1f}{' (best)' if line['best'] else ''}  {line['seconds']:.1f} s"
