package golden

import "testing"

func TestLoad(t *testing.T) {
	sets, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sets {
		for _, m := range s.Models {
			a, ok := s.Logits(m)
			if !ok || a.Rows != len(s.Prompts) || len(a.Values) != a.Rows*a.Cols {
				t.Errorf("%s: logits of %s: %v, %d x %d for %d prompts", s.Name, m, ok, a.Rows, a.Cols, len(s.Prompts))
			}
		}
		for _, layer := range s.Layers {
			if _, ok := s.Hidden("base", layer); !ok {
				t.Errorf("%s: no hidden states of layer %d", s.Name, layer)
			}
		}
		for _, g := range s.Greedy {
			if s.Prompt(g.Prompt) == nil {
				t.Errorf("%s: greedy case for prompt %d, which does not exist", s.Name, g.Prompt)
			}
		}
	}
	l, err := LoadLeakage()
	if err != nil || len(l.Rows) != 200 {
		t.Errorf("leakage: %v, %d rows", err, len(l.Rows))
	}
	c, err := LoadCentroids()
	if err != nil || len(c.Names) != 205 || len(c.Layers) != 4 || c.Layers[15].Rows != 205 {
		t.Errorf("centroids: %v", err)
	}
}
