package report

import (
	"encoding/json"
	"strings"
	"testing"

	"personaprobe/analysis"
)

// One persona that never writes the marker takes Wilson's interval; all others keep
// theirs over questions, and the captions say how many do not.
func TestIntervalIsChosenPerPersona(t *testing.T) {
	f := smallFixture()
	f.rate = func(p int) int {
		if p == 3 {
			return 0
		}
		return 20 + (p*17)%70
	}
	dir := f.report(t)
	var full analysis.Full
	if err := json.Unmarshal([]byte(read(t, dir, fullFile)), &full); err != nil {
		t.Fatal(err)
	}
	methods := make(map[analysis.IntervalMethod]int)
	for _, p := range full.Personas {
		want, method := p.Question, analysis.OverQuestions
		if *p.Rate == 0 {
			want, method = p.Wilson, analysis.WilsonScore
			if p.IntervalReason == "" {
				t.Errorf("%s has no reason for %s", p.ID, p.IntervalMethod)
			}
		}
		if p.IntervalMethod != method || p.Interval.Lower == nil ||
			*p.Interval.Lower != *want.Lower || *p.Interval.Upper != *want.Upper {
			t.Errorf("%s with a rate of %v: %s %+v, want %s", p.ID, *p.Rate, p.IntervalMethod, p.Interval, method)
		}
		methods[p.IntervalMethod]++
	}
	if methods[analysis.WilsonScore] != 1 || methods[analysis.OverQuestions] < 10 {
		t.Fatalf("methods %v", methods)
	}
	text := "bootstrap intervals over questions (Wilson's for 1 of 20 rates"
	if !strings.Contains(read(t, dir, markdownFile), text) {
		t.Errorf("report.md does not say %q", text)
	}
	s, err := load(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range s.personas {
		if q := full.Personas[p.Row].Interval; p.Interval == nil || p.Interval.Hi != *q.Upper {
			t.Errorf("%s is drawn with %v, want %v", p.ID, p.Interval, q)
		}
	}
}
