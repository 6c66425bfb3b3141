"""Responses of retrieval intents: selected by our classifier, and by Rasa's ResponseSelector on two pipelines.

python -m benchmarks.responses --data bot_faq_zh=DATA/bot_faq_zh --data sara2019=DATA/sara2019 \
    --prefix ask_faq_=faq --prefix ask_=chitchat

Intents whose names begin with a prefix become responses of a retrieval intent: `ask_faq_voice` becomes `faq/voice`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import yaml

from benchmarks.common import rows as row_definitions
from benchmarks.common.commands import command_line, named_folder, publish, run_all, work_folder
from benchmarks.common.comparing import Row, compare_rows, train_rows
from benchmarks.common.datasets import stratified_sample, write_nlu
from benchmarks.common.rasa_tokenizers import is_chinese, rasa_tokenizer, with_tokenizer
from benchmarks.common.scores import mean_and_deviation, reused_in_words, seeds_in_words
from rasa_compressed_bert.benchmark.report import groups_in_words
from rasa_compressed_bert.benchmark.workers import WorkerProcess
from rasa_compressed_bert.components.nlu_files import load_messages, load_training_data
from rasa_compressed_bert.data.example import RESPONSE_DELIMITER, LabelledMessage, retrieval_intent
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import environment, in_words

HERE = Path(__file__).parent
OURS, WITHOUT, STUDENT = "ours", "without", "student"
ROWS = (OURS, WITHOUT, STUDENT, "diet", "lmf_diet")
LABELS = {
    OURS: "PrunedBertIntentClassifier",
    WITHOUT: "PrunedBertIntentClassifier, `response_selection: false`",
    STUDENT: "DistilledIntentClassifier (bilstm)",
    "diet": "Rasa's default pipeline (DIET, ResponseSelector)",
    "lmf_diet": "LanguageModelFeaturizer, DIET, ResponseSelector",
}
SELECTOR = {"name": "ResponseSelector", "epochs": 100, "constrain_similarities": True}
"""As in the configuration of `rasa init`: one component for all retrieval intents."""
FALLBACK, DEFAULT = "FallbackClassifier", "default"
SCORES = {
    "response_accuracy": "response, given the intent",
    "end_to_end": "response, end to end",
    "all_messages": "all messages",
}
COSTS = {"latency_p50_ms": ("p50 ms", 2), "memory_mb": ("memory MB", 0), "archive_mb": ("archive MB", 1)}
Prefixes = Sequence[Tuple[str, str]]


def main() -> int:
    """Trains and measures what is missing for each data set, and writes the results."""
    return run_all(_arguments(), run_data_set)


def run_data_set(name: str, source: Path, *, arguments: argparse.Namespace) -> None:
    """Measures one data set, and writes `responses_<name>.json` and `.md` to the folder of results."""
    title = f"responses_{name}"
    work = work_folder(arguments, title)
    training, test = (load(source / file, arguments.prefixes) for file in ("train.yml", "test.yml"))
    if not any(RESPONSE_DELIMITER in message.intent for message in test):
        raise DataError(f"'{source}' has no retrieval intents. Make some of its intents with --prefix.")
    training, test = stratified_sample(training, arguments.sample), stratified_sample(test, arguments.max_messages)
    nlu, asked = written(training, work / "data" / "train.yml"), written(test, work / "data" / "test.yml")
    texts = [message.text for message in training]
    rows = []
    for row in arguments.rows:
        config = with_tokenizer(row_config(row, chinese=is_chinese(texts), arguments=arguments), rasa_tokenizer(texts))
        for seed in range(1, arguments.seeds + 1):
            folder = f"{row}_{seed}"
            rows.append(Row(work / folder, folder, row_definitions.seeded(config, seed), nlu))
    trainings = train_rows(rows, title=title, reuse=arguments.reuse)
    measured, results = compare_rows(rows, asked, messages=load_messages(asked), outside=(), work=work)
    selected = measured.once("responses", lambda: [answers(row.archive, test) for row in rows])
    content = {
        "data": name,
        "training_messages": len(training),
        "test_messages": len(test),
        "retrieval_messages": sum(RESPONSE_DELIMITER in message.intent for message in test),
        "responses": len({message.intent for message in training if RESPONSE_DELIMITER in message.intent}),
        "retrieval_intents": sorted(
            {retrieval_intent(message.intent) for message in test if RESPONSE_DELIMITER in message.intent}
        ),
        "tokenizer": rasa_tokenizer(texts),
        "seeds": arguments.seeds,
        "command": command_line("benchmarks.responses"),
        "environment": environment(),
        "results": [
            {**result, **trained, "row": row.model.rpartition("_")[0], **scores(test, found)}
            for row, result, trained, found in zip(rows, results, trainings, selected)
        ],
    }
    publish(title, content, to_markdown, folder=arguments.results)


def load(path: Path, prefixes: Prefixes) -> List[LabelledMessage]:
    """Reads the messages of a file, some of whose intents become responses of retrieval intents.

    Args:
        path: NLU data.
        prefixes: prefixes of the intents that become responses, and the retrieval intent for each.
    """
    examples = load_training_data(path).intent_examples
    return [
        LabelledMessage(example.get("text"), renamed(example.get_full_intent(), prefixes))
        for example in examples
        if (example.get("text") or "").strip()
    ]


def renamed(intent: str, prefixes: Prefixes) -> str:
    """An intent renamed to a response of a retrieval intent, by the first prefix that it begins with."""
    for prefix, name in prefixes:
        if intent.startswith(prefix) and RESPONSE_DELIMITER not in intent:
            return f"{name}{RESPONSE_DELIMITER}{intent[len(prefix) :]}"
    return intent


def written(messages: Sequence[LabelledMessage], path: Path) -> Path:
    """Writes NLU data with a response for each key; its text is the name of the key, from which no row learns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nlu(messages, path)
    names = sorted({message.intent for message in messages if RESPONSE_DELIMITER in message.intent})
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["responses"] = {f"utter_{name}": [{"text": name}] for name in names}
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def row_config(row: str, *, chinese: bool, arguments: argparse.Namespace) -> Dict[str, Any]:
    """A complete config.yml; ours has multilingual weights for Chinese.

    Args:
        row: one of `ROWS`.
        chinese: whether the messages are in Chinese.
        arguments: of the command, with the epochs of our rows and of Rasa's.
    """
    if row in (OURS, WITHOUT):
        name = f"{row_definitions.MULTILINGUAL}{row_definitions.DEFAULT}" if chinese else row_definitions.DEFAULT
        config = row_definitions.row_config(name, epochs=arguments.epochs)
        (item,) = config["pipeline"]
        return {**config, "pipeline": [{**item, "response_selection": row == OURS}]}
    if row == STUDENT:
        config = row_definitions.row_config(f"{row_definitions.STUDENT}bilstm", epochs=arguments.epochs)
        (item,) = config["pipeline"]
        teacher = {"teacher": {"model_weights": row_definitions.MULTILINGUAL_WEIGHTS}} if chinese else {}
        return {**config, "pipeline": [{**item, **teacher}]}
    config = row_definitions.row_config(row, diet_epochs=arguments.diet_epochs)
    last = [item for item in config["pipeline"] if item["name"] == FALLBACK]
    first = [item for item in config["pipeline"] if item["name"] != FALLBACK]
    return {**config, "pipeline": [*first, {**SELECTOR, "epochs": arguments.diet_epochs}, *last]}


def answers(archive: Path, messages: Sequence[LabelledMessage]) -> Dict[str, Any]:
    """The predicted intents and the selected responses of messages."""
    with WorkerProcess(archive, 1) as worker:
        found = worker.parse([message.text for message in messages])
    return {"intents": found["intents"], "responses": found["responses"]}


def scores(messages: Sequence[LabelledMessage], found: Mapping[str, Any]) -> Dict[str, Any]:
    """Shares of right responses; None for a model that selects none.

    `response_accuracy` is that of Rasa's report: among messages of retrieval intents, the share with the right response
    given their intent. For `end_to_end` the predicted intent must be right too. `all_messages` also has the messages of
    other intents, for which only the intent counts.
    """
    if not any(found["responses"]):
        return dict.fromkeys(SCORES)
    given, both, every = [], [], []
    for message, intent, responses in zip(messages, found["intents"], found["responses"]):
        own = retrieval_intent(message.intent)
        right = intent == own
        if RESPONSE_DELIMITER in message.intent:
            given.append(responses.get(own, responses.get(DEFAULT)) == message.intent)
            right = right and given[-1]
            both.append(right)
        every.append(right)
    return {name: sum(values) / len(values) for name, values in zip(SCORES, (given, both, every))}


def to_markdown(name: str, content: Dict[str, Any]) -> str:
    """The page of a data set."""
    intents = ", ".join(f"`{intent}`" for intent in content["retrieval_intents"])
    introduction = f"""{content["training_messages"]} training messages with {content["responses"]} responses of the
retrieval intents {intents}; {content["test_messages"]} test messages, {content["retrieval_messages"]} of them of
retrieval intents. {seeds_in_words(content["seeds"])} Rasa's pipelines have {content["tokenizer"]}.

Response, given the intent: what `rasa test nlu` reports, the share of messages of retrieval intents whose response is
right, whatever their intent is found to be. End to end: the intent is right, too. All messages: those of other
intents, too, whose intent counts alone. A fallback is undone. p50: milliseconds of a whole message in Rasa, one at a
time on one thread; memory: what the model adds to a worker; training: the whole `rasa train nlu`."""
    names = [*SCORES.values(), "intent", *(heading for heading, _ in COSTS.values()), "training s"]
    table = [["model", *names]]
    for row in dict.fromkeys(cell["row"] for cell in content["results"]):
        cells = [cell for cell in content["results"] if cell["row"] == row]
        figures = [[cell[key] for cell in cells] for key in (*SCORES, "accuracy")]
        line = [LABELS[row], *("" if None in values else mean_and_deviation(values, unit=" %") for values in figures)]
        for key, (_, digits) in {**COSTS, "training_s": ("", 0)}.items():
            line.append(mean_and_deviation([cell[key] for cell in cells], digits=digits, scale=1.0))
        table.append(line)
    made = f"Made by `{content['command']}` on {in_words(content['environment'])}."
    older = reused_in_words(content["results"], [LABELS[cell["row"]] for cell in content["results"]])
    groups = groups_in_words(content["results"])
    parts = [f"# {name}", introduction, older, groups, tables.markdown_table(table), made]
    return "\n\n".join(part for part in parts if part) + "\n"


def _prefix(text: str) -> Tuple[str, str]:
    prefix, found, intent = text.partition("=")
    if not prefix or not intent:
        raise argparse.ArgumentTypeError("PREFIX=INTENT, such as ask_faq_=faq")
    return prefix, intent


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", action="append", type=named_folder, required=True, help="[NAME=]DIR with train.yml and test.yml"
    )
    parser.add_argument(
        "--prefix",
        action="append",
        type=_prefix,
        default=[],
        dest="prefixes",
        help="PREFIX=INTENT: intents that begin with PREFIX become responses of the retrieval intent INTENT",
    )
    parser.add_argument("--rows", type=lambda text: text.split(","), default=list(ROWS), help=",".join(ROWS))
    parser.add_argument("--sample", type=int, default=0, help="stratified training sample; 0 for all")
    parser.add_argument("--max-messages", type=int, default=0, help="size of a sample of the test messages; 0 for all")
    parser.add_argument("--seeds", type=int, default=3, help="number of trainings of each row")
    parser.add_argument("--epochs", type=int, default=0, help="epochs of our rows; 0 for the default")
    parser.add_argument(
        "--diet-epochs", type=int, default=100, help="epochs of DIET and ResponseSelector; Rasa's default is 100"
    )
    parser.add_argument("--fresh", action="store_true", help="train and measure everything again")
    parser.add_argument(
        "--reuse", action="store_true", help="also reuse models of other code or libraries; results say so"
    )
    parser.add_argument("--work", type=Path, default=HERE / "results" / "scratch", help="folder of models")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    unknown = [row for row in arguments.rows if row not in ROWS]
    if unknown:
        parser.error(f"unknown rows: {', '.join(unknown)}; known: {', '.join(ROWS)}")
    if arguments.seeds < 1:
        parser.error("--seeds: at least 1")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
