"""Odd texts that people and programs send to a bot, with or without anything to read."""

NOTHING_TO_READ = {
    "empty": "",
    "blank": " \t \r\n ",
    "no-break spaces": "\u00a0\u2003\u3000",
    "zero width": "\u200b\u200c\u200d\ufeff\u2060",
    "NUL": "\x00",
    "control": "\x01\x02\x1b\x7f\x85",
    "lone surrogate": "\ud800",
    "replacement character": "\ufffd",
}
SOMETHING_TO_READ = {
    "emoji": "😀🔥🌶️",
    "emoji joined by zero width": "👩‍👩‍👧‍👦",
    "right to left": "\u202eשלום עולם مرحبا\u202c",
    "combining": "e\u0301" * 5 + "Z\u0351\u0352\u0353",
    "Chinese": "今天很热",
    "NUL within": "oh it\x00 is hot\x00",
    "control within": "hello\x07\x1b[31m",
    "zero width within": "he\u200bllo",
    "lone surrogates within": "hello \udc00 it is \ud83d hot",
    "surrogate pair": "hot \ud83d\ude00",
    "noncharacter": "\ufffe\uffff hot",
    "unknown words": "zyzzyva qwxq ßðþ łłł",
    "special wordpieces": "[CLS] [SEP] [PAD] [MASK] [UNK]",
    "only padding": "[PAD]",
    "markup": '<b>hot</b> {{7*7}} %s %n /greet{"a": 1}',
    "one character": "a",
    "punctuation": "?!...",
}
LONG = {
    "100,000 characters of words": "oh it is hot " * 7_700,
    "100,000 characters of one word": "x" * 100_000,
    "100,000 characters of emoji": "🔥" * 100_000,
    "100,000 characters of zero width": "\u200b" * 100_000,
    "100,000 lone surrogates": "\ud800" * 100_000,
}
