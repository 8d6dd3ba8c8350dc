package llama

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"unsafe"
)

// Vocab is a model's tokenizer as llama.cpp implements it. It applies no
// Unicode normalisation; a caller whose checkpoint wants NFC does it before.
type Vocab struct {
	m    *Model
	c    *C.struct_llama_vocab
	size int
}

func newVocab(m *Model, c *C.struct_llama_vocab) *Vocab {
	return &Vocab{m: m, c: c, size: int(C.llama_vocab_n_tokens(c))}
}

// Size is the number of tokens, padding included.
func (v *Vocab) Size() int { return v.size }

// maxText bounds a text: llama.cpp counts in int32.
const maxText = math.MaxInt32 / 8

// Tokenize encodes text without adding anything to it. With special, the texts
// of special tokens such as "<|im_end|>" become these tokens; without, they are
// text like any other.
func (v *Vocab) Tokenize(text string, special bool) ([]int32, error) {
	if len(text) == 0 {
		return []int32{}, nil
	}
	if len(text) > maxText {
		return nil, fmt.Errorf("%w %d bytes: too long", ErrTokenize, len(text))
	}
	if err := v.m.use(); err != nil {
		return nil, err
	}
	defer v.m.unuse()
	c := C.CString(text)
	defer C.free(unsafe.Pointer(c))
	out := make([]int32, len(text)/3+8)
	for {
		n := C.pp_tokenize(v.c, c, C.int(len(text)), (*C.int32_t)(&out[0]), C.int(len(out)), C.bool(special))
		switch {
		case n == math.MinInt32:
			return nil, opError("tokenize", ErrTokenize)
		case n < 0:
			out = make([]int32, -n)
		default:
			return out[:n:n], nil
		}
	}
}

// Detokenize returns the bytes of the tokens; special tokens appear as their
// text with special and not at all without.
func (v *Vocab) Detokenize(tokens []int32, special bool) (string, error) {
	if len(tokens) == 0 {
		return "", nil
	}
	for _, t := range tokens {
		if t < 0 || int(t) >= v.size {
			return "", fmt.Errorf("%w: token %d is not in the vocabulary of %d", ErrTokenize, t, v.size)
		}
	}
	if err := v.m.use(); err != nil {
		return "", err
	}
	defer v.m.unuse()
	out := make([]byte, 8*len(tokens)+16)
	for {
		n := C.pp_detokenize(v.c, (*C.int32_t)(&tokens[0]), C.int(len(tokens)),
			(*C.char)(unsafe.Pointer(&out[0])), C.int(len(out)), C.bool(special))
		switch {
		case n == math.MinInt32:
			return "", opError("detokenize", ErrTokenize)
		case n < 0:
			out = make([]byte, -n)
		default:
			return string(out[:n]), nil
		}
	}
}

// EndOfGeneration lists the tokens after which a completion is over, such as
// <|im_end|> and <|endoftext|>.
func (v *Vocab) EndOfGeneration() []int32 {
	var out []int32
	v.each(func(id C.llama_token) {
		if C.llama_vocab_is_eog(v.c, id) {
			out = append(out, int32(id))
		}
	})
	return out
}

// Specials lists control and user-defined tokens.
func (v *Vocab) Specials() []Special {
	var out []Special
	v.each(func(id C.llama_token) {
		if C.llama_vocab_get_attr(v.c, id)&(C.LLAMA_TOKEN_ATTR_CONTROL|C.LLAMA_TOKEN_ATTR_USER_DEFINED) != 0 {
			out = append(out, Special{ID: int32(id), Text: C.GoString(C.llama_vocab_get_text(v.c, id))})
		}
	})
	return out
}

func (v *Vocab) each(f func(C.llama_token)) {
	if v.m.use() != nil {
		return
	}
	defer v.m.unuse()
	for id := range v.size {
		f(C.llama_token(id))
	}
}
