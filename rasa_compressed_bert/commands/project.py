"""A config.yml with a component of this package, and the messages that it learns from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Collection, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Type

from rasa_compressed_bert.errors import CompressedBertError

if TYPE_CHECKING:  # help starts without the options and numpy
    from rasa_compressed_bert.config import TrainedConfig
    from rasa_compressed_bert.data.example import Example
    from rasa_compressed_bert.data.known_values import KnownValues
    from rasa_compressed_bert.data.questions import Question


class Project(NamedTuple):
    """A config.yml with a component of this package, and the data that it is trained on.

    Attributes:
        config: content of the whole file.
        text: text of the whole file.
        place: index of the component in its pipeline.
        config_class: class of the component's options.
        examples: the labelled messages, in an order that does not depend on that of files in a folder.
        questions: the questions instead of messages, if the component learns answers.
        known: lookup tables and synonyms to learn as well; None if the component does not learn them.
    """

    config: Dict[str, Any]
    text: str
    place: int
    config_class: Type[TrainedConfig]
    examples: Sequence[Example] = ()
    questions: Sequence[Question] = ()
    known: Optional[KnownValues] = None

    @property
    def data(self) -> List[Any]:
        """The component's training data, as JSON values, and digests of the weights and files that its options name."""
        from rasa_compressed_bert.components.config_io import named_content, require_named

        options = self.config_class.from_dict(self.options)
        require_named(options)
        texts = [
            [one.text, one.intent, one.entities, *([one.response] if one.response else [])] for one in self.examples
        ]
        questions = [[one.text, one.passage, one.answers, one.document] for one in self.questions]
        others = [*([questions] if questions else []), *([asdict(self.known)] if self.known else [])]
        return [texts, *others, *named_content(options)]

    @property
    def environment_digest(self) -> str:
        """A digest of what training depends on besides data and options: this package, libraries, weights, files."""
        from rasa_compressed_bert.components.config_io import environment_digest

        return environment_digest(self.config_class.from_dict(self.options))

    @property
    def options(self) -> Dict[str, Any]:
        """The options of the component, as in the file."""
        return {key: value for key, value in self.config["pipeline"][self.place].items() if key != "name"}

    def with_options(self, options: Mapping[str, Any]) -> Dict[str, Any]:
        """The content of the file with other options of the component, given by dotted names.

        Names of environment variables are not replaced by their values, which may be secret.
        """
        from rasa.shared.utils.io import read_yaml

        from rasa_compressed_bert.search.dotted import merged

        written: Dict[str, Any] = read_yaml(self.text, reader_type="rt")
        name, own = self.config["pipeline"][self.place]["name"], written["pipeline"][self.place]
        own = {key: value for key, value in own.items() if key != "name"}
        if self.questions:
            own["training_data"] = self.options["training_data"]
        written["pipeline"][self.place] = {"name": name, **merged(own, options)}
        return written


def read_project(
    path: Path, nlu: Optional[Path], questions: Optional[Sequence[Path]] = None, *, varied: Collection[str] = ()
) -> Project:
    """Reads a config.yml and its data.

    Args:
        path: path of the config.yml.
        nlu: NLU data that the component learns from.
        questions: files in the format of SQuAD 2.0; if they are given, the component is one that learns answers, and
            they replace its option `training_data`.
        varied: dotted names of the options that a search varies.

    Raises:
        CompressedBertError: if one of them cannot be read, or if there is not exactly one component of that kind.
    """
    from rasa_compressed_bert.components.nlu_files import load_training_data
    from rasa_compressed_bert.data.squad import read_questions

    config, text = read_yaml(path), _text_to_rewrite(path)
    pipeline = config.get("pipeline") if isinstance(config, dict) else None
    if not isinstance(pipeline, list) or not all(isinstance(item, dict) for item in pipeline):
        raise CompressedBertError(f"--config: '{path}' has no pipeline.")
    if questions:
        place, component = _component(path, pipeline, learns_answers=True)
        files = [str(file) for file in questions]
        pipeline[place]["training_data"] = files
        learnt = read_questions(files, option="--questions")
        return Project(config, text, place, component.options_class, questions=learnt)
    if nlu is None:
        raise CompressedBertError("search: give --nlu, or --questions for BertAnswerExtractor.")
    place, component = _component(path, pipeline, learns_answers=False)
    data, options = load_training_data(nlu), component.options_class
    examples = _examples(component, pipeline, data, in_order=nlu.is_dir())
    learns = options.learns_entities and ("lookups" in varied or pipeline[place].get("lookups", True))
    return Project(config, text, place, options, examples, known=known_values_of(data) if learns else None)


def _text_to_rewrite(path: Path) -> str:
    """The text of a config.yml, of which `Project.with_options` makes others at the end of a search.

    Raises:
        CompressedBertError: if the reader that keeps names of environment variables refuses what Rasa accepts.
    """
    from rasa.shared.exceptions import YamlSyntaxException
    from rasa.shared.utils.io import read_yaml_file

    try:
        read_yaml_file(path, reader_type="rt")
    except YamlSyntaxException as error:
        raise CompressedBertError(
            f"--config: '{path}' has YAML that search cannot write again, such as a tab after a colon or before a "
            f"comment, where spaces can be read: {error}"
        ) from error
    return path.read_text(encoding="utf-8")


def _component(path: Path, pipeline: Sequence[Dict[str, Any]], *, learns_answers: bool) -> Tuple[int, Any]:
    """The index in the pipeline, and the class, of the only component that learns answers, or else messages."""
    import rasa_compressed_bert

    found = {}
    for place, item in enumerate(pipeline):
        package, _, name = str(item.get("name")).rpartition(".")
        if package != "rasa_compressed_bert":
            continue
        if name not in rasa_compressed_bert.__all__:
            known = ", ".join(rasa_compressed_bert.__all__)
            raise CompressedBertError(f"--config: there is no component '{item['name']}'; known components: {known}.")
        component = getattr(rasa_compressed_bert, name)
        options = component.options_class
        learns_messages = options.learns_intents or options.learns_entities
        if (options.learns_answers and learns_answers) or (learns_messages and not learns_answers):
            found[place] = component
    if len(found) != 1:
        what = "that learn answers" if learns_answers else "that learn intents or entities"
        hint = "search needs exactly one" + ("" if learns_answers else ", or --questions for BertAnswerExtractor")
        raise CompressedBertError(
            f"--config: '{path}' has {len(found)} components of rasa_compressed_bert {what}; {hint}."
        )
    return next(iter(found.items()))


def _examples(component: Any, pipeline: Sequence[Dict[str, Any]], data: Any, *, in_order: bool) -> Sequence[Example]:
    """The labelled messages of Rasa's training data, as a component reads them.

    Args:
        component: class of the component.
        pipeline: configurations of all components.
        data: Rasa's training data.
        in_order: whether to sort them, as the files of a folder are read in any order.
    """
    from rasa_compressed_bert.components.message_io import entity_examples, intent_examples

    if component.options_class.learns_entities:
        names = [str(item.get("name")).rpartition(".")[2] for item in pipeline]
        examples = entity_examples(data, extractor=component.__name__, pipeline=names)
    else:
        examples = intent_examples(data)
    return sorted(examples, key=lambda example: (example.text, example.intent or "")) if in_order else examples


def known_values_of(data: Any) -> KnownValues:
    """Lookup tables and synonyms of Rasa's training data.

    Raises:
        CompressedBertError: if the file of a table cannot be read.
    """
    from rasa_compressed_bert.components.config_io import ComponentError
    from rasa_compressed_bert.components.known_values import read_known_values

    try:
        return read_known_values(data)
    except ComponentError as error:
        raise CompressedBertError(str(error)) from error


def read_yaml(path: Path) -> Any:
    """The content of a YAML file as Rasa reads it: in YAML 1.2, 1e-3 is a number, and `no` is a string.

    Raises:
        CompressedBertError: if it cannot be read.
    """
    from rasa.shared.exceptions import RasaException
    from rasa.shared.utils.io import read_yaml_file

    try:
        return read_yaml_file(path)
    except (OSError, ValueError, RasaException) as error:  # ValueError: a date that does not exist, a wrong encoding
        raise CompressedBertError(f"'{path}' cannot be read: {error}") from error
