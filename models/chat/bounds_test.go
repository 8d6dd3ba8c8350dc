package chat

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

// What would fill the stack, which nothing recovers from, or the memory is an error.
func TestBounds(t *testing.T) {
	deep := func(open, middle, shut string, bytes int) string {
		n := (bytes - 40) / (len(open) + len(shut))
		return strings.Repeat(open, n) + middle + strings.Repeat(shut, n)
	}
	call := "{% macro f(n) %}{{ g(n) }}{% endmacro %}{% macro g(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}"
	for name, c := range map[string]struct {
		text string
		want string // "" for no error
	}{
		"recursion":       {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", errTooDeep.Error()},
		"in turns":        {call, errTooDeep.Error()},
		"wide recursion":  {"{% macro f() %}" + deep("{% if 1 %}", "{{ f() }}", "{% endif %}", maxTemplate-100) + "{% endmacro %}{{ f() }}", errTooDeep.Error()},
		"recursive call":  {"{% macro f() %}{{ caller() }}{% endmacro %}{% macro g() %}{% call f() %}{{ g() }}{% endcall %}{% endmacro %}{{ g() }}", ""},
		"parentheses":     {"{{ " + deep("(", "1", ")", maxTemplate) + " }}", "brackets"},
		"lists":           {"{{ " + deep("[", "1", "]", maxTemplate) + " }}", "brackets"},
		"objects":         {"{{ " + deep("{1:", "1", "}", maxTemplate) + " }}", "brackets"},
		"some lists":      {"{{ " + deep("[", "1", "]", 2*maxNesting) + " }}", ""},
		"powers":          {"{{ 1" + strings.Repeat("**1", maxTemplate/3-10) + " }}", ""},
		"sums":            {"{{ 1" + strings.Repeat("+1", maxTemplate/2-10) + " }}", ""},
		"texts":           {"{{ 1" + strings.Repeat("~1", 10000) + " }}", ""},
		"nots":            {"{{ " + strings.Repeat("not ", maxTemplate/4-10) + "1 }}", ""},
		"choices":         {"{{ 1" + strings.Repeat(" if 1 else 1", maxTemplate/12-10) + " }}", ""},
		"filters":         {"{{ 1" + strings.Repeat("|int", maxTemplate/4-10) + " }}", ""},
		"attributes":      {"{{ x" + strings.Repeat(".x", 300) + " }}", ""},
		"calls":           {"{{ x" + strings.Repeat("()", 1000) + " }}", ""},
		"tests":           {"{{ 1" + strings.Repeat(" is odd", maxTemplate/7-10) + " }}", ""},
		"else ifs":        {"{% if 0 %}" + strings.Repeat("{% elif 0 %}", maxTemplate/12-10) + "{% endif %}", ""},
		"macros":          {deep("{% macro f() %}", "x", "{% endmacro %}", maxTemplate), ""},
		"loops":           {deep("{% for i in 'x' %}", "x", "{% endfor %}", maxTemplate), ""},
		"blocks":          {deep("{% if 1 %}", "x", "{% endif %}", maxTemplate), ""},
		"half open":       {"{{ " + strings.Repeat("(", maxTemplate-10), "brackets"},
		"subscripts":      {"{{ x" + strings.Repeat("[0]", 300) + " }}", ""},
		"minus":           {"{{ " + strings.Repeat("-", maxTemplate-10) + "1 }}", ""},
		"too long":        {strings.Repeat("x", maxTemplate+1), "more than"},
		"range":           {"{% for i in range(1000000000000) %}{% endfor %}", "more than 100000"},
		"backwards":       {"{% for i in range(0, -1000000000000, -1) %}{% endfor %}", "more than 100000"},
		"range of step 0": {"{% for i in range(1, 2, 0) %}{% endfor %}", "step"},
		"range of text":   {"{% for i in range('x') %}{% endfor %}", "integers"},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl, err := Parse(c.text)
			if err == nil {
				_, err = tmpl.Render([]Message{{"user", "hi"}}, true)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("%d bytes: %.200v", len(err.Error()), err)
			}
			switch {
			case c.want == "" && err != nil && !errors.Is(err, ErrTemplate):
				t.Errorf("%.200v", err)
			case c.want != "" && (!errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%.200v, want %s", err, c.want)
			}
		})
	}
}

// Recursion as templates use it for lists within lists works.
func TestRecursionAndRange(t *testing.T) {
	for template, want := range map[string]string{
		"{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(50) | length }}": "92",
		"{% for i in range(3) %}{{ i }}{% endfor %}":                                                   "012",
		"{% for i in range(1, 10, 4) %}{{ i }}{% endfor %}":                                            "159",
		"{% for i in range(5, 0, -2) %}{{ i }}{% endfor %}":                                            "531",
		"{% for i in range(9223372036854775805, 9223372036854775807, 5) %}x{% endfor %}":               "x",
		"{{ range(4) | list | length }}{% for i in range(0) %}x{% endfor %}":                           "4",
	} {
		got, err := parse(t, template).Render([]Message{{"user", "hi"}}, true)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", template, got, err, want)
		}
	}
}

// A loop that stops early leaves no goroutine behind.
func TestBreakLeavesNothing(t *testing.T) {
	tmpl := parse(t, "{% for i in range(1000) %}{% if i == 3 %}{% break %}{% endif %}{% endfor %}")
	before := runtime.NumGoroutine()
	for range 20 {
		if _, err := tmpl.Render([]Message{{"user", "hi"}}, true); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines were %d", runtime.NumGoroutine(), before)
}

// FuzzTemplate renders any template with any message: it ends with a prompt or with an
// error, and the pieces together are the prompt.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{
		"{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m.content | trim }}<|im_end|>{% endfor %}{% if add_generation_prompt %}a{% endif %}",
		"{%- macro f(x, y=2) -%}{{ x[::-1] }}{%- endmacro -%}{{ f(messages[0].content) ~ '!' }}{% set ns = namespace(n=0) %}{% call f(1) %}c{% endcall %}",
		"{% if messages | length > 1 and 'x' in messages[0].content %}{{ raise_exception('no') }}{% else %}{{ messages | tojson(indent=2) }}{% endif %}",
		"{% filter upper %}{{ strftime_now('%Y') }}{{ bos_token }}{% endfilter %}{% with a = 1 %}{{ a // 2 }}{% endwith %}{% raw %}{{ }}{% endraw %}{# c #}",
	} {
		f.Add(text, "hello <|im_end|>")
	}
	f.Fuzz(func(t *testing.T, text, content string) {
		if strings.Contains(text, "*") || strings.Count(text, "range") > 1 || strings.Count(text, "{%") > 40 {
			t.Skip("may take its time or all memory, as in Python")
		}
		tmpl, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrTemplate) {
				t.Fatal(err)
			}
			return
		}
		messages := []Message{{"user", content}}
		whole, err := tmpl.Render(messages, true)
		if err != nil {
			if !errors.Is(err, ErrTemplate) {
				t.Fatal(err)
			}
			return
		}
		pieces, _, err := tmpl.Pieces(messages, true)
		if err != nil {
			return
		}
		var joined strings.Builder
		for _, p := range pieces {
			joined.WriteString(p.Text)
		}
		if joined.String() != whole {
			t.Errorf("the pieces are %q, the prompt is %q", joined.String(), whole)
		}
	})
}
