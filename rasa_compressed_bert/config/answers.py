"""Options of `rasa_compressed_bert.BertAnswerExtractor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Iterator, Optional, Sequence, Tuple

from rasa_compressed_bert.config.bert import BertOptions
from rasa_compressed_bert.config.options import option
from rasa_compressed_bert.config.problems import Problem


@dataclass(frozen=True)
class BertAnswerExtractorConfig(BertOptions):
    """Options of the extractor that answers questions from documents."""

    learns_answers: ClassVar[bool] = True

    training_data: Optional[Tuple[str, ...]] = option(
        None,
        list,
        optional=True,
        help="Questions with answers to train on: a JSON file in the format of SQuAD 2.0, or a list of such files. "
        "With null, nothing is trained.",
    )
    documents: Optional[str] = option(
        None,
        str,
        optional=True,
        help="A folder of .md and .txt files, at most 10 MB, to answer questions from; they are stored in the model. "
        "With null, no question is answered.",
    )
    intents: Optional[Tuple[str, ...]] = option(
        None,
        list,
        optional=True,
        help="Intents whose messages are answered; an intent classifier must come earlier in the pipeline, and for "
        "nlu_fallback also a FallbackClassifier. null answers all messages.",
    )
    passages: int = option(
        3, int, low=1, high=20, help="Number of passages that are read for a question: those most similar to it."
    )
    max_answer_length: int = option(30, int, low=1, high=512, help="Maximum number of wordpieces of an answer.")
    no_answer_threshold: Optional[float] = option(
        None,
        float,
        low=0,
        high=1,
        optional=True,
        help="Minimum confidence of an answer; below it, a question has no answer. null chooses the threshold that "
        "gives the highest mean of the F1 of answerable and of unanswerable held-out questions, or 0.5 with fewer than "
        "20 of them, or fewer than 5 of either kind.",
    )
    unanswerable_questions: float = option(
        0.3,
        float,
        low=0,
        high=1,
        help="Number of unanswerable questions to generate, as a share of the answerable ones, by pairing questions "
        "with another passage of their document, in the documents with the smallest share of them first.",
    )
    stride: int = option(
        128, int, low=1, high=512, help="Number of wordpieces between the beginnings of two windows over a passage."
    )
    max_length: int = option(
        256,
        int,
        low=16,
        high=512,
        help="Maximum number of wordpieces of a question and a part of a passage together, special ones included. The "
        "question takes up at most half of them; a longer passage is read in several windows.",
    )
    epochs: int = option(
        3,
        int,
        low=1,
        high=1_000_000,
        help="Epochs of pruning and recovery, after half as many epochs of fine-tuning the dense model; without "
        "pruning, epochs of fine-tuning.",
    )
    validation_split: float = option(
        0.1,
        float,
        low=0,
        high=0.5,
        help="Share of the passages that are held out with all their questions, to calibrate confidences and to choose "
        "no_answer_threshold; none with fewer than ten passages. The model is not trained on them. 0 disables this.",
    )

    def named_paths(self) -> Sequence[Tuple[str, str]]:
        """The files of questions and the folder of documents."""
        questions = [("training_data", path) for path in self.training_data or ()]
        return [*questions, *([("documents", self.documents)] if self.documents else [])]

    def conflicts(self) -> Iterator[Problem]:
        """Yield the contradictions of all BERT components, and options that apply to intents or entities only."""
        yield from super().conflicts()
        if self.pooling == "cls":
            yield Problem(
                ("pooling", "pruning.pooler"),
                "pooling: cls is for intents, and an answer extractor has none; leave pooling and pruning.pooler out",
            )
        if self.budget.is_given:
            yield Problem(
                ("budget",),
                "budget: only components that learn intents or entities have one; leave the section out, and set "
                "pruning.final_sparsity",
            )
