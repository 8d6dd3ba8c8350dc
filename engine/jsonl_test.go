package engine_test

import (
	"errors"
	"strings"
	"testing"

	"personaprobe/engine"
)

// Zeros that a Request takes for defaults, and fields that contradict each other, are
// refused where they are given: 0 does not mean everything.
func TestReadRequestsRefusesWhatItCannotMean(t *testing.T) {
	defaults := engine.Request{Sampling: engine.DefaultSampling(), MaxTokens: 1, N: 1, Seeds: []uint64{1}}
	for _, bad := range []string{`"top_p": 0`, `"n": 0`, `"n": -1`, `"max_tokens": 0`, `"max_tokens": -5`, `"seeds": []`, `"seeds": [3, 4, 3]`,
		`"seed": 1, "seeds": [2]`, `"temperature": -1`, `"temperature": 1e39`, `"top_p": 1.5`, `"n": 1.5`, `"stop": ""`, `"stop": null`} {
		for r, err := range engine.ReadRequests(strings.NewReader(`{"prompt": "a", `+bad+"}"), defaults) {
			if !errors.Is(err, engine.ErrRequest) || !strings.Contains(err.Error(), "line 1") {
				t.Errorf("%s: %+v, %v", bad, r, err)
			}
		}
	}
	for r, err := range engine.ReadRequests(strings.NewReader(`{"prompt": "a", "seeds": [3, 4], "n": 2, "top_p": 1, "temperature": 0}`), defaults) {
		if err != nil || len(r.Seeds) != 2 || r.N != 2 {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// A line holds one object and nothing behind it.
func TestReadRequestsOneObjectALine(t *testing.T) {
	defaults := engine.Request{Sampling: engine.DefaultSampling(), MaxTokens: 1, N: 1, Seeds: []uint64{1}}
	const good = `{"prompt": "a"}`
	for _, behind := range []string{"}", "]", " }", "}}", ",", "{}", "x", `"`, "null", "{"} {
		for _, err := range engine.ReadRequests(strings.NewReader(good+behind+"\n"), defaults) {
			if !errors.Is(err, engine.ErrRequest) || !strings.Contains(err.Error(), "line 1") {
				t.Errorf("%s: error %v, want one that names line 1", good+behind, err)
			}
		}
	}
	n := 0
	for r, err := range engine.ReadRequests(strings.NewReader(good+" \t\r\n\n "+good), defaults) {
		if n++; err != nil || r.Text != "a" {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}
