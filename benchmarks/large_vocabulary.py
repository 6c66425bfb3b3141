"""A large vocabulary, whole and trimmed: LaBSE's shape with random weights and a vocabulary of random words.

python -m benchmarks.large_vocabulary

Random weights take as much memory and time as trained ones: this measures what a vocabulary costs, not what it is for.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from benchmarks.common.commands import command_line, publish
from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact, read_artifact, write_artifact
from rasa_compressed_bert.benchmark.latency import in_turns
from rasa_compressed_bert.benchmark.measuring import resident_mb
from rasa_compressed_bert.benchmark.random_models import bert_base_shape, evenly_pruned, random_artifact
from rasa_compressed_bert.config import DEFAULT_VOCABULARY_SIZE
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import environment, in_words
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor
from rasa_compressed_bert.units import MB

HERE = Path(__file__).parent
VOCABULARIES = {"whole": 501_153, "trimmed": DEFAULT_VOCABULARY_SIZE}
SPARSITY = 0.6
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = 14  # of the message; with the special ones 16 wordpieces
_ABOUT = (
    "LaBSE's shape: 12 layers of 768 dimensions, {:.0%} pruned, in int8; random weights. Load: reading the model and "
    "opening its tokenizer and engine in a new process, without imports; memory: what they and a message add to it; "
    "p50: milliseconds of a message of 16 wordpieces, from its text to a ranking, on one thread."
)


def main() -> int:
    """Measures, and writes `results/large_vocabulary.json` and `.md`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        results = [measure(name, size, Path(work) / name) for name, size in VOCABULARIES.items()]
    content = {"command": command_line("benchmarks.large_vocabulary"), "results": results, "environment": environment()}
    publish("large_vocabulary", content, to_markdown, folder=arguments.results)
    return 0


def measure(name: str, size: int, folder: Path) -> Dict[str, Any]:
    """Size, load time, memory and latency of a model with a vocabulary of `size` wordpieces."""
    pieces = words(size)
    shape = evenly_pruned(bert_base_shape(vocab_size=len(pieces)), SPARSITY)
    made = random_artifact(shape, int8=True)
    manifest = {**made.manifest, "labels": [str(index) for index in range(10)], "max_length": 128, "temperature": 1.0}
    artifact = Artifact(manifest, {**made.files, TOKENIZER: tokenizer(pieces).encode("utf-8")})
    folder.mkdir(parents=True)
    write_artifact(artifact, folder)
    text = " ".join(np.random.default_rng(0).choice(pieces[len(SPECIAL) :], WORDS))
    sizes = {"vocabulary": name, "wordpieces": len(pieces), "size_mb": artifact.size / MB}
    del made, artifact
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return {**sizes, **pool.submit(_served, folder, text).result()}


def words(size: int) -> List[str]:
    """The special wordpieces, and words of four letters and more that nothing else is part of."""
    numbers = np.arange(size - len(SPECIAL))
    digits = [LETTERS[digit] for digit in range(len(LETTERS))]
    return [*SPECIAL, *("".join(digits[number // 26**place % 26] for place in range(5)) for number in numbers.tolist())]


def tokenizer(pieces: List[str]) -> str:
    """A tokenizer as BERT's with these wordpieces, as JSON."""
    library = Tokenizer(models.WordPiece({piece: index for index, piece in enumerate(pieces)}, unk_token="[UNK]"))
    library.normalizer, library.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    ends = [(piece, SPECIAL.index(piece)) for piece in ("[CLS]", "[SEP]")]
    library.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return library.to_str()


def _served(folder: Path, text: str) -> Dict[str, float]:
    import onnxruntime  # noqa: F401  # its import is not part of the load time

    before, start = resident_mb(), time.perf_counter()
    predictor = MessagePredictor(read_artifact(folder))
    load_s = time.perf_counter() - start
    predictor.predict(text)
    memory_mb = resident_mb() - before
    return {"load_s": load_s, "memory_mb": memory_mb, "p50_ms": in_turns({"": lambda: predictor.predict(text)})[""]}


def to_markdown(_: str, content: Dict[str, Any]) -> str:
    """A page with a row for each vocabulary."""
    rows = [["vocabulary", "wordpieces", "MB", "memory MB", "load s", "p50 ms"]]
    for result in content["results"]:
        figures = [f"{result['size_mb']:.0f}", f"{result['memory_mb']:.0f}", f"{result['load_s']:.2f}"]
        rows.append([result["vocabulary"], f"{result['wordpieces']:,}", *figures, f"{result['p50_ms']:.2f}"])
    made = f"Made by `{content['command']}` on {in_words(content['environment'])}."
    parts = ["# A large vocabulary, whole and trimmed", _ABOUT.format(SPARSITY), tables.markdown_table(rows), made]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
