package chat

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// What gonja draws at random, or takes in a Go map's order, is sorted or refused by name.
func TestSameTextEveryTime(t *testing.T) {
	keys := "c=3, a=1, e=5, b=2, d=4, h=8, f=6, g=7"
	for template, want := range map[string]string{
		"{% for k, v in dict(" + keys + ") | items %}{{ k }}{{ v }}{% endfor %}":      "a1b2c3d4e5f6g7h8",
		"{% for k, v in namespace(" + keys + ") | items %}{{ k }}{{ v }}{% endfor %}": "a1b2c3d4e5f6g7h8",
		"{% for k, v in {'b': 1, 'a': 2} | items %}{{ k }}{{ v }}{% endfor %}":        "b1a2",
		"{% for k in dict(" + keys + ") %}{{ k }}{% endfor %}":                        "abcdefgh",
		"{{ dict(" + keys + ") }}": "{'a': 1, 'b': 2, 'c': 3, 'd': 4, 'e': 5, 'f': 6, 'g': 7, 'h': 8}",
		"{% for k, v in messages[0] | items %}{{ k }}={{ v }};{% endfor %}": "content=hi;role=user;",
		"{{ messages[0] }}": "{'content': 'hi', 'role': 'user'}",
	} {
		for range 30 {
			got, err := parse(t, template).Render([]Message{{"user", "hi"}}, true)
			if err != nil || got != want {
				t.Errorf("%s: %q, %v; want %q", template, got, err, want)
				break
			}
		}
	}
	for template, name := range map[string]string{
		"{{ [1, 2, 3] | random }}":                 "random",
		"{{ messages[0] | pprint }}":               "pprint",
		"{{ messages[0] | dictsort(by='value') }}": "dictsort",
		"{{ lipsum(1) }}":                          "lipsum",
	} {
		_, err := parse(t, template).Render([]Message{{"user", "hi"}}, true)
		if !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), name+" is refused") {
			t.Errorf("%s: %v, want a refusal of %s", template, err, name)
		}
	}
}

// The clock is the template's date, never the machine's, and a rendering that read it says so.
func TestClock(t *testing.T) {
	const day = "{% if messages[0].role == 'system' %}{{ strftime_now('%d %b %Y') }}{% endif %}{% for m in messages %}{{ m.content }}{% endfor %}"
	tmpl := parse(t, day)
	asked := []Message{{"system", "s"}, {"user", "u"}}
	if _, err := tmpl.Render(asked, true); !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), "date") {
		t.Errorf("without a date: %v", err)
	}
	tmpl.Date = time.Date(2026, 12, 1, 23, 59, 59, 0, time.UTC)
	pieces, clock, err := tmpl.Pieces(asked, true)
	if err != nil || !clock || joined(pieces) != "01 Dec 2026su" {
		t.Errorf("%q, clock %v, %v", joined(pieces), clock, err)
	}
	if _, clock, err := tmpl.Pieces(asked[1:], true); err != nil || clock {
		t.Errorf("a rendering that does not read the clock: %v, %v", clock, err)
	}
}
