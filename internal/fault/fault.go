// Package fault holds the two sentinel errors that every reader of model files
// shares, so that errors.Is gives the same answer whichever package failed.
// Users reach them as models.ErrFormat and models.ErrUnsupported.
package fault

import (
	"errors"
	"fmt"
)

var (
	// ErrFormat means that a file is malformed or truncated.
	ErrFormat = errors.New("malformed model file")
	// ErrUnsupported means that a file is well formed, but asks for something
	// that this program does not do.
	ErrUnsupported = errors.New("unsupported")
)

// kindError carries a message of its own and answers to one sentinel, so that
// the sentinel's text is not repeated in every message.
type kindError struct {
	kind error
	err  error
}

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }

// Formatf returns an error that is ErrFormat.
func Formatf(format string, args ...any) error {
	return &kindError{ErrFormat, fmt.Errorf(format, args...)}
}

// Unsupportedf returns an error that is ErrUnsupported.
func Unsupportedf(format string, args ...any) error {
	return &kindError{ErrUnsupported, fmt.Errorf("unsupported: "+format, args...)}
}
