package engine_test

import (
	"errors"
	"strings"
	"testing"

	"personaprobe/engine"
)

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
