package experiment

import (
	"errors"
	"testing"
)

func FuzzParsePlan(f *testing.F) {
	text, err := FormatPlan(DefaultPlan().Full())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("adapters: {a: [b, &x c], d: *x}\nseeds: [0x10, 1e3]\nlayers: []\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePlan("p.yaml", data)
		if err != nil {
			if !errors.Is(err, ErrInput) {
				t.Fatal(err)
			}
			return
		}
		text, err := FormatPlan(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParsePlan("again.yaml", text); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	})
}
