"""Milliseconds of an answer: a question on a passage of 150 words, and on 200 documents with retrieval.

python -m benchmarks.answer_latency --questions DATA/squad2/train.json

Random weights are as fast as trained ones, so nothing is trained. MiniLM in ONNX Runtime, as this package serves it, is
compared with BERT-base in 32-bit floats in TensorFlow (one `tf.function`), which gets the same windows.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, cast

import numpy as np

from benchmarks.answers import passages_of
from benchmarks.common.commands import command_line, exit_status, publish
from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.benchmark.latency import in_turns
from rasa_compressed_bert.benchmark.random_models import evenly_pruned, minilm_shape, random_parameters
from rasa_compressed_bert.config import BertAnswerExtractorConfig, QuantizationConfig
from rasa_compressed_bert.data.documents import Document
from rasa_compressed_bert.data.squad import read_questions
from rasa_compressed_bert.export.serving import Format, serving_artifact
from rasa_compressed_bert.heads.answer import AnswerHead, random_layer
from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import environment, in_words
from rasa_compressed_bert.runtime.answer_predictor import AnswerPredictor
from rasa_compressed_bert.runtime.passage_index import PassageIndex
from rasa_compressed_bert.units import MB

HERE = Path(__file__).parent
WORDS, DOCUMENTS, ASKED = 150, 200, 20
SPARSITY, SEPARATOR = 0.6, 102  # the id of [SEP]
TENSORFLOW = "BERT-base, 32-bit, TensorFlow"
BERT_BASE: Dict[str, int] = {}  # options of transformers' BertConfig, whose defaults are those of BERT-base


def main() -> int:
    """Measures, and writes `results/answer_latency.json` and `.md`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--questions", type=Path, nargs="+", required=True, help="files in the format of SQuAD 2.0")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--results", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    return exit_status(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> None:
    """Measures all rows in turns, each on one thread."""
    tensorflow_on_one_thread()
    questions = read_questions([str(path) for path in arguments.questions], option="--questions")
    passages = list(dict.fromkeys(question.passage for question in questions))[:DOCUMENTS]
    documents = [Document(f"{number}.txt", passage) for number, passage in enumerate(passages)]
    texts = [question.text for question in questions if question.passage in set(passages)]
    asked = [texts[place] for place in np.linspace(0, len(texts) - 1, ASKED).astype(int)]
    long = passages_of(questions, WORDS)
    built = artifacts()
    models = {name: AnswerPredictor(with_index(artifact, documents)) for name, artifact in built.items()}
    models[TENSORFLOW] = in_tensorflow(next(iter(models.values())))
    pairs = [(text, long[place % len(long)]) for place, text in enumerate(asked)]
    content = {
        "command": command_line("benchmarks.answer_latency"),
        "environment": environment(),
        "documents": len(documents),
        "size_mb": {name: artifact.size / MB for name, artifact in built.items()},
        "passage_ms": in_turns(
            {name: _over(pairs, lambda pair, own=model: own.read(*pair)) for name, model in models.items()},
            rounds=arguments.rounds,
            repeats=ASKED,
        ),
        "documents_ms": in_turns(
            {name: _over(asked, model.answer) for name, model in models.items()}, rounds=arguments.rounds, repeats=ASKED
        ),
    }
    publish("answer_latency", content, to_markdown, folder=arguments.results)


def tensorflow_on_one_thread() -> None:
    """Has to be called before TensorFlow computes anything; later, as in tests, it has no effect."""
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def _over(values: Sequence[Any], call: Callable[[Any], Any]) -> Callable[[], Any]:
    """A call with the next of some values each time."""
    endless = itertools.cycle(values)
    return lambda: call(next(endless))


def artifacts() -> Dict[str, Artifact]:
    """MiniLM with random weights: dense in floats, in int8, and pruned in int8."""
    tokenizer = load_pretrained("all-MiniLM-L6-v2").tokenizer
    dense = replace(minilm_shape(), max_position_embeddings=512, separator=SEPARATOR)
    pruned = evenly_pruned(dense, SPARSITY)
    return {
        "MiniLM, 32-bit": random_extractor(dense, tokenizer, method="none"),
        "MiniLM, 8-bit": random_extractor(dense, tokenizer, method="dynamic_int8"),
        f"MiniLM, {SPARSITY:.0%} pruned, 8-bit": random_extractor(pruned, tokenizer, method="dynamic_int8"),
    }


def random_extractor(shape: EncoderShape, tokenizer: str, *, method: str) -> Artifact:
    """An answer extractor with random weights and default options."""
    options = BertAnswerExtractorConfig()
    head = AnswerHead(options.max_answer_length, options.stride)
    parameters = {**random_parameters(shape, 0, 0, seed=0), **random_layer(shape.hidden_size, seed=0)}
    form = Format(QuantizationConfig(method=method))
    manifest = {"labels": [], "max_length": options.max_length, **head.to_manifest(None)}
    return serving_artifact(ModelState(shape, parameters, tokenizer), form, kind="answer_extractor", manifest=manifest)


def with_index(artifact: Artifact, documents: Sequence[Document]) -> Artifact:
    """The artifact with the documents to answer from."""
    return Artifact(artifact.manifest, {**artifact.files, **PassageIndex.of(documents).files()})


class _TensorflowBert:
    """A random BERT in TensorFlow, with the interface of an engine."""

    def __init__(self, separator: int):
        import tensorflow as tf
        import transformers

        model = transformers.TFBertForQuestionAnswering(transformers.BertConfig(**BERT_BASE))
        shape = tf.TensorSpec((1, None), tf.int32)
        self._separator = separator

        @tf.function(input_signature=(shape, shape))
        def forward(input_ids: Any, token_type_ids: Any) -> Any:
            logits = model(input_ids, token_type_ids=token_type_ids, training=False)
            return tf.stack([logits.start_logits, logits.end_logits], axis=-1)

        self._forward = forward

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> List[np.ndarray]:
        """The logits of one window.  # [(1, T, 2)]"""
        ids = input_ids.astype(np.int32)
        types = (np.cumsum(ids == self._separator, axis=1) - (ids == self._separator)).clip(0, 1).astype(np.int32)
        return [self._forward(ids, types).numpy()]


def in_tensorflow(predictor: AnswerPredictor) -> AnswerPredictor:
    """A predictor with the same documents and windows whose BERT is BERT-base in TensorFlow."""
    other: Any = copy.copy(predictor)
    other._engine = _TensorflowBert(SEPARATOR)
    return cast(AnswerPredictor, other)


def to_markdown(_: str, content: Dict[str, Any]) -> str:
    """A page with a row for each model."""
    head = ["model", "MB", f"ms, passage of {WORDS} words", f"ms, {content['documents']} documents with retrieval"]
    rows = [head]
    for name, milliseconds in content["passage_ms"].items():
        size = content["size_mb"].get(name)
        figures = [f"{milliseconds:.1f}", f"{content['documents_ms'][name]:.1f}"]
        rows.append([name, "" if size is None else f"{size:.1f}", *figures])
    about = (
        "Medians, one thread, models in turns; random weights. With retrieval, the three most similar passages are "
        "read. MB: unpacked, without documents."
    )
    made = f"Made by `{content['command']}` on {in_words(content['environment'])}."
    return "\n\n".join(["# Latency of answers", about, tables.markdown_table(rows), made]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
