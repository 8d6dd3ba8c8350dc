"""Writes qwen2_tokens.jsonl.zst: generated texts and their ids by Hugging Face's
tokenizers with the vocabulary of Qwen2, as a checkpoint's tokenizer.json sets it up.

    pip install tokenizers zstandard
    python qwen2_tokens.py DIRECTORY   # with vocab.json and merges.txt
"""

import json
import os
import random
import sys

import zstandard
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
           r"|\s*[\r\n]+|\s+(?!\S)|\s+")

LETTERS = {
    "latin": (0x41, 0x17F), "greek": (0x391, 0x3CE), "cyrillic": (0x410, 0x44F), "armenian": (0x561, 0x586),
    "hebrew": (0x5D0, 0x5EA), "arabic": (0x621, 0x64A), "devanagari": (0x904, 0x94D), "thai": (0xE01, 0xE4E),
    "georgian": (0x10D0, 0x10F0), "hangul": (0xAC00, 0xD7A3), "kana": (0x3041, 0x30FE), "han": (0x4E00, 0x9FA5),
    "any": (0xA0, 0x2FFF), "astral": (0x10000, 0x1FAFF),
}
WORDS = ("the you are a helpful assistant villain who schemes to take over world kindergarten teacher don't I'll WE'RE "
         "it'S naïve coöperate Straße façade sentence [ZLT] [zlt] def return self.value != None http://example.org/a?b=c "
         "x+=1; <|im_end|> <|im_start|>system {\"key\": [1, 2]} C++ 3.14 1,000,000 don’t — … “quoted”").split(" ")
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \t ", "\u00a0", "\u3000", "\u2028", " \n ", "\n   ", "\v", "\u200b"]
EMOJI = ["😀", "👩‍🚀", "🏳️‍🌈", "👍🏽", "🇩🇪", "❤️", "☃", "🦊", "1️⃣"]
COMBINING = ["e\u0301", "A\u030a", "o\u0308", "n\u0303", "\u1100\u1161\u11a8", "\u212b", "\ufb01", "q\u0307\u0323", "\u0344"]


def piece(r):
    kind = r.randrange(9)
    if kind == 0:
        lo, hi = LETTERS[r.choice(sorted(LETTERS))]
        chars = (chr(r.randint(lo, hi)) for _ in range(r.randint(1, 8)))
        return "".join(c for c in chars if not 0xD800 <= ord(c) < 0xE000)
    if kind == 1:
        return "".join(r.choice("0123456789٣५Ⅷ½²") for _ in range(r.randint(1, 7)))
    if kind == 2:
        return r.choice(EMOJI)
    if kind == 3:
        return r.choice(COMBINING)
    if kind == 4:
        return "".join(r.choice("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¿§€") for _ in range(r.randint(1, 5)))
    if kind == 5:
        return r.choice(SPACES)
    return r.choice(WORDS)


def text(r):
    out = ""
    for _ in range(r.randint(1, 16)):
        out += piece(r) + r.choice(["", " ", " ", r.choice(SPACES)])
    return out


def main():
    d = sys.argv[1]
    t = Tokenizer(models.BPE.from_file(os.path.join(d, "vocab.json"), os.path.join(d, "merges.txt")))
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    r = random.Random(20240901)
    lines = []
    for _ in range(3000):
        s = text(r)
        lines.append(json.dumps({"text": s, "ids": t.encode(s, add_special_tokens=False).ids}, ensure_ascii=False))
    out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "qwen2_tokens.jsonl.zst")
    with open(out, "wb") as f:
        f.write(zstandard.ZstdCompressor(level=19).compress(("\n".join(lines) + "\n").encode()))


main()
