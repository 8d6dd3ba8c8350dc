package models

import (
	"errors"
	"fmt"

	"personaprobe/internal/fault"
	"personaprobe/models/gguf"
)

// CheckGGUF checks a GGUF model before llama.cpp gets to see it, which aborts the whole
// process on some damaged files: the structure, every tensor within the file, and for the
// qwen2 architecture the set and shapes of the tensors and the vocabulary. It reads
// metadata only, no weights: Verify does. Errors are ErrFormat or ErrUnsupported.
func CheckGGUF(path string) error {
	f, err := openChecked(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// openChecked opens a GGUF model and is CheckGGUF for what was opened.
func openChecked(path string) (*gguf.File, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("check model: %w", err)
	}
	if err := checkModel(f, path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func checkModel(f *gguf.File, path string) error {
	if kind, ok := f.String("general.type"); ok && kind == "adapter" {
		return fault.Unsupportedf("%s is an adapter, not a model; name its base model here", path)
	}
	var r Report
	r.checkArchitecture(f)
	r.checkTokenizer(f)
	switch n := len(r.Problems); n {
	case 0:
		return nil
	case 1:
		return fault.Formatf("%s: %s", path, r.Problems[0])
	default:
		return fault.Formatf("%s: %s, and %d more problems; see personaprobe model verify", path, r.Problems[0], n-1)
	}
}
