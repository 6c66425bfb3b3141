"""Options of `rasa_compressed_bert.BertAnswerExtractor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Iterator, Optional, Sequence, Tuple

from rasa_compressed_bert.config.bert import BertOptions
from rasa_compressed_bert.config.options import option
from rasa_compressed_bert.config.problems import Problem


@dataclass(frozen=True)
class BertAnswerExtractorConfig(BertOptions):
    """Options of the extractor that answers questions out of documents."""

    learns_answers: ClassVar[bool] = True

    training_data: Optional[Tuple[str, ...]] = option(
        None,
        list,
        optional=True,
        help="Questions with their answers to learn from: a JSON file in the format of SQuAD 2.0, or a list of files. "
        "null learns nothing.",
    )
    documents: Optional[str] = option(
        None,
        str,
        optional=True,
        help="A folder of .md and .txt files that answers are read from, at most 10 MB; they are stored in the model. "
        "null answers nothing.",
    )
    intents: Optional[Tuple[str, ...]] = option(
        None,
        list,
        optional=True,
        help="Intents whose messages are answered, which an intent classifier has to predict before; null answers all "
        "messages.",
    )
    passages: int = option(
        3, int, low=1, high=20, help="Passages of the documents that are read for a question, the most similar to it."
    )
    max_answer_length: int = option(30, int, low=1, high=512, help="Wordpieces of an answer, at most.")
    no_answer_threshold: Optional[float] = option(
        None,
        float,
        low=0,
        high=1,
        optional=True,
        help="Least confidence of an answer: below it there is none. null chooses it on the questions that are held "
        "out, for the highest F1 of all of them.",
    )
    unanswerable_questions: float = option(
        0.3,
        float,
        low=0,
        high=1,
        help="Questions to make that have no answer, as a share of those that have one: paired with another passage of "
        "their document.",
    )
    stride: int = option(
        128, int, low=1, high=512, help="Wordpieces of a passage between the beginnings of two windows over it."
    )
    max_length: int = option(
        256,
        int,
        low=16,
        high=512,
        help="Wordpieces of a question and a part of a passage, special ones included. A question has at most half of "
        "them; a longer passage is read in several windows.",
    )
    epochs: int = option(
        3,
        int,
        low=1,
        high=1_000_000,
        help="Passes over the questions while pruning and recovering, after half as many of the dense model; without "
        "pruning all are the dense model's.",
    )
    validation_split: float = option(
        0.1,
        float,
        low=0,
        high=0.5,
        help="Share of the questions that are held out, passage by passage, to calibrate confidences and to choose the "
        "least one of an answer. They are not learnt. 0 switches this off.",
    )

    def files_to_read(self) -> Sequence[str]:
        """The files of questions and the folder of documents."""
        return [*(self.training_data or ()), *([self.documents] if self.documents else [])]

    def conflicts(self) -> Iterator[Problem]:
        """Yield the contradictions that all have, and options that are for intents."""
        yield from super().conflicts()
        if self.pooling == "cls":
            yield Problem(
                ("pooling", "pruning.pooler"),
                "pooling: cls is for intents, and an answer extractor has none; leave pooling and pruning.pooler out",
            )
        if self.budget.is_given:
            yield Problem(
                ("budget",),
                "budget: a sparsity is chosen for intents or entities alone; leave the section out, and set "
                "pruning.final_sparsity",
            )
