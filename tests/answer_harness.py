"""Writes small files of questions and documents whose words are in the tiny vocabulary."""

import json

import numpy as np

WORDS_FOR_IT = ["hot", "cold", "warm", "spicy", "good"]
THINGS = ["pizza", "curry", "weather", "rain", "sun", "food", "music", "song", "table", "bank", "card", "money"]


def entries(count, *, seed=0):
    """SQuAD paragraphs with one question each; every fourth question has no answer."""
    rng = np.random.default_rng(seed)
    paragraphs = []
    for number in range(count):
        things = rng.permutation(THINGS)[:4]
        word = str(rng.choice(WORDS_FOR_IT)) if number % 4 else ""
        sentences = [f"please play the {thing} today ." for thing in things[1:]]
        if word:
            sentences.insert(int(rng.integers(4)), f"the {things[0]} is {word} !")
        passage = " ".join(sentences)
        answers = [{"text": word, "answer_start": passage.index(f" {word} !") + 1}] if word else []
        entry = {"id": f"{seed}-{number}", "question": f"how is the {things[0]} ?", "is_impossible": not answers}
        paragraphs.append({"context": passage, "qas": [{**entry, "answers": answers}]})
    return paragraphs


def write_questions(path, count=80, *, seed=0):
    path.write_text(json.dumps({"data": [{"title": "things", "paragraphs": entries(count, seed=seed)}]}))
    return str(path)


def write_documents(folder):
    folder.mkdir()
    (folder / "food.md").write_text("# Food\n\nthe pizza is hot . the curry is spicy .")
    (folder / "weather.txt").write_text("the rain is cold . the sun is warm .")
    return str(folder)
