package llama

import (
	"errors"
	"fmt"
	"strings"
)

// What can go wrong, to be matched with errors.Is. Every error of this package
// that comes from llama.cpp is an [*Error] that wraps one of them.
var (
	ErrNoCgo    = errors.New("built without cgo: llama.cpp is missing; build with CGO_ENABLED=1 and a C++ compiler")
	ErrClosed   = errors.New("already closed")
	ErrLoad     = errors.New("cannot load")
	ErrNoSlot   = errors.New("the context is full")
	ErrAborted  = errors.New("aborted")
	ErrMemory   = errors.New("out of memory")
	ErrBatch    = errors.New("invalid batch")
	ErrCompute  = errors.New("computation failed")
	ErrTokenize = errors.New("cannot tokenize")
)

// Error is a failure inside llama.cpp.
type Error struct {
	Op     string // what was tried, such as "load model x.gguf"
	Kind   error  // one of the Err values of this package
	Detail string // llama.cpp's own words, if it logged any
}

func (e *Error) Error() string {
	s := fmt.Sprintf("llama.cpp: %s: %v", e.Op, e.Kind)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap makes errors.Is(err, ErrMemory) and the like work.
func (e *Error) Unwrap() error { return e.Kind }

func opError(op string, kind error) *Error {
	return &Error{Op: op, Kind: kind, Detail: strings.Join(recentErrors.take(), "; ")}
}

// failure is the error of an operation that failed inside the device's code, which
// tells of a lack of memory in its log alone; otherwise is its kind without that.
func failure(op string, otherwise error) *Error {
	e := opError(op, otherwise)
	if strings.Contains(e.Detail, "out of memory") || strings.Contains(e.Detail, "ALLOC_FAILED") {
		e.Kind = ErrMemory
	}
	return e
}
