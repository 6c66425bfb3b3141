"""Languages: our default on multilingual and on English weights, and Rasa's own pipelines, on data in many languages.

python -m benchmarks.languages --data fb_es=DATA/fb_es --data mtop6_de=DATA/mtop6_de --data mtop6_en=DATA/mtop6_en \
    --data xsid_de=DATA/xsid_de --data bot_alliga_pt=DATA/bot_alliga_pt --data bot_faq_zh=DATA/bot_faq_zh \
    --cross-lingual xsid=DATA/xsid
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence

from benchmarks.common import rows as row_definitions
from benchmarks.common.commands import command_line, exit_status, named_folder, publish, work_folder
from benchmarks.common.comparing import Row, compare_rows, train_rows
from benchmarks.common.datasets import stratified_sample, write_nlu
from benchmarks.common.language_pages import plot_all, to_markdown
from benchmarks.common.rasa_tokenizers import is_chinese, lmf_error, rasa_tokenizer, with_tokenizer
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.reporting.environment import environment

HERE = Path(__file__).parent
TITLE = "languages"
ROWS = ("multilingual_joint_60", "joint_60", "diet", "lmf_diet")
CROSS_LINGUAL_ROWS = ("multilingual_full_60", "diet")
CROSS_LINGUAL_TRAINING = "train_5k.yml"
TRAINED_LANGUAGE = "en"


def main() -> int:
    """Trains and measures what is missing; writes `languages_NAME.json` and `.md` of each data set."""
    arguments = _arguments()
    return exit_status(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> None:
    """Measures all data sets, whose files are all read before the first training."""
    work = work_folder(arguments, TITLE)
    data = {
        name: [load_messages(source / file, entities=True) for file in ("train.yml", "test.yml")]
        for name, source in arguments.data
    }
    abroad = {name: _cross_lingual_messages(source) for name, source in arguments.cross_lingual}
    for name, (training, test) in data.items():
        _publish("data", _one_language(name, training, test, arguments=arguments, work=work / name), arguments)
    for name, messages in abroad.items():
        found = _cross_lingual(name, messages, arguments=arguments, work=work / f"cross_lingual_{name}")
        _publish("cross_lingual", found, arguments)


def _publish(kind: str, found: Dict[str, Any], arguments: argparse.Namespace) -> None:
    """Writes the results of a data set, whose kind is `data` (one language) or `cross_lingual`."""
    title = f"{TITLE}_{found['name']}"
    content = {
        "seeds": arguments.seeds,
        "command": command_line("benchmarks.languages"),
        "environment": environment(),
        "lmf_error": lmf_error(row_definitions.MULTILINGUAL_WEIGHTS),
        kind: found,
    }
    publish(title, content, to_markdown, folder=arguments.results)
    plot_all(arguments.results, title=TITLE)


def _one_language(
    name: str,
    training: List[LabelledMessage],
    test: List[LabelledMessage],
    *,
    arguments: argparse.Namespace,
    work: Path,
) -> Dict[str, Any]:
    """The results of a data set with training and test messages of one language."""
    training = stratified_sample(training, arguments.sample)
    nlu, asked = _written(training, work / "data" / "train.yml"), _written(test, work / "data" / "test.yml")
    texts = [message.text for message in training]
    tokenizer, names = rasa_tokenizer(texts), arguments.rows or ROWS
    if not any(message.entities for message in training):  # without entities, a joint row equals the classifier
        names = list(dict.fromkeys(row.replace(row_definitions.BOTH, "") for row in names))
    rows = _rows(names, nlu, tokenizer=tokenizer, arguments=arguments, work=work)
    trainings = train_rows(rows, title=name, reuse=arguments.reuse)
    messages = load_messages(asked, arguments.max_messages, entities=True)
    _, results = compare_rows(rows, asked, messages=messages, outside=(), work=work)
    return {
        "name": name,
        "training_messages": len(training),
        "test_messages": len(messages),
        "tokenizer": tokenizer,
        "is_chinese": is_chinese(texts),
        "results": _labelled(names, results, trainings, arguments.seeds),
    }


def _cross_lingual(
    name: str, messages: Dict[str, List[LabelledMessage]], *, arguments: argparse.Namespace, work: Path
) -> Dict[str, Any]:
    """The results of training on English messages and testing on several languages, for intents only."""
    training = stratified_sample(messages[CROSS_LINGUAL_TRAINING], arguments.sample)
    nlu = _written(training, work / "data" / "train.yml")
    tokenizer = rasa_tokenizer(message.text for message in training)
    names = arguments.rows or CROSS_LINGUAL_ROWS
    rows = _rows(names, nlu, tokenizer=tokenizer, arguments=arguments, work=work)
    trainings = train_rows(rows, title=name, reuse=arguments.reuse)
    results, test_messages = {}, {}
    for language, test in messages.items():
        if language != CROSS_LINGUAL_TRAINING:
            asked = _written(test, work / "data" / f"test_{language}.yml")
            chosen = load_messages(asked, arguments.max_messages)
            _, found = compare_rows(rows, asked, messages=chosen, outside=(), work=work)
            results[language] = _labelled(names, found, trainings, arguments.seeds)
            test_messages[language] = len(chosen)
    return {
        "name": name,
        "training_messages": len(training),
        "trained_language": TRAINED_LANGUAGE,
        "test_messages": test_messages,
        "results": results,
    }


def _cross_lingual_messages(source: Path) -> Dict[str, List[LabelledMessage]]:
    """The training messages by the name of their file, and the test messages by their language.

    Raises:
        CompressedBertError: if there are no training messages, or no test messages in a second language.
    """
    tests = sorted(source.glob("test_*.yml"))
    messages = {CROSS_LINGUAL_TRAINING: load_messages(source / CROSS_LINGUAL_TRAINING)}
    messages.update({path.stem[len("test_") :]: load_messages(path) for path in tests})
    if not set(messages) - {CROSS_LINGUAL_TRAINING, TRAINED_LANGUAGE}:
        raise CompressedBertError(f"'{source}' holds no test_LANGUAGE.yml of another language than {TRAINED_LANGUAGE}.")
    return messages


def _rows(names: Sequence[str], nlu: Path, *, tokenizer: str, arguments: argparse.Namespace, work: Path) -> List[Row]:
    """All rows with all seeds, in the order of `_labelled`."""
    rows = []
    for name in names:
        config = row_definitions.row_config(name, epochs=arguments.epochs, diet_epochs=arguments.diet_epochs)
        for seed in range(1, arguments.seeds + 1):
            folder, seeded = f"{name}_{seed}", row_definitions.seeded(with_tokenizer(config, tokenizer), seed)
            rows.append(Row(work / folder, folder, seeded, nlu))
    return rows


def _labelled(
    names: Sequence[str], results: Sequence[Dict[str, Any]], trainings: Sequence[Dict[str, Any]], seeds: int
) -> List[Dict[str, Any]]:
    labels = [(name, seed) for name in names for seed in range(1, seeds + 1)]
    return [
        {**result, **training, "row": name, "seed": seed, "model": row_definitions.model_name(name)}
        for (name, seed), result, training in zip(labels, results, trainings)
    ]


def _written(messages: Sequence[LabelledMessage], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nlu(messages, path)
    return path


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", action="append", type=named_folder, default=[], help="[NAME=]DIR with train.yml and test.yml"
    )
    parser.add_argument(
        "--cross-lingual",
        action="append",
        type=named_folder,
        default=[],
        help=f"[NAME=]DIR with {CROSS_LINGUAL_TRAINING} in English and a test_LANGUAGE.yml for each language",
    )
    defaults = f"{','.join(ROWS)}; cross-lingual: {','.join(CROSS_LINGUAL_ROWS)}"
    parser.add_argument("--rows", type=lambda text: text.split(","), default=[], help=defaults)
    parser.add_argument("--sample", type=int, default=0, help="stratified training sample; 0 for all")
    parser.add_argument("--seeds", type=int, default=1, help="number of trainings of each row")
    parser.add_argument("--epochs", type=int, default=0, help="epochs of our rows; 0 for the default")
    parser.add_argument("--diet-epochs", type=int, default=100, help="epochs of DIET; Rasa's default pipeline has 100")
    parser.add_argument(
        "--max-messages", type=int, default=0, help="size of a sample of each set of test messages; 0 for all"
    )
    parser.add_argument("--fresh", action="store_true", help="train and measure everything again")
    parser.add_argument(
        "--reuse", action="store_true", help="also reuse models of other code or libraries; results say so"
    )
    parser.add_argument("--work", type=Path, default=HERE / "results" / "scratch", help="folder of models")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    if not arguments.data and not arguments.cross_lingual:
        parser.error("--data or --cross-lingual is needed")
    unknown = [row for row in arguments.rows if not row_definitions.is_trainable(row)]
    if unknown:
        parser.error(f"unknown rows: {', '.join(unknown)}; known: {row_definitions.KNOWN}")
    if arguments.seeds < 1:
        parser.error("--seeds: at least 1")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
