// Package bpe makes byte-level BPE vocabularies of any size, for models whose
// weights are random and whose tokens need no meaning.
package bpe

import (
	"fmt"
)

// Specials are the tokens that follow the BPE pieces, as in Qwen2's vocabulary.
var Specials = []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}

// Minimum is the smallest vocabulary: every byte and the special tokens.
const Minimum = 256 + 3

// Synthetic returns n tokens, the last three being Specials, and the merges that
// make the others from bytes: all short words over a to z, with and without a
// space in front. The same n gives the same vocabulary.
func Synthetic(n int) (tokens, merges []string, err error) {
	if n < Minimum {
		return nil, nil, fmt.Errorf("a byte-level vocabulary needs at least %d tokens, not %d", Minimum, n)
	}
	tokens = Bytes()
	pieces := n - len(Specials)
	add := func(left, right string) bool {
		if len(tokens) < pieces {
			tokens, merges = append(tokens, left+right), append(merges, left+" "+right)
		}
		return len(tokens) < pieces
	}
	// Breadth first: each word so far, and the space, with each letter behind it.
	words := []string{space}
	for c := 'a'; c <= 'z'; c++ {
		words = append(words, string(c))
	}
	for i := 0; len(tokens) < pieces; i++ {
		for c := 'a'; c <= 'z' && add(words[i], string(c)); c++ {
			words = append(words, words[i]+string(c))
		}
	}
	return append(tokens, Specials...), merges, nil
}

// space is how byte-level BPE writes the byte 0x20.
const space = "Ġ"

// Bytes returns the 256 byte tokens by byte value order of GPT-2's table:
// printable bytes stand for themselves, the others for characters from U+0100.
func Bytes() []string {
	var printable, other []string
	for b := range 256 {
		if b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE {
			printable = append(printable, string(rune(b)))
		} else {
			other = append(other, string(rune(0x100+len(other))))
		}
	}
	return append(printable, other...)
}
