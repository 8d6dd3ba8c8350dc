package engine_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"personaprobe/engine"
	"personaprobe/internal/enginetest"
	"personaprobe/internal/pin"
	"personaprobe/internal/pin/pintest"
	"personaprobe/internal/tinytest"
	"personaprobe/models/tiny"
)

// copied is a copy of a file that a test may change.
func copied(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(out, raw, 0o666); err != nil {
		t.Fatal(err)
	}
	return out
}

// A model or adapter that is swapped after its checks and before it is loaded is refused.
func TestSwappedBeforeLoading(t *testing.T) {
	files, dir := tinytest.Files(t), t.TempDir()
	if err := tiny.Unpack(dir); err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(files.Adapters["comedian"])
	if err != nil {
		t.Fatal(err)
	}
	for name, swap := range map[string]func(model, adapter string){
		"model in place":   func(model, _ string) { pintest.Flip(t, model, -1) },
		"model by name":    func(model, _ string) { pintest.Replace(t, model, []byte("GGUF, and hostile")) },
		"adapter by name":  func(_, adapter string) { pintest.Replace(t, adapter, other) },
		"adapter in place": func(_, adapter string) { pintest.Flip(t, adapter, -1) },
	} {
		opts := engine.Options{Model: copied(t, files.Model), CPU: true, Context: 64, CacheDir: t.TempDir(), Adapters: map[string]string{
			"a": copied(t, files.Adapters["villain"]),
			"b": filepath.Join(dir, "adapters", "comedian"), // is hashed and converted when the others have been checked
		}}
		ctx := pintest.Hook(func() { swap(opts.Model, opts.Adapters["a"]) })
		e, err := engine.Open(ctx, opts)
		if err == nil {
			e.Close()
			t.Errorf("%s: opened", name)
		} else if name != "model by name" && !errors.Is(err, pin.ErrChanged) {
			// A hostile model may be refused earlier, by the next who reads it.
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing is said to be sound that was computed while a file changed, and the hash is
// that of what was loaded.
func TestChangedWhileOpen(t *testing.T) {
	files := tinytest.Files(t)
	for name, change := range map[string]func(model, adapter string){
		"model":   func(model, _ string) { pintest.Flip(t, model, -1) },
		"adapter": func(_, adapter string) { pintest.Flip(t, adapter, -1) },
	} {
		model, adapter := copied(t, files.Model), copied(t, files.Adapters["villain"])
		e := enginetest.Open(t, engine.Options{Model: model, Adapters: map[string]string{"villain": adapter}, CPU: true, Context: 64, Slots: 2})
		for a, path := range map[string]string{"": model, "villain": adapter} {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want := sha256.Sum256(raw)
			if got, err := e.SHA256(context.Background(), a); err != nil || got != hex.EncodeToString(want[:]) {
				t.Errorf("SHA-256 of %q: %s, %v", a, got, err)
			}
		}
		if err := computeAll(e); err != nil {
			t.Fatal(err)
		}
		change(model, adapter)
		for what, err := range map[string]error{
			"Unchanged": e.Unchanged(), "Generate": generateOne(e), "States": readOne(e), "Logits": logitsOfOne(e),
		} {
			if !errors.Is(err, pin.ErrChanged) {
				t.Errorf("%s changed, %s: %v", name, what, err)
			}
		}
	}
}

func computeAll(e *engine.Engine) error {
	return errors.Join(e.Unchanged(), generateOne(e), readOne(e), logitsOfOne(e))
}

func generateOne(e *engine.Engine) error {
	request := engine.Request{ID: "x", Tokens: []int32{1, 2, 3}, MaxTokens: 2}
	for _, err := range e.Generate(context.Background(), slices.Values([]engine.Request{request})) {
		if err != nil {
			return err
		}
	}
	return nil
}

func readOne(e *engine.Engine) error {
	return e.LastStates(context.Background(), [][]int32{{1, 2, 3}}, engine.StateOptions{Layers: []int{3}},
		func(int, [][]float32) error { return nil })
}

func logitsOfOne(e *engine.Engine) error {
	items := []engine.Forced{{Prompt: []int32{1, 2}, Continuation: []int32{3}}}
	return e.Logits(context.Background(), items, "", func(int, int, []float32) error { return nil })
}

// A stream that its consumer leaves early is not continued with an error.
func TestLeaveAfterChange(t *testing.T) {
	model := copied(t, tinytest.Files(t).Model)
	e := enginetest.Open(t, engine.Options{Model: model, CPU: true, Context: 64, Slots: 2})
	request := engine.Request{ID: "x", Tokens: []int32{1, 2, 3}, MaxTokens: 2, N: 4}
	for _, err := range e.Generate(context.Background(), slices.Values([]engine.Request{request})) {
		if err != nil {
			t.Fatal(err)
		}
		pintest.Flip(t, model, -1)
		break
	}
}
