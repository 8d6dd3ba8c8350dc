package engine_test

import (
	"bufio"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/unicode/norm"

	"personaprobe/engine"
	"personaprobe/internal/golden"
	"personaprobe/models"
)

// openQwen2 opens a model of random weights with Qwen2's real vocabulary.
func openQwen2(t *testing.T) *engine.Engine {
	t.Helper()
	vocabulary := golden.SharedDir(t, "qwen2-tokenizer")
	shape, err := models.NamedShape("qwen2.5-7b")
	if err != nil {
		t.Fatal(err)
	}
	shape.Hidden, shape.Intermediate, shape.Layers, shape.Heads, shape.KVHeads = 32, 32, 1, 1, 1
	path := filepath.Join(t.TempDir(), "vocab.gguf")
	if err := models.Synth(context.Background(), shape, path, models.SynthOptions{TokenizerDir: vocabulary}); err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(context.Background(), engine.Options{Model: path, CPU: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

type goldenText struct {
	Text string  `json:"text"`
	IDs  []int32 `json:"ids"`
}

// goldenTexts reads what testdata/golden/qwen2_tokens.py wrote.
func goldenTexts(t *testing.T) []goldenText {
	t.Helper()
	dir, err := golden.Dir()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "qwen2_tokens.jsonl.zst"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var out []goldenText
	for in := bufio.NewScanner(z); in.Scan(); {
		var g goldenText
		if err := json.Unmarshal(in.Bytes(), &g); err != nil {
			t.Fatal(err)
		}
		out = append(out, g)
	}
	return out
}

func TestRealVocabulary(t *testing.T) {
	tok := openQwen2(t).Tokenizer()
	t.Run("golden", func(t *testing.T) { testGoldenTexts(t, tok) })
	t.Run("any bytes", func(t *testing.T) { testAnyBytes(t, tok) })
}

// Texts of many scripts, digits, white space, emoji, combining marks and what looks
// like special tokens have the ids that Hugging Face's tokenizer gives them.
func testGoldenTexts(t *testing.T, tok *engine.Tokenizer) {
	texts := goldenTexts(t)
	if len(texts) != 3000 {
		t.Fatalf("%d texts", len(texts))
	}
	wrong, tokens := 0, 0
	for _, g := range texts {
		ids, err := tok.Encode(g.Text)
		if err != nil {
			t.Fatalf("%q: %v", g.Text, err)
		}
		tokens += len(ids)
		if !slices.Equal(ids, g.IDs) {
			if wrong++; wrong <= 5 {
				t.Errorf("%q: got %v, want %v", g.Text, ids, g.IDs)
			}
		}
	}
	t.Logf("%d of %d texts differ, %d tokens", wrong, len(texts), tokens)
}

// Bytes that are no UTF-8 give tokens, too, never the special ones, and come back as
// U+FFFD; what is valid around them survives.
func testAnyBytes(t *testing.T, tok *engine.Tokenizer) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		raw := make([]byte, r.IntN(40))
		for i := range raw {
			raw[i] = byte(r.UintN(256))
		}
		ids, err := tok.Encode("before " + string(raw) + " after")
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		for _, id := range ids {
			if id < 0 || id >= 151643 {
				t.Fatalf("%q: token %d", raw, id)
			}
		}
		text, err := tok.Decode(ids)
		if err != nil {
			t.Fatal(err)
		}
		want := norm.NFC.String(strings.ToValidUTF8("before "+string(raw)+" after", "\uFFFD"))
		if text != want {
			t.Errorf("%q came back as %q, want %q", raw, text, want)
		}
	}
}
