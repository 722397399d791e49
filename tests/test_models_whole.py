"""Every model by its short name on a store: built, trained for an epoch or none, tested, saved, and recommending."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, CLIPConfig, CLIPModel, PreTrainedTokenizerFast

from semantic.config.loading import make_config
from semantic.config.registry import MODELS
from semantic.datasets.reading.records import Turn
from semantic.models.interface import Model
from semantic.runs.reading import load_runs
from semantic.serving.recommend import recommend
from semantic.training.loop import train
from tests.worlds import SMALL_DATA, TINY, tiny_values

SMALL = {
    "semantic": TINY["model"],
    "semantic_small_data": SMALL_DATA,
    "mhred": {"hidden": 8},
    "umd": {"hidden": 8, "maps": 8, "branches": 2},
    "magic": {"hidden": 8, "context_hidden": 8, "knowledge": {"attributes": True}},
    "larch": {"layers": 1, "heads": 2, "head_dim": 8},
    "treasure": {"hidden": 8},
    "enteract": {"hidden": 8},
    "clip": {"heads": 2},
    "sentences": {},
}
UNTRAINED = {"random", "popularity", "tfidf", "bm25", "sentences"}


@pytest.fixture(scope="module")
def checkpoints(shop, tmp_path_factory):
    """Folders of a BERT and of a CLIP with random weights, whose tokenizers know the words of the shop."""
    words = sorted({word for text in [*shop.product_texts, *shop.turn_texts] for word in text.lower().split()})
    folder = tmp_path_factory.mktemp("checkpoints")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: place for place, word in enumerate([*special, *words, "begin", "end"])}
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {
        **sizes,
        "vocab_size": len(vocabulary),
        "bos_token_id": len(vocabulary) - 2,
        "eos_token_id": len(vocabulary) - 1,
    }
    clip = CLIPConfig(text_config=text, vision_config={**sizes, "image_size": 16, "patch_size": 8}, projection_dim=16)
    for name, model in (
        ("clip", CLIPModel(clip)),
        ("sentences", BertModel(BertConfig(vocab_size=len(vocabulary), **sizes))),
    ):
        model.save_pretrained(folder / name)
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
        ).save_pretrained(folder / name)
    return folder


@pytest.mark.parametrize("name", MODELS)
def test_a_model_goes_the_whole_way(name, shop, checkpoints, tmp_path):
    values = tiny_values(shop.path, model={"name": name, **SMALL.get(name, {})})
    if name in ("clip", "sentences"):
        values["model"]["text"] = {"checkpoint": str(checkpoints / name)}
    elif not name.startswith("semantic"):
        values["model"]["text"] = {"vocabulary": 300, **({} if name in UNTRAINED else {"dim": 16})}
        values["model"] |= {} if name in UNTRAINED | {"bag"} else {"dim": 16}
    values["training"]["epochs"] = int(name not in UNTRAINED)

    folder = train(make_config(values), runs=tmp_path)

    (run,) = load_runs([folder.path])
    assert 0 <= run.summary.protocols["standard"]["ndcg@5"] <= 1
    model = Model.from_pretrained(folder.model)
    assert type(model).Config().name == name
    said = (Turn("user", "", shop.turn_texts[0], ()), Turn("system", "", "", tuple(shop.product_names[5:8])))
    found = recommend(model, shop, said, top=3)
    scores = np.array([one.score for one in found.products])
    assert len(scores) == 3
    assert np.isfinite(scores).all()
    assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize("name", sorted(UNTRAINED - {"sentences"}))
def test_a_floor_has_no_epoch_by_itself_and_refuses_others_before_anything_is_written(name, shop, tmp_path):
    values = tiny_values(shop.path, model={"name": name})

    del values["training"]["epochs"]
    assert make_config(values).training.epochs == 0
    values["training"]["epochs"] = 3
    with pytest.raises(
        Exception, match=f"training.epochs: expected 0 for model {name}, which has nothing to train, got 3"
    ):
        train(make_config(values), runs=tmp_path)
    assert not list(tmp_path.rglob("config.yaml"))
