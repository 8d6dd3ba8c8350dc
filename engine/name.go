package engine

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Name is what people call the model: the name that its file gives it, else that of the
// file or directory in Options. It is never that of a converted copy in the cache.
func (e *Engine) Name() string {
	general, _ := e.model.Meta("general.name")
	return modelName(general, e.opts.Model)
}

func modelName(general, path string) string {
	if name := strings.TrimSpace(general); name != "" {
		return name
	}
	if abs, err := filepath.Abs(path); err == nil { // a path such as "." has no name
		path = abs
	}
	return filepath.Base(path)
}

// withSize puts the number of weights into a description of llama.cpp's, such as
// "qwen2 7B F16", whose own size is a guess from the number of layers.
func withSize(description string, params uint64) string {
	architecture, rest, _ := strings.Cut(description, " ")
	_, kind, _ := strings.Cut(rest, " ")
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", architecture, size(params), kind))
}

// size is a number of weights in three digits, such as "7.62B".
func size(params uint64) string {
	v, unit := float64(params)/1e6, "M"
	if params >= 1e9 {
		v, unit = v/1e3, "B"
	}
	return fmt.Sprintf("%.3g%s", v, unit)
}
