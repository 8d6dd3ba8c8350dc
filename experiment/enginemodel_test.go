package experiment

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"personaprobe/engine"
	"personaprobe/internal/enginetest"
	"personaprobe/internal/tinytest"
)

func openTinyModel(t *testing.T) *EngineModel {
	t.Helper()
	files := tinytest.Files(t)
	return &EngineModel{enginetest.Open(t, engine.Options{Model: files.Model, CPU: true, Threads: 1, Context: 128})}
}

// A text's mean is that of its tokens' states one by one.
func TestMeanStates(t *testing.T) {
	m := openTinyModel(t)
	texts := []string{"You are a stand-up comedian.", "You are a kindergarten teacher who sings.", "x"}
	got, err := m.MeanStates(context.Background(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		ids, err := m.Tokenizer().Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float64, m.HiddenSize())
		for k := range ids { // each token as the last of its own prompt
			err := m.Engine.LastStates(context.Background(), [][]int32{ids[:k+1]}, engine.StateOptions{Layers: []int{m.Layers() - 1}},
				func(_ int, states [][]float32) error {
					for d, v := range states[0] {
						want[d] += float64(v) / float64(len(ids))
					}
					return nil
				})
			if err != nil {
				t.Fatal(err)
			}
		}
		size, off := 0.0, 0.0
		for d := range want {
			size, off = math.Max(size, math.Abs(want[d])), math.Max(off, math.Abs(want[d]-float64(got[i][d])))
		}
		if off > 2e-3*size {
			t.Errorf("%q: off by %v of %v", text, off, size)
		}
	}
	if _, err := m.MeanStates(context.Background(), []string{""}); err == nil {
		t.Error("a text without tokens has a mean")
	}
}

// The shares of answers are those of the model's own logits.
func TestAnswers(t *testing.T) {
	m := openTinyModel(t)
	chats := [][]engine.Message{chat("You are a comedian.", "How funny, from 1 to 5?"), chat("You are a teacher.", "How strict, from 1 to 5?")}
	answers := []string{"1", "2", "3"}
	got, err := m.Answers(context.Background(), chats, answers)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range chats {
		prompt, err := m.Tokenizer().EncodeChat(c)
		if err != nil {
			t.Fatal(err)
		}
		want, sum := make([]float64, len(answers)), 0.0
		err = m.Logits(context.Background(), []engine.Forced{{Prompt: prompt, Continuation: []int32{0}}}, "", func(_, _ int, logits []float32) error {
			for k, a := range answers {
				ids, err := m.Tokenizer().Encode(a)
				if err != nil {
					return err
				}
				want[k] = math.Exp(float64(logits[ids[0]]))
				sum += want[k]
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for k := range want {
			if math.Abs(got[i][k]-want[k]/sum) > 1e-9 {
				t.Errorf("chat %d: shares %v, want %v over %v", i, got[i], want, sum)
			}
		}
	}
	if slices.Equal(got[0], got[1]) {
		t.Error("two questions have the same answers")
	}
	if _, err := m.Answers(context.Background(), chats, []string{"a longer answer"}); !errors.Is(err, ErrInput) {
		t.Errorf("an answer of several tokens: %v", err)
	}
}
